"""Which link carries a packet, and when, where all links' rates are known: earliest delivery, in order.

Each line is paced at its rate, so no queue builds up in a modem. A packet of the common stream is committed to the line
by which it will arrive first. What the line has to send already counts at its rate, and then the line's delay. Lines
are committed ahead by the farthest line's delay and `SLACK`, and no further. So packets of one flow arrive in order
although lines differ. All the rest waits in one queue, where flows share fairly and small packets pass.

- Express are: small packets that are not TCP, bare acknowledgements, and segments of a TCP flow that has only short
  ones. They go first on the line that delivers them first, without a number. Their flow must take less than its fair
  share.
- Bulk is held for a near line for so long that a flow which keeps queues short fills the far lines too.
- A flow may fill the near lines for long while others are too far for a hold. It is then delivered as late as by the
  far lines (`stretch.py`). Meanwhile all other flows pass it on the near lines, without numbers.
- Lines of a higher `priority` take what overflows the lower ones. They open when so much waits for the lower ones that
  a packet would arrive `OVERFLOW` later by them. Within a priority, spare lines take what overflows the others. They
  open when so much waits that the other lines stay full after a loss.
- Packets that were given to a line that leaves go back into the common queue, before younger packets of their flow.
  They keep their numbers. As many stay as may wait for the remaining lines. Express packets go first again, as far as
  they leave room for new ones.
- What is committed ahead has a bound, whatever round trips the peer makes us believe.

All numbers are integers, and times are arguments: the native twin makes the same decisions, packet for packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlvpnd.protocol.wire.inner import Kind

from .flow_queue import BUCKETS, UNNUMBERED, FlowQueue, Waiting
from .line import EXPRESS_LIMIT, LEAST_LIMIT, SECOND, Item, Line
from .stretch import Stretch

SLACK = 4_000_000
"""Nanoseconds that even the farthest line is committed ahead, so that it has work until the next turn."""
QUEUE_TIME = 100_000_000
"""Nanoseconds, at the rate of all lines together, that may wait in the common queue. TCP needs this much to fill lines
with 200 ms of round trip (CUBIC leaves 0.7 of its window after a loss)."""
OVERFLOW = 15_000_000
"""Nanoseconds that a packet must arrive later by the lower priority before a higher one takes it."""
WAIT_SHARE = 50
"""Percent of the lines' round trip that a packet must wait before a spare line takes it, see `_patience`. BBR still
finds all lines, for it begins with 1.9 round trips in the queue."""
ALIKE = 150
"""Percent of the nearest line's delay, up to which another line counts in the round trip of `WAIT_SHARE`."""
LONGEST_WAIT = 60_000_000
"""Nanoseconds: cap on the wait by `WAIT_SHARE`; it must stay below `QUEUE_TIME`."""
WORTH = 2
"""Factor: flows are stretched only where the near lines have at most this many times the far lines' rate."""
SPARSE = 1_000_000_000
"""Nanoseconds without a `BULK` packet after which the short segments of a TCP flow go first: someone types."""
HOLD_SHARE = 65
"""Percent of a far line's round trip: as long is a near line's while bulk is held for it, see `_set_holds`."""
LONGEST_HOLD = 30_000_000
"""Nanoseconds: cap on a hold; a far line for which it would be longer is left to flows that fill queues."""
STICKY = 2_000_000
"""Nanoseconds by which another line must be earlier before express packets change to it: fewer overtake each other."""
FAIR_BURST = 20_000_000
"""Nanoseconds of its fair share that a flow may take at once and still go first."""
RESCUED_TIME = 10_000_000
"""Nanoseconds of line time up to which a line's `express` takes express packets of a line that is gone. Half of
`EXPRESS_LIMIT`: a small packet that comes then finds room, and leaves within 25 ms or two packets' time."""
LONGEST_DELAY = 500_000_000
"""Nanoseconds: cap on a line's delay. The receiver waits no longer for a line (`receiver.py`, MAX_WAIT). What is
committed to the other lines grows with the delay."""
MOST_AHEAD = 32_000_000
"""Bytes: cap on what is committed to all lines together, and on the common queue as enlarged for stretched flows.
At 100 MB/s, the difference between a satellite and a near line needs so much."""


@dataclass(frozen=True, slots=True)
class LineParameters:
    """What a line is made of; see `Line`."""

    rate: int
    delay: int
    priority: int = 0
    spare: bool = False
    """It loses a little, and takes what overflows the other lines of its priority."""
    least_delay: int = 0
    """`delay` without queues; 0: not known, `delay` counts."""


class _Group(NamedTuple):
    """Lines that take packets of the common stream together."""

    lines: list[Line]
    rate: int
    nearest: int
    """The least delay."""
    horizon: int
    """Nanoseconds after its commit in which a packet must begin to arrive."""
    higher: list[Line]
    """The lines that open next."""
    before_spare: bool
    """The lines that open next are spare."""


class PacedScheduler:
    """Lines are known by a number. `next_data_seq` is the caller's number for the next packet of the common stream."""

    def __init__(self, next_data_seq: int) -> None:
        self.next_data_seq = next_data_seq
        self.dropped = 0
        """Packets dropped: a queue was full, or there was no line."""
        self._lines: dict[int, Line] = {}
        self._queue = FlowQueue(LEAST_LIMIT)
        self._fair: list[int] = [0] * BUCKETS
        """When each flow's share will have paid for what it has sent ahead of others."""
        self._bulk_at: list[int] = [-SPARSE] * BUCKETS
        """When each flow's last `BULK` packet came."""
        self._express_line = -1
        self._commit_at: int | None = None
        """When the next packet of the common queue can be committed, if nothing waits for its line."""
        self._rate = 0
        self._stretch = Stretch()
        self._reachable = 0
        """The delay of the farthest line of the lowest rank that is not too far."""
        self._near: list[Line] = []
        """The lines of the lowest rank that are not too far. Empty, unless others are too far and worth it."""
        self._near_rate = 0
        self._groups: list[_Group] = []
        """Each has the lines of the one before, and more."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes in the common queue and for the lines."""
        return self._queue.bytes + sum(
            line.committed_bytes + line.express_bytes + line.own.bytes for line in self._lines.values()
        )

    def is_settling(self, now: int) -> bool:
        """Whether packets have become later just now, so that TCP may send again what is not lost."""
        return self._stretch.is_settling(now)

    def set_lines(self, lines: Mapping[int, LineParameters], now: int) -> None:
        """Schedules over these lines from now on; a line that stays, at the same rate, keeps its packets."""
        gone = [line for number, line in self._lines.items() if number not in lines]
        kept: dict[int, Line] = {}
        for number, given in lines.items():
            line = self._lines.get(number)
            if line is None or line.rate != given.rate:
                fresh = Line(given.rate, given.delay, now)
                if line is not None:
                    gone.append(line)
                line = fresh
            line.delay, line.hold = min(given.delay, LONGEST_DELAY), 0
            line.least_delay = min(given.least_delay or given.delay, LONGEST_DELAY)
            kept[number] = line
        self._lines = kept
        self._commit_at = None
        self._rate = sum(line.rate for line in kept.values())
        self._queue.limit = max(LEAST_LIMIT, self._rate * QUEUE_TIME // SECOND)
        self._groups = _group((kept[number], given) for number, given in lines.items())
        self._stretch.forget(now)
        if kept:
            self._hold_back(now)
            self._rescue(gone, now)
            self.dropped += self._queue.trim()
        else:
            for line in gone:
                self.dropped += len(line.express) + len(line.committed)
                self._drop_queue(line.own)
            self._drop_queue(self._queue)

    def _rescue(self, gone: Iterable[Line], now: int) -> None:
        """Gives what waited for lines that are gone to the others."""
        committed: list[Waiting] = []
        own: list[Waiting] = []
        small: list[Waiting] = []
        for line in gone:
            committed += [(item.packet, item.size, item.data_seq, item.flow) for item in line.committed]
            while line.own.bytes:  # it was meant for this line only, but a late packet is better than none
                own.append(line.own.take())
            for item in line.express:
                first = self._lines[self._first_line(now)]
                if (first.express_bytes + item.size) * SECOND // first.rate <= RESCUED_TIME:
                    first.push_first(item)
                elif item.data_seq:  # a copy: it goes first or not at all, for another copy arrives
                    self.dropped += 1
                else:
                    small.append((item.packet, item.size, UNNUMBERED, item.flow))
        committed.sort(key=lambda waiting: waiting[2])
        for packet, size, number, flow in reversed(committed + own + small):
            self._queue.put_back(flow, packet, size, number)

    def put(self, kind: Kind, flow: int, packet: bytes, size: int, now: int) -> None:
        """Takes a packet that any line may carry."""
        if not self._lines:
            self.dropped += 1
        elif self._is_bulk(kind, flow, now) or not self._may_pass(flow, size, now):
            line = self._near_line(flow, size, now) if self._near else None
            self.dropped += (self._queue if line is None else line.own).push(flow, packet, size)
        else:
            self._lines[self._first_line(now)].push_first(Item(packet, size, 0, reorder=False, flow=flow % BUCKETS))

    def put_on(self, number: int, item: Item, flow: int, now: int, *, first: bool) -> None:
        """Takes a packet for one line: with `first` into its `express`, while there is room, else into its `own`."""
        line = self._lines[number]
        line.advance(now)
        if item.data_seq:  # a copy: it goes first or not at all, for another copy arrives
            if line.express_bytes * SECOND // line.rate < EXPRESS_LIMIT:
                line.push_first(item._replace(flow=flow % BUCKETS))
            else:
                self.dropped += 1
        elif first and line.express_bytes * SECOND // line.rate < EXPRESS_LIMIT:
            line.push_first(item._replace(flow=flow % BUCKETS))
        else:
            self.dropped += line.own.push(flow, item.packet, item.size)

    def take(self, now: int) -> list[tuple[int, Item]]:
        """The packets that leave now, each with its line, in the order of each line."""
        out: list[tuple[int, Item]] = []
        for line in self._lines.values():
            line.advance(now)
        self._commit(now)
        for number, line in self._lines.items():
            while (item := line.take(now)) is not None:
                out.append((number, item))
        if out and self._queue.bytes:
            self._commit(now)
        return out

    def earliest(self, numbers: Sequence[int], now: int) -> int:
        """Which of these lines delivers first. If none is ours: the first of them."""
        known = [number for number in numbers if number in self._lines]
        for number in known:
            self._lines[number].advance(now)
        return min(
            known, key=lambda number: self._lines[number].free_at + self._lines[number].delay, default=numbers[0]
        )

    def drain(self, now: int) -> list[tuple[int, Item]]:
        """All that waits, as if the time until it is due had passed."""
        out = self.take(now)
        while (due := self.due()) is not None:
            now = max(now, due)
            out += self.take(now)
        return out

    def due(self) -> int | None:
        """When `take` has something to give, or None while nothing waits."""
        due = min((line.due for line in self._lines.values() if line.busy), default=None)
        if not self._queue.bytes:
            return due
        if self._commit_at is not None:  # one packet takes a slow line longer than lines are committed ahead
            return self._commit_at if due is None else min(due, self._commit_at)
        return min(line.ready_at for line in self._groups[0].lines) if due is None else due

    def _is_bulk(self, kind: Kind, flow: int, now: int) -> bool:
        """Whether a packet takes part in the common stream, to keep its order."""
        if kind is Kind.BULK:
            self._bulk_at[flow % BUCKETS] = now
            return True
        return kind is Kind.SHORT and now - self._bulk_at[flow % BUCKETS] < SPARSE

    def _near_line(self, flow: int, size: int, now: int) -> Line | None:
        """The near line for a bulk packet that stretched flows must not delay; None: it takes the common stream."""
        stretch = self._stretch
        before = bool(stretch)
        carried = sum([line.sent for line in self._near])
        takes = stretch.admit(flow, size, now, carried, self._near_rate)
        if bool(stretch) is not before:
            self._hold_back(now)
        if takes or not stretch:
            return None
        for line in self._near:
            line.advance(now)
        return min(
            self._near,
            key=lambda line: line.ready_at + (line.express_bytes + line.own.bytes) * SECOND // line.rate + line.delay,
        )

    def _hold_back(self, now: int) -> None:
        lines = self._groups[0].lines
        self._reachable = _set_holds(lines)
        near = [line for line in lines if line.delay <= self._reachable]
        self._near_rate = sum([line.rate for line in near])
        far_rate = self._groups[0].rate - self._near_rate
        self._near = near if far_rate and far_rate * WORTH >= self._near_rate else []
        if self._near and self._stretch:
            farthest = max([line.delay for line in lines])
            self._queue.limit = max(self._queue.limit, min(self._rate * farthest // SECOND, MOST_AHEAD))
            for line in lines:
                line.hold = max(line.hold, min(farthest - line.delay, self._stretch.delay(now)))

    def _may_pass(self, flow: int, size: int, now: int) -> bool:
        """Whether a small packet goes first: its flow took no more than its share, and the line has room for it."""
        share = max(self._rate // (self._queue.flows + 1), 1)
        bucket = flow % BUCKETS
        paid = max(self._fair[bucket], now) + size * SECOND // share
        if paid - now > FAIR_BURST + size * SECOND // share:
            return False
        line = self._lines[self._first_line(now)]
        if line.express_bytes * SECOND // line.rate >= EXPRESS_LIMIT:
            return False
        self._fair[bucket] = paid
        return True

    def _first_line(self, now: int) -> int:
        """The line that delivers an express packet first."""
        best, best_at = -1, 0
        for number, line in self._lines.items():
            line.advance(now)
            at = line.express_at() + line.delay + (OVERFLOW if line.higher else 0)
            if number == self._express_line:
                at -= STICKY
            if best < 0 or at < best_at:
                best, best_at = number, at
        self._express_line = best
        return best

    def _commit(self, now: int) -> None:
        queue = self._queue
        self._commit_at = None
        if not queue.bytes:
            return
        room = MOST_AHEAD - sum([line.committed_bytes for line in self._lines.values()])
        while queue.bytes:
            group = self._open(now)
            horizon = now + group.horizon
            best: Line | None = None
            best_at = start = 0
            size = queue.next_size()
            for line in group.lines:
                begins = max(line.free_at, now + line.hold) + line.delay
                at = begins + size * SECOND // line.rate
                if best is None or at < best_at:
                    best, best_at, start = line, at, begins
            if best is None or size > room:
                return
            if start > horizon:
                if not best.busy:
                    self._commit_at = start - group.horizon
                return
            after = now + best.hold if best.hold else 0
            if best.higher:  # it may have been idle: what the lowest lines were given must arrive first
                before = min([line.free_at + line.delay for line in self._groups[0].lines])
                after = max(after, best.free_at + max(before - best_at, 0))
            packet, _, number, flow = queue.take()
            if number == UNNUMBERED:
                number = self.next_data_seq
                self.next_data_seq = (number + 1) & 0xFFFF_FFFF_FFFF_FFFF
            best.commit(Item(packet, size, number, reorder=True, after=after, flow=flow))
            room -= size

    def _open(self, now: int) -> _Group:
        """The lines that take packets of the common stream now."""
        for group in self._groups:
            higher = group.higher
            if not higher:
                break
            arrival = min([line.free_at + line.delay for line in group.lines])
            late = arrival - now + self._queue.bytes * SECOND // group.rate
            if group.before_spare and late < _patience(group, late, self._reachable):
                break
            earliest = min([max(line.free_at - now, 0) + line.delay for line in higher])
            if late < earliest + (0 if group.before_spare else OVERFLOW):
                break
        return group

    def _drop_queue(self, queue: FlowQueue) -> None:
        while queue.bytes:
            queue.pop()
            self.dropped += 1


def _patience(group: _Group, late: int, reachable: int) -> int:
    """How late a packet must arrive by these lines before a spare line takes it. Now it would be `late`.

    A loss cuts a flow's window to 0.7 (CUBIC, RFC 9438). The flow keeps these lines full if packets waited for 0.43 of
    its round trip when the loss came. The round trip is without queues: there by the farthest line in use, back by the
    nearest. A hold counts as time under way. Lines that are much farther do not count: a flow whose window fits the
    near lines (BBR) never comes so far. But far lines for whose sake packets are held, up to the `reachable` one, take
    some before spare lines do.
    """
    nearest = farthest = min([line.delay + line.hold for line in group.lines])
    alike = min(late, nearest * ALIKE // 100)
    for line in group.lines:
        if farthest < line.delay + line.hold <= alike:
            farthest = line.delay + line.hold
    wait = min(max((group.nearest + farthest) * WAIT_SHARE // 100, OVERFLOW), LONGEST_WAIT)
    return max(farthest + wait, reachable + SLACK)


def _set_holds(lines: Sequence[Line]) -> int:
    """Holds packets for near lines for so long that a flow which keeps queues short fills the far lines too.

    BBR has at most twice its rate times its least round trip under way (draft-ietf-ccwg-bbr). Delivery in order over
    a far line needs the far round trip times the rate. So the least round trip must be half of the far one and a
    little more. Acknowledgements come back by the nearest line. The least round trip knows no queue, so a near line's
    delay counts as it is without queues. But no packet is held so long that it arrives later than by the farthest
    line: where queues make all lines far, none would leave. Returns the delay of the farthest line that is not too far.
    """
    nearest = min(line.least_delay for line in lines)
    reachable = [line.delay for line in lines if _hold(nearest, nearest, line.delay) <= LONGEST_HOLD]
    farthest = max(reachable, default=0)
    for line in lines:
        line.hold = max(min(_hold(line.least_delay, nearest, farthest), farthest - line.delay), 0)
    return farthest


def _hold(delay: int, nearest: int, farthest: int) -> int:
    return (farthest + nearest) * HOLD_SHARE // 100 - nearest - delay


def _group(lines: Iterable[tuple[Line, LineParameters]]) -> list[_Group]:
    """Groups lines in the order in which they open: by priority, and within a priority the spare ones last."""
    by_rank: dict[tuple[int, bool], list[Line]] = {}
    for line, given in lines:
        by_rank.setdefault((given.priority, given.spare), []).append(line)
    ranks = sorted(by_rank)
    groups: list[_Group] = []
    together: list[Line] = []
    for place, rank in enumerate(ranks, 1):
        for line in by_rank[rank]:
            line.higher = place > 1
        together = together + by_rank[rank]
        following = ranks[place] if place < len(ranks) else None
        groups.append(
            _Group(
                together,
                sum(line.rate for line in together),
                min(line.delay for line in together),
                max(line.delay for line in together) + SLACK,
                by_rank[following] if following is not None else [],
                following is not None and following[1],
            )
        )
    return groups
