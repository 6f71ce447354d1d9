"""Shares, order and bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from mlvpnd.protocol.sending.flow_queue import BUCKETS, FlowQueue

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


def test_what_is_put_back_comes_before_younger_packets_of_its_flow_and_its_flow_before_others() -> None:
    queue = FlowQueue(ROOM)
    queue.push(1, b"c", 1514)
    queue.push(2, b"other", 1514)
    for packet in (b"b", b"a"):
        queue.put_back(1, packet, 1514, 7)
    queue.put_back(3, b"oldest", 1514, 6)
    assert [queue.pop() for _ in range(5)] == [b"oldest", b"a", b"other", b"b", b"c"]


@pytest.mark.parametrize("limit", [0, 1, 1999, 2000, 5000, 9700, 10_000, 50_000])
def test_what_is_too_much_is_dropped_from_who_has_most_and_the_oldest_first(limit: int) -> None:
    queue = FlowQueue(ROOM)
    for number in range(20):
        queue.put_back(1, b"1 %02d" % (19 - number), 1000, 0)
    queue.push(2, b"2", 2000)
    for number in range(7):
        queue.push(3, b"3 %02d" % number, 100)
    queue.limit = limit
    before = queue.bytes
    dropped = queue.trim()
    assert limit - 2000 < queue.bytes <= limit or dropped == 0
    assert (dropped == 0) is (limit >= before)
    assert queue.trim() == 0
    left = [queue.pop() for _ in range(28 - dropped)]
    first = [packet for packet in left if packet[:1] == b"1"]
    assert first == [b"1 %02d" % number for number in range(20 - len(first), 20)]
    if limit >= 5000:  # the other flows have less than the first one's share
        assert b"2" in left
        assert len(first) == 20 - dropped


def test_many_flows_of_which_each_has_too_much_keep_as_much_as_there_is_room() -> None:
    queue = FlowQueue(ROOM)
    for flow in range(BUCKETS):
        for _ in range(3):
            queue.push(flow, b"", 300)
    queue.limit = 150_000
    assert queue.trim() == 3 * BUCKETS - 500
    assert (queue.bytes, queue.flows) == (150_000, 500)
