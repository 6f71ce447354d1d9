"""Which schedule is taken, what filters and rules do, and what leaves with which number."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, TCP, UDP

from mlvpnd.net import bpf
from mlvpnd.protocol.links.path import Path, PathInput, PathParameters
from mlvpnd.protocol.sending.rules import Action, Rule
from mlvpnd.protocol.sending.sender import MIN_PACED_RATE, Sender
from mlvpnd.protocol.wire.drops import DropReason
from tests.support.inner_packets import ipv6, udp
from tests.support.pieces import OTHER, SIP, extended, pieces

RATE = 1_000_000
SMALL = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / bytes(50))
BULK = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=3) / bytes(1200))
SEGMENT = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=4) / bytes(1200))
FIRST = 500

Sent = list[tuple[int, bytes, bool, int]]


class All:
    """Matches everything."""

    def matches(self, packet: bytes, _plain: bytes | None = None, /) -> bool:
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
        now += 0.001 if turn < 2000 else 0.002  # first more than one link carries, then less
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


def matcher(expression: str) -> bpf.Program:
    return bpf.compile(expression, bpf.LinkType.RAW)


def links_of(rules: list[Rule], *bursts: list[bytes]) -> list[list[tuple[int, ...]]]:
    """The links that each packet of some bursts goes by; of three links, the schedule takes the first."""
    sender, sent, paths = make(1, 1, 1)
    sender.duplicates = True
    sender.set_rules(rules)
    sender.reschedule([paths[0], paths[1], paths[2]], 0.0)
    found = []
    for now, burst in enumerate(bursts):
        took = []
        for packet in burst:
            before = len(sent)
            sender.send([packet], float(now))
            took.append(tuple(number if not reorder else -1 for number, _, reorder, _ in sent[before:]))
        found.append(took)
    return found


SCHEDULED, DROPPED = (-1,), ()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("headers", [(), (0, 60)])
def test_later_fragments_go_with_their_first(version: int, headers: tuple[int, ...]) -> None:
    if version == 4 and headers:
        return
    for action, links, way in (
        (Action.PREFER, (2,), (2,)),
        (Action.DUPLICATE, (1, 2), (1, 2)),
        (Action.DROP, (), DROPPED),
    ):
        sip, other = (
            pieces(version, ports=ports, ident=ident, headers=headers) for ident, ports in enumerate((SIP, OTHER))
        )
        # Pieces in order, mixed with another datagram's, and of a datagram whose identification was used before.
        mixed = [packet for pair in zip(sip, other, strict=True) for packet in pair]
        again = pieces(version, ports=OTHER, ident=0, headers=headers)
        assert links_of([Rule(matcher("udp port 5060"), action, links)], sip, other, mixed, again) == [
            [way] * 3,
            [SCHEDULED] * 3,
            [way, SCHEDULED] * 3,
            [SCHEDULED] * 3,
        ]
    (pinned,) = links_of([Rule(matcher("udp port 5060"), Action.PIN)], pieces(version, headers=headers))
    assert len(set(pinned)) == 1
    assert pinned[0] != SCHEDULED


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_before_their_first_are_matched_by_address_alone(version: int) -> None:
    first, *later = pieces(version)
    address = "10.42.0.2" if version == 4 else "fd00:42::2"
    by_port = Rule(matcher("udp port 5060"), Action.DROP)
    for expression in (f"host {address}", f"udp port 5060 or host {address}", "udp", f"udp and host {address}"):
        by_address = Rule(matcher(expression), Action.PREFER, (2,))
        assert links_of([by_address], [*later, first, *later]) == [[(2,)] * 5], expression
    by_address = Rule(matcher(f"host {address}"), Action.PREFER, (2,))
    assert links_of([by_port, by_address], [*later, first, *later]) == [[(2,), (2,), DROPPED, DROPPED, DROPPED]]
    assert links_of([by_port], [*later, first, *later]) == [[SCHEDULED, SCHEDULED, DROPPED, DROPPED, DROPPED]]
    # What stands in the place of ports does not count: it is payload.
    forged = pieces(version, ports=OTHER, size=4000, each=1400)
    forged[1] = forged[1][:-1400] + (5060).to_bytes(2, "big") * 700
    assert links_of([by_port], forged[1:]) == [[SCHEDULED] * 2]


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_not_a_port_is_told_of_the_whole_datagram(version: int) -> None:
    sip, other = (pieces(version, ident=ident, ports=ports) for ident, ports in enumerate((SIP, OTHER)))
    assert links_of([Rule(matcher("not udp port 5060"), Action.DROP)], sip, other) == [[SCHEDULED] * 3, [DROPPED] * 3]


def test_ports_behind_ipv6_headers_are_seen() -> None:
    sip, other = (ipv6(*extended(17, udp(bytes(50), ports=ports), 0, 60)) for ports in (SIP, OTHER))
    by_port = Rule(matcher("udp port 5060"), Action.DROP)
    assert links_of([by_port], [sip, other]) == [[DROPPED, SCHEDULED]]
    assert links_of([Rule(matcher("not udp port 5060"), Action.DROP)], [sip, other]) == [[SCHEDULED, DROPPED]]
    # An expression that names a header by its number or place means the header as it stands.
    for expression in ("ip6 proto 0", "ip6[6] = 0", "ip6 protochain 60"):
        assert links_of([Rule(matcher(expression), Action.DROP)], [sip, *pieces(6)]) == [
            [DROPPED, SCHEDULED, SCHEDULED, SCHEDULED]
        ], expression
    assert links_of([Rule(matcher("ip6 proto 44"), Action.DROP)], pieces(6)) == [[DROPPED] * 3]


@pytest.mark.parametrize("version", [4, 6])
def test_filters_follow_fragments_and_what_is_up(version: int) -> None:
    sender, sent, paths = make(1, 1, 1)
    sender.set_filters([(matcher("udp port 5060"), 1), (matcher("udp"), 2)])
    first, second, third = pieces(version)
    sender.send([first, second], 0.0)
    paths[1].step(PathInput.LOSE)
    sender.send([third, *pieces(version, ident=8)], 0.0)
    assert [(number, reorder) for number, _, reorder, _ in sent] == [(1, False)] * 2 + [(2, False)] * 4


def test_other_rules_begin_anew() -> None:
    sender, sent, _ = make(1, 1, 1)
    first, *later = pieces(4)
    sender.set_rules([Rule(matcher("udp port 5060"), Action.DROP)])
    sender.send([first, *later], 0.0)
    sender.set_rules([Rule(matcher("udp port 53"), Action.DROP)])
    sender.send(later, 0.0)
    assert len(sent) == 2
    sender.set_filters([(matcher("udp port 5060"), 2)])
    sender.send([first, *later], 0.0)
    assert [number for number, _, _, _ in sent[2:]] == [2, 2, 2]


def test_many_different_decisions_are_kept_within_bounds() -> None:
    sender, sent, _ = make(*[1] * 12)
    sender.set_filters([(matcher(f"udp[8 + {bit}] = 1"), bit) for bit in range(11)])
    for number in range(2048):
        marks = bytes(number >> bit & 1 for bit in range(11))
        packets = [packet[:28] + marks + packet[39:] for packet in pieces(4, ident=number)[:1]]
        later = pieces(4, ident=number)[1]
        before = len(sent)
        sender.send([*packets, later], 0.0)
        expected = (number & -number).bit_length() - 1
        assert [one[0] for one in sent[before:] if not one[2]] == ([expected] * 2 if number else [])
