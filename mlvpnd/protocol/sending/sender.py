"""The way out of a packet from the interface: filters, the schedule, its number, and when it leaves.

There are two schedules. Where every link has a rate, `PacedScheduler` holds packets back until their line is free, and
sends each where it arrives first. Else bandwidths are bare ratios, and each packet leaves at once by
`WeightedScheduler`.

Filters come before rules, and both before the schedule. Their packets have no number in the order, so no hole opens for
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlvpnd.protocol.links.path import Path, is_ipv6
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE, MAX_DATAGRAM_SIZE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.inner import Kind, classify, segment_name

from .fragments import FragmentTable, Piece, piece_of
from .line import SECOND, Item
from .paced import LineParameters, PacedScheduler
from .retransmissions import Retransmissions
from .rules import Action, Matcher, PinTable, Rule, RuleTable
from .scheduler import WeightedScheduler, effective_weights

MIN_PACED_RATE = 16_000
"""Bytes per second. `bandwidth_upload` below this is a ratio: no line worth bonding is that slow."""
OUTER_IPV4 = 42
"""Bytes around a datagram on the line: Ethernet, IPv4 and UDP headers."""
OUTER_IPV6 = 62
ROUNDING = 1000
"""Nanoseconds added to a deadline: more than floating-point seconds lose, so a packet is due in integers too."""
REFRESH_INTERVAL = 0.1
"""Seconds between updates of the lines from their links' round trips."""
_LONGEST = MAX_DATAGRAM_SIZE - HEADER_SIZE - MAC_SIZE
"""Bytes of the longest packet that fits into a datagram."""
_MOST_DECISIONS = 1000
"""Different decisions kept for fragments at a time; the lines of a configuration make few."""
_MODULUS = 1 << 64
_WHOLE = Piece(None, b"", first=False)
_FIRST = frozenset({Kind.SMALL, Kind.ACK})

Emit = Callable[[Path, bytes, bool, int], None]
"""Sends DATA on a link: the packet, its reorder bit, its `data_seq`."""


@dataclass(frozen=True, slots=True)
class _Decision:
    """What filters and rules say of a packet, whichever links are up."""

    links: tuple[int, ...] = ()
    """The links of all filters that match, in order."""
    rule: Rule | None = None
    """The first rule that matches."""


class Sender:
    """Sends what the interface gives over `paths`, which the session owns and changes."""

    def __init__(
        self,
        paths: Mapping[int, Path],
        next_data_seq: int,
        emit: Emit,
        *,
        layer2: bool,
    ) -> None:
        self.drops: Counter[DropReason] = Counter()
        """Packets that were not sent."""
        self._paths = paths
        self._emit = emit
        self._layer2 = layer2
        self._weighted = self._make_weighted()
        self._paced = self._make_paced(next_data_seq % _MODULUS)
        self._filters: Sequence[tuple[Matcher, int]] = ()
        self._rules = RuleTable()
        self._pins = PinTable()
        self._fragments = self._make_fragments()
        """What was decided for first fragments, as places in `_decisions`."""
        self._decisions: list[_Decision] = []
        self._next_copy = next_data_seq
        """The number of the next packet that is sent several times."""
        self.duplicates = False
        """Whether the peer takes the first of several copies; else `duplicate` sends only one."""
        self.retransmissions = self._make_retransmissions()
        """What inner TCP had to send again, where links are paced and there is a choice of them."""
        self._chosen: list[Path] = []
        self._outer = OUTER_IPV4
        self._refresh_at = 0.0
        self.pacing = True
        """Whether links may be paced; False: bandwidths are weights, whatever they are."""
        self.paced = False
        """Whether links are paced."""

    # What decides, where the native twin has its own.

    def _make_weighted(self) -> WeightedScheduler:
        return WeightedScheduler()

    def _make_paced(self, next_data_seq: int) -> PacedScheduler:
        return PacedScheduler(next_data_seq)

    def _make_fragments(self) -> FragmentTable:
        return FragmentTable()

    def _make_retransmissions(self) -> Retransmissions:
        return Retransmissions()

    @property
    def next_data_seq(self) -> int:
        """The number of the next packet that takes part in reordering."""
        return self._paced.next_data_seq

    @next_data_seq.setter
    def next_data_seq(self, value: int) -> None:
        self._paced.next_data_seq = value % _MODULUS

    @property
    def carrying(self) -> tuple[int, ...]:
        """The links in the schedule."""
        return self._weighted.links

    @property
    def waiting_bytes(self) -> int:
        """Bytes held back for a line."""
        return self._paced.waiting_bytes

    def set_filters(self, filters: Sequence[tuple[Matcher, int]]) -> None:
        """Filters in order, each with the number of its link."""
        self._filters = tuple(filters)
        self._forget_fragments()

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Rules in order, for packets that no filter takes."""
        self._rules = RuleTable(rules)
        self._forget_fragments()

    def _forget_fragments(self) -> None:
        self._fragments.clear()
        self._decisions = [_Decision()]

    def reschedule(self, chosen: Sequence[Path], now: float) -> None:
        """These links carry traffic from now on."""
        paths = list(self._paths.values())
        self._chosen = list(chosen)
        weights = effective_weights(path.parameters.bandwidth for path in paths)
        by_number = {path.number: weight for path, weight in zip(paths, weights, strict=True)}
        self._weighted.set_links({path.number: by_number[path.number] for path in chosen})
        was_paced = self.paced
        self.paced = self.pacing and bool(paths) and all(path.parameters.bandwidth >= MIN_PACED_RATE for path in paths)
        if was_paced and not self.paced:
            self.flush(now)
        self._refresh(now)

    def send(self, packets: Sequence[bytes], now: float) -> None:
        """Takes packets from the interface."""
        layer2, directs = self._layer2, bool(self._filters or self._rules.rules)
        if max(map(len, packets), default=0) > _LONGEST:
            self.drops[DropReason.TOO_LONG] += sum(len(packet) > _LONGEST for packet in packets)
            packets = [packet for packet in packets if len(packet) <= _LONGEST]
        if not self.paced:
            self._weighted.begin_burst(len(packets))
            if not directs and packets:
                self._send_weighted(packets)
                return
        for packet in packets:
            kind, flow = classify(packet, layer2=layer2)
            if directs and self._direct(packet, kind, flow, now):
                continue
            if self.paced:
                self._paced.put(kind, flow, packet, self._size(packet), int(now * SECOND))
            else:
                self._send_weighted([packet])
        self.pump(now)

    def pump(self, now: float) -> None:
        """Sends what is due. Call it when `due` has come, and after any input."""
        if not self.paced:
            return
        if now >= self._refresh_at:
            self._refresh(now)
        paths, emit = self._paths, self._emit
        layer2, note, at = self._layer2, None, int(now * SECOND)
        if len(self._chosen) > 1 and not self._paced.is_settling(at):
            note = self.retransmissions.sent
        for number, item in self._paced.take(at):
            if item.reorder and note is not None and (name := segment_name(item.packet, layer2=layer2)) is not None:
                note(number, name, item.size)
            emit(paths[number], item.packet, item.reorder, item.data_seq)
        self._note_full()

    def _note_full(self) -> None:
        """Counts what the schedule has dropped."""
        if dropped := self._paced.dropped:
            self._paced.dropped = 0
            self.drops[DropReason.QUEUE_FULL if self._chosen else DropReason.NO_LINK] += dropped

    def due(self) -> float | None:
        """When `pump` has something to send, or None while nothing waits."""
        due = self._paced.due()
        return None if due is None else (due + ROUNDING) / SECOND

    def _size(self, packet: bytes) -> int:
        """Bytes on the line."""
        return self._outer + HEADER_SIZE + len(packet) + MAC_SIZE

    def _send_weighted(self, packets: Sequence[bytes]) -> None:
        for packet in packets:
            number = self._weighted.pick(HEADER_SIZE + len(packet) + MAC_SIZE)
            if number is None:
                self.drops[DropReason.NO_LINK] += 1
                continue
            data_seq = self.next_data_seq
            self.next_data_seq = (data_seq + 1) % _MODULUS
            self._emit(self._paths[number], packet, True, data_seq)  # noqa: FBT003

    # Filters and rules.

    def _direct(self, packet: bytes, kind: Kind, flow: int, now: float) -> bool:
        """Sends or drops a packet that a filter or a rule matches; False: the packet is for the schedule."""
        piece = piece_of(packet, layer2=self._layer2) if kind is Kind.BULK else None
        plain, name, is_first = piece or _WHOLE
        decision = self._decision(packet, plain, name, now, is_first=is_first) if name else None
        if decision is not None:
            number = next(filter(self._usable, decision.links), None)
            rule = decision.rule
        else:
            asked = (
                number for matcher, number in self._filters if self._usable(number) and matcher.matches(packet, plain)
            )
            number = next(asked, None)
            rule = self._rules.match(packet, plain) if number is None else None
        if number is not None:
            self._send_on(number, packet, kind, flow, now)
            return True
        return rule is not None and self._obey(rule, packet, kind, flow, now)

    def _decision(
        self, packet: bytes, plain: bytes | None, name: bytes, now: float, *, is_first: bool
    ) -> _Decision | None:
        """A fragment's decision: made now for the first of its datagram, and kept for later ones; None: unknown."""
        if not is_first:
            known = self._fragments.find(name, now)
            return None if known is None else self._decisions[known]
        links = tuple(number for matcher, number in self._filters if matcher.matches(packet, plain))
        made = _Decision(links, self._rules.match(packet, plain))
        if made not in self._decisions:
            if len(self._decisions) == _MOST_DECISIONS:
                self._forget_fragments()
            self._decisions.append(made)
        self._fragments.note(name, self._decisions.index(made), now)
        return made

    def _obey(self, rule: Rule, packet: bytes, kind: Kind, flow: int, now: float) -> bool:
        """Does what a rule says; False: none of its links can carry, so the packet is for the schedule."""
        if rule.action is Action.DROP:
            self.drops[DropReason.RULE] += 1
            return True
        carrying = self.carrying
        allowed = [number for number in rule.links or carrying if number in carrying]
        allowed = allowed or [number for number in rule.links if self._usable(number)]
        if not allowed:
            return False
        if rule.action is Action.DUPLICATE and self.duplicates and len(allowed) > 1:
            copy, self._next_copy = self._next_copy, (self._next_copy + 1) % _MODULUS
            for number in allowed:
                self._send_on(number, packet, kind, flow, now, data_seq=copy)
            return True
        number = allowed[0]
        if rule.action is Action.PIN:
            number = self._pins.link_of(flow, allowed, lambda: self._least_loaded(allowed, now), now)
        self._send_on(number, packet, kind, flow, now)
        return True

    def _usable(self, number: int) -> bool:
        path = self._paths.get(number)
        return path is not None and path.up and path.parameters.enabled

    def _least_loaded(self, numbers: Sequence[int], now: float) -> int:
        """The link of these on which a new flow begins best."""
        if self.paced:
            return self._paced.earliest(numbers, int(now * SECOND))
        picked = self._weighted.pick(1)
        return picked if picked is not None and picked in numbers else numbers[0]

    def _send_on(self, number: int, packet: bytes, kind: Kind, flow: int, now: float, *, data_seq: int = 0) -> None:
        if self.paced and number in self.carrying:
            item = Item(packet, self._size(packet), data_seq, reorder=False)
            self._paced.put_on(number, item, flow, int(now * SECOND), first=kind in _FIRST or data_seq > 0)
        else:
            self._emit(self._paths[number], packet, False, data_seq)  # noqa: FBT003

    def _refresh(self, now: float) -> None:
        """Updates the lines from their links' round trips and losses."""
        self._refresh_at = now + REFRESH_INTERVAL
        chosen = self._chosen
        if not self.paced:
            return
        self._outer = OUTER_IPV6 if any(is_ipv6(path.peer) for path in chosen) else OUTER_IPV4
        known = [path.rtt.srtt_ms for path in chosen if path.rtt.has_sample]
        unknown = max(known, default=0.0)
        harmful = self.retransmissions.judge({path.number: path.parameters.bandwidth for path in chosen}, now)
        lines = {}
        for path in chosen:
            rtt, limits = path.rtt.srtt_ms if path.rtt.has_sample else unknown, path.parameters
            least = path.rtt.min_rtt_ms
            path.retransmitted, path.spare = self.retransmissions.share(path.number), path.number in harmful
            lines[path.number] = LineParameters(
                limits.bandwidth, int(rtt * 500_000), limits.priority, path.spare, int(least * 500_000)
            )
        self._paced.set_lines(lines, int(now * SECOND))
        self._note_full()  # packets dropped with lines that are gone count at once

    def flush(self, now: float) -> None:
        """Sends at once what is held back for its line, as pacing or the process ends."""
        for number, item in self._paced.drain(int(now * SECOND)):
            self._emit(self._paths[number], item.packet, item.reorder, item.data_seq)
