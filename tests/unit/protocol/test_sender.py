"""Which schedule, what filters and rules do, and what leaves with which number."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, TCP, UDP

from mlvpnd.protocol.drops import DropReason
from mlvpnd.protocol.path import Path, PathInput, PathParameters
from mlvpnd.protocol.rules import Action, Rule
from mlvpnd.protocol.sender import MIN_PACED_RATE, Sender

RATE = 1_000_000
SMALL = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / bytes(50))
BULK = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=3) / bytes(1200))
SEGMENT = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=4) / bytes(1200))
FIRST = 500

Sent = list[tuple[int, bytes, bool, int]]


class All:
    """Matches everything."""

    def matches(self, packet: bytes) -> bool:
        return bool(packet)


def make(*bandwidths: int) -> tuple[Sender, Sent, dict[int, Path]]:
    """A sender over up links, and what it sends: link, packet, reorder bit, number."""
    sent: Sent = []
    paths = {}
    for number, bandwidth in enumerate(bandwidths):
        paths[number] = Path(number, PathParameters(f"l{number}", 5.0, bandwidth=bandwidth), number, 1)
        paths[number].step(PathInput.AUTHENTICATE)

    def emit(path: Path, packet: bytes, reorder: bool, data_seq: int) -> None:
        sent.append((path.number, packet, reorder, data_seq))

    sender = Sender(paths, FIRST, emit, layer2=False)
    sender.reschedule(list(paths.values()), 0.0)
    return sender, sent, paths


@pytest.mark.parametrize(
    ("bandwidths", "paced"), [((MIN_PACED_RATE,) * 2, True), ((10, 20), False), ((RATE, 0), False)]
)
def test_links_are_paced_where_each_has_a_rate(bandwidths: tuple[int, ...], paced: bool) -> None:
    sender, _, paths = make(*bandwidths)
    assert sender.paced is paced
    sender.pacing = False
    sender.reschedule(list(paths.values()), 0.0)
    assert not sender.paced


def test_what_is_held_back_leaves_in_time() -> None:
    sender, sent, _ = make(RATE, RATE)
    sender.send([BULK] * 10, 0.0)
    assert len(sent) < 10
    now = 0.0
    while (due := sender.due()) is not None:
        now = due
        sender.pump(now)
    assert [one[3] for one in sorted(sent, key=lambda one: one[3])] == list(range(FIRST, FIRST + 10))
    assert now == pytest.approx(4 * (len(BULK) + 86) / RATE, abs=0.002)


def test_what_is_held_back_leaves_when_pacing_ends() -> None:
    sender, sent, paths = make(RATE, RATE)
    sender.send([BULK] * 10, 0.0)
    sender.pacing = False
    sender.reschedule(list(paths.values()), 0.0)
    assert len(sent) == 10
    assert sender.due() is None


def test_small_packets_that_are_not_tcp_have_no_number_where_links_are_paced() -> None:
    sender, sent, _ = make(RATE, RATE)
    sender.send([SMALL], 0.0)
    assert [(one[2], one[3]) for one in sent] == [(False, 0)]
    ratio, sent, _ = make(1, 1)
    ratio.send([SMALL], 0.0)
    assert [(one[2], one[3]) for one in sent] == [(True, FIRST)]


def test_overload_is_counted() -> None:
    sender, _, _ = make(MIN_PACED_RATE)
    sender.send([BULK] * 200, 0.0)
    assert sender.drops[DropReason.QUEUE_FULL] > 100
    assert sender.waiting_bytes < 120_000


def test_a_link_whose_segments_come_again_is_spared() -> None:
    sender, sent, paths = make(RATE, RATE)
    now, again = 0.0, b""
    for turn in range(3000):
        segment = bytearray(SEGMENT)
        segment[24:28] = turn.to_bytes(4)
        now += 0.001 if turn < 2000 else 0.002  # more than one link carries, and less
        before = len(sent)
        sender.send([bytes(segment), again] if again else [bytes(segment)], now)
        lost = [packet for number, packet, _, _ in sent[before:] if number == 1]
        again = lost[0] if lost and turn % 7 == 0 else b""
    assert sender.retransmissions.harmful == {1}
    assert [path.spare for path in paths.values()] == [False, True]
    assert paths[1].retransmitted > 0.05
    assert paths[0].retransmitted == 0
    assert {one[0] for one in sent[:1000]} == {0, 1}
    assert {one[0] for one in sent[-500:]} == {0}
    sender.reschedule([paths[1]], now)
    sender.send([SEGMENT], now)
    assert sent[-1][0] == 1


@pytest.mark.parametrize("bandwidth", [RATE, 1])
def test_rules(bandwidth: int) -> None:
    def carried(action: Action, *links: int, duplicates: bool = False) -> Sent:
        sender, sent, _ = make(bandwidth, bandwidth, bandwidth)
        sender.duplicates = duplicates
        sender.set_rules([Rule(All(), action, links)])
        sender.send([SEGMENT, SEGMENT], 0.0)
        sender.pump(1.0)
        return sent

    assert carried(Action.PREFER, 2, 0) == [(2, SEGMENT, False, 0)] * 2
    assert carried(Action.DROP) == []
    pinned = carried(Action.PIN)
    assert len(pinned) == 2
    assert len({one[0] for one in pinned}) == 1
    copies = carried(Action.DUPLICATE, 0, 2, duplicates=True)
    assert sorted((one[0], one[3]) for one in copies) == [(0, FIRST), (0, FIRST + 1), (2, FIRST), (2, FIRST + 1)]
    assert len(carried(Action.DUPLICATE, 0, 2)) == 2


@pytest.mark.parametrize("gone", [lambda path: path.step(PathInput.LOSE)])
def test_a_rule_whose_links_are_down_leaves_the_packet_to_the_schedule(gone: Callable[[Path], None]) -> None:
    sender, sent, paths = make(1, 1)
    gone(paths[1])
    sender.reschedule([paths[0]], 0.0)
    sender.set_rules([Rule(All(), Action.PREFER, (1,))])
    sender.send([SEGMENT], 0.0)
    assert sent == [(0, SEGMENT, True, FIRST)]


def test_a_filter_comes_before_a_rule() -> None:
    sender, sent, _ = make(1, 1)
    sender.set_filters([(All(), 1)])
    sender.set_rules([Rule(All(), Action.DROP)])
    sender.send([SEGMENT], 0.0)
    assert sent == [(1, SEGMENT, False, 0)]
