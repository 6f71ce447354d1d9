"""Shares, order and bounds."""

from __future__ import annotations

from collections import Counter

from mlvpnd.protocol.flow_queue import BUCKETS, FlowQueue

ROOM = 1 << 20


def test_a_flow_keeps_its_order() -> None:
    queue = FlowQueue(ROOM)
    for number in range(5):
        assert queue.push(1, bytes([number]), 1000) == 0
    assert [queue.pop()[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert (queue.bytes, queue.flows) == (0, 0)


def test_flows_share_by_bytes_whatever_their_packets() -> None:
    queue = FlowQueue(ROOM)
    for _ in range(300):
        queue.push(1, b"large", 1500)
        queue.push(2, b"small", 100)
        queue.push(2, b"small", 100)
    sent: Counter[bytes] = Counter()
    while sum(sent.values()) < 50_000:
        size = queue.next_size()
        sent[queue.pop()] += size
    assert abs(sent[b"large"] - sent[b"small"]) <= 2 * 1514


def test_who_fills_it_pays() -> None:
    queue = FlowQueue(10_000)
    queue.push(7, b"other", 500)
    dropped = sum(queue.push(1, bytes([number]), 1000) for number in range(20))
    assert (dropped, queue.bytes) == (11, 9500)
    left = [queue.pop() for _ in range(10)]
    assert b"other" in left
    assert [packet[0] for packet in left if packet != b"other"] == list(range(11, 20))


def test_a_packet_larger_than_the_queue_is_not_kept() -> None:
    queue = FlowQueue(1000)
    assert queue.push(1, b"x", 1001) == 1
    assert (queue.bytes, queue.flows) == (0, 0)


def test_flows_of_one_bucket_share_a_turn() -> None:
    queue = FlowQueue(ROOM)
    queue.push(1, b"a", 10)
    queue.push(1 + BUCKETS, b"b", 10)
    assert queue.flows == 1
