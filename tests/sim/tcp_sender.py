"""A TCP that always has something to send: SACK scoreboard, RACK, proportional rate reduction, and undo.

It finds losses as Linux does (RFC 8985): a segment is lost if one that left later has arrived, and the reordering
window is over. That is 0 until reordering was seen, then a quarter of the least round trip; each D-SACK widens it.
What was repeated in vain (D-SACK, or an echo older than the repetition) undoes the smaller window.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import ceil

from tests.bench.bonding.profiles import TCP_PAYLOAD

from . import packets
from .clock import START
from .control import Control, Sample
from .host import Host
from .packets import Segment

DUPLICATES = 3
"""Segments behind a hole that make it a loss, while nothing was ever reordered."""
LEAST_TIMEOUT, MOST_TIMEOUT, FIRST_TIMEOUT = 0.2, 60.0, 1.0
QUANTUM = 0.001
"""Seconds of a pacing burst, as Linux' TSO."""
_MODULUS = 1 << 32
_NONE = -1.0


class _Sent:
    """A segment that is under way, by its last transmission."""

    __slots__ = ("again", "at", "delivered", "delivered_at", "first_at", "lost", "repeated", "sacked")

    def __init__(self) -> None:
        self.sacked = self.lost = self.again = self.repeated = False
        self.at = self.first_at = self.delivered_at = 0.0
        self.delivered = 0


class TcpSender:
    """One flow. Segments are counted from 0, each full."""

    def __init__(self, host: Host, port: int, control: Control) -> None:
        self._host, self._clock, self._ports = host, host.clock, (port, port)
        self.control = control
        self.una = self.next = 0
        self.retransmitted = 0
        self.undone = 0
        self._segments: dict[int, _Sent] = {}
        self._order: deque[tuple[float, int]] = deque()
        """Transmissions in the order of time, some of them stale."""
        self._repeat: list[int] = []
        """Lost segments, a heap."""
        self._sacked = self._lost = self._again = 0
        self._done_blocks: dict[int, int] = {}
        """Begins of SACK blocks, and how far each was looked at."""
        self._highest = 0
        """The segment behind the highest one that was acknowledged in any way."""
        self._delivered, self._delivered_at, self._first_at = 0, 0.0, 0.0
        self._rack_at, self._rack_index, self._rack_rtt = _NONE, 0, 0.0
        self._reordered, self._steps = False, 1
        self._least_rtt, self._srtt, self._rttvar = float("inf"), 0.0, 0.0
        self._recovers_until: int | None = None
        self._timed_out = False
        self._prr_delivered = self._prr_out = 0
        self._prr_prior = 1.0
        self._repeated_at = _NONE
        """When the first repetition of this recovery left."""
        self._to_undo = 0
        self._undo_open = False
        self._backoff = 0
        self._timeout_at = self._timer_at = float("inf")
        self._rack_timer_at = float("inf")
        self._free_at, self._paced_timer = 0.0, False
        self._stopped = False
        host.listen(port, self._take)

    @property
    def pipe(self) -> int:
        """Segments that are thought to be under way."""
        return self.next - self.una - self._sacked - self._lost + self._again

    @property
    def recovering(self) -> bool:
        """Whether a loss is being repaired."""
        return self._recovers_until is not None

    def start(self, _: object = None) -> None:
        """Begins to send."""
        self._push()
        self._host.flush()

    def stop(self) -> None:
        """Sends nothing any more."""
        self._stopped = True

    # Sending.

    def _push(self) -> None:
        control, now = self.control, self._clock.now
        burst = max(2, int(control.rate * QUANTUM)) if control.rate < float("inf") else 0
        left = burst
        while self.pipe < control.cwnd and not self._stopped:
            if burst:
                if now < self._free_at or not left:
                    self._wait_for_pace()
                    break
                left -= 1
            index = self._take_lost()
            if index is None:
                index = self.next
                self.next += 1
                self._segments[index] = _Sent()
            self._send(index, now)
        if burst > left:
            self._free_at = max(self._free_at, now) + (burst - left) / control.rate
            if not left and self.pipe < control.cwnd:
                self._wait_for_pace()

    def _wait_for_pace(self) -> None:
        if not self._paced_timer:
            self._paced_timer = True
            self._clock.at(max(self._free_at, self._clock.now), self._on_pace)

    def _on_pace(self, _: None) -> None:
        self._paced_timer = False
        if self._clock.now < self._free_at:
            self._wait_for_pace()
            return
        self._push()
        self._host.flush()

    def _take_lost(self) -> int | None:
        while self._repeat:
            index = heapq.heappop(self._repeat)
            segment = self._segments.get(index)
            if segment is not None and segment.lost and not segment.again:
                segment.again = segment.repeated = True
                self._again += 1
                self._to_undo += 1
                self.retransmitted += 1
                if self._repeated_at == _NONE:
                    self._repeated_at = self._clock.now
                return index
        return None

    def _send(self, index: int, now: float) -> None:
        segment, host = self._segments[index], self._host
        if not self._delivered_at or self.pipe <= 1:
            self._first_at = self._delivered_at = now
        segment.at, segment.first_at = now, self._first_at
        segment.delivered, segment.delivered_at = self._delivered, self._delivered_at
        self._order.append((now, index))
        self._prr_out += 1
        if self._timeout_at == float("inf"):
            self._arm(now)
        words = Segment(index * TCP_PAYLOAD % _MODULUS, 1, int((now - START) * 1e6) % _MODULUS, 0)
        host.out.append(packets.data(host.number(), host.addresses, self._ports, words))

    # ACKs.

    def _take(self, packet: bytes) -> None:
        _, ack, _, echo = packets.read_segment(packet)
        now, una = self._clock.now, self.una
        acked_to = una + self._segments_from(una, ack)
        found = _Found()
        for index in range(una, acked_to):
            segment = self._segments.pop(index)
            if segment.sacked:
                self._sacked -= 1
            else:
                self._delivered_one(index, segment, found)
        advanced = acked_to > una
        if advanced:
            self.una = acked_to
            self._highest = max(self._highest, acked_to)
            self._backoff = 0
            self._arm(now)
        duplicate = self._take_blocks(packets.read_blocks(packet), acked_to, found)
        self._measure(found, now)
        lost = self._find_lost(now)
        self._undo_what_was_not_lost(echo, duplicate=duplicate, advanced=advanced)
        if lost and not self.recovering:
            self._begin_recovery(now)
        if self._recovers_until is not None and self.una >= self._recovers_until:
            if not self._timed_out or self.control.owns_window:
                self.control.on_recovered()
            self._recovers_until, self._timed_out = None, False
        recovering = self.recovering and not self._timed_out
        if found.count and not self._sacked:
            self._done_blocks.clear()
        sample = Sample(
            now, found.count, lost, self.pipe, found.rtt, found.rate, found.prior, self._delivered, self.una, self.next
        )
        self.control.on_ack(sample, recovering=recovering)
        if recovering and not self.control.owns_window:
            self._reduce(found.count, lost, advanced=advanced)
        self._push()

    def _segments_from(self, base: int, seq: int) -> int:
        """Whole segments from a segment to a sequence number; negative for an older one."""
        distance = (seq - base * TCP_PAYLOAD) % _MODULUS
        if distance >= _MODULUS // 2:
            distance -= _MODULUS
        return distance // TCP_PAYLOAD

    def _delivered_one(self, index: int, segment: _Sent, found: _Found) -> None:
        self._delivered += 1
        found.count += 1
        if segment.lost:
            self._lost -= 1
        if segment.again:
            self._again -= 1
        if index < self._highest and not segment.repeated:
            self._reordered = True
        if segment.at >= found.newest_at:
            found.newest_at, found.newest, found.index = segment.at, segment, index

    def _take_blocks(self, blocks: list[tuple[int, int]], acked: int, found: _Found) -> bool:
        """Marks what SACK blocks name; returns whether the first one is a D-SACK."""
        ranges = [tuple(self.una + self._segments_from(self.una, seq) for seq in block) for block in blocks]
        duplicate = bool(ranges) and (
            ranges[0][0] < acked or (len(ranges) > 1 and ranges[1][0] <= ranges[0][0] and ranges[0][1] <= ranges[1][1])
        )
        for begin, end in ranges[duplicate:]:
            looked = self._done_blocks.get(begin, begin)
            for index in range(max(looked, self.una), end):
                segment = self._segments.get(index)
                if segment is not None and not segment.sacked:
                    self._delivered_one(index, segment, found)
                    segment.sacked, segment.lost, segment.again = True, False, False
                    self._sacked += 1
            self._done_blocks[begin] = end
            self._highest = max(self._highest, end)
        return duplicate

    def _measure(self, found: _Found, now: float) -> None:
        newest = found.newest
        if newest is None:
            return
        rtt = now - newest.at
        self._delivered_at = now
        self._first_at = newest.at
        if not newest.repeated:
            found.rtt = rtt
            self._least_rtt = min(self._least_rtt, rtt)
            if self._srtt:
                self._rttvar += (abs(rtt - self._srtt) - self._rttvar) / 4
                self._srtt += (rtt - self._srtt) / 8
            else:
                self._srtt, self._rttvar = rtt, rtt / 2
        found.prior = newest.delivered
        span = max(newest.at - newest.first_at, now - newest.delivered_at)
        if span >= self._least_rtt * 0.99 > 0:
            found.rate = (self._delivered - newest.delivered) / span
        if newest.at >= self._rack_at and not (newest.repeated and rtt < self._least_rtt):
            self._rack_at, self._rack_index, self._rack_rtt = newest.at, found.index, rtt

    # Losses.

    def _window(self) -> float:
        """Seconds of RACK's reordering window."""
        if not self._reordered and (self.recovering or self._sacked >= DUPLICATES):
            return 0.0
        return min(self._least_rtt / 4 * self._steps, self._srtt)

    def _find_lost(self, now: float) -> int:
        if self._rack_at == _NONE:
            return 0
        order, segments, count = self._order, self._segments, 0
        patience = self._rack_rtt + self._window()
        while order:
            at, index = order[0]
            segment = segments.get(index)
            if segment is None or segment.sacked or segment.at != at or (segment.lost and not segment.again):
                order.popleft()
                continue
            if at > self._rack_at or (at == self._rack_at and index > self._rack_index):
                break
            if (left := patience - (now - at)) > 1e-9:
                self._look_again(now + left)
                break
            order.popleft()
            self._lose(index, segment)
            count += 1
        return count

    def _lose(self, index: int, segment: _Sent) -> None:
        if segment.again:
            segment.again = False
            self._again -= 1
        else:
            segment.lost = True
            self._lost += 1
        heapq.heappush(self._repeat, index)

    def _look_again(self, at: float) -> None:
        if at < self._rack_timer_at:
            self._rack_timer_at = at
            self._clock.at(at, self._on_rack)

    def _on_rack(self, _: None) -> None:
        now = self._clock.now
        if now < self._rack_timer_at:
            return
        self._rack_timer_at = float("inf")
        if self._find_lost(now):
            if not self.recovering:
                self._begin_recovery(now)
                if not self.control.owns_window:
                    self._reduce(0, 1, advanced=False)
            self._push()
            self._host.flush()

    def _begin_recovery(self, now: float) -> None:
        self._recovers_until = self.next
        self._prr_prior = max(1.0, self.control.cwnd)
        self._prr_delivered = self._prr_out = 0
        self._begin_undo()
        self.control.on_loss(now)

    def _begin_undo(self) -> None:
        self._undo_open, self._repeated_at = True, _NONE
        self._to_undo = self._again

    def _reduce(self, acked: int, lost: int, *, advanced: bool) -> None:
        """Proportional rate reduction: the window of RFC 6937."""
        control, pipe = self.control, self.pipe
        self._prr_delivered += acked
        room = control.ssthresh - pipe
        if room < 0:
            count = ceil(control.ssthresh * self._prr_delivered / self._prr_prior) - self._prr_out
        else:
            count = max(self._prr_delivered - self._prr_out, acked)
            count = min(int(room), count + (advanced and not lost))
        control.cwnd = pipe + max(count, 0 if self._prr_out else 1)

    def _undo_what_was_not_lost(self, echo: int, *, duplicate: bool, advanced: bool) -> None:
        if duplicate:
            self._reordered = True
            self._steps = min(self._steps + 1, 255)
            self._to_undo -= self._to_undo > 0
        if not self._undo_open or self._repeated_at == _NONE:
            return
        age = (int((self._repeated_at - START) * 1e6) - echo) % _MODULUS
        original = advanced and self.recovering and 0 < age < _MODULUS // 2
        if not (original or (duplicate and not self._to_undo)):
            return
        self.undone += 1
        self._undo_open = False
        self._recovers_until, self._timed_out = None, False
        for segment in self._segments.values():
            if segment.lost and not segment.again:
                segment.lost = False
                self._lost -= 1
        self._repeat.clear()
        self._order = deque(sorted((one.at, index) for index, one in self._segments.items() if not one.sacked))
        self.control.undo()

    # The retransmission's timer.

    def _arm(self, now: float) -> None:
        if self.next == self.una:
            self._timeout_at = float("inf")
            return
        span = self._srtt + max(4 * self._rttvar, LEAST_TIMEOUT) if self._srtt else FIRST_TIMEOUT
        self._timeout_at = now + min(span * 2**self._backoff, MOST_TIMEOUT)
        if self._timeout_at < self._timer_at:
            self._timer_at = self._timeout_at
            self._clock.at(self._timer_at, self._on_timer)

    def _on_timer(self, _: None) -> None:
        now = self._clock.now
        if now < self._timer_at:
            return
        self._timer_at = float("inf")
        if now < self._timeout_at:
            if self._timeout_at < float("inf"):
                self._timer_at = self._timeout_at
                self._clock.at(self._timer_at, self._on_timer)
            return
        self.control.on_timeout(now)
        for index, segment in self._segments.items():
            if not segment.sacked and (segment.again or not segment.lost):
                self._lose(index, segment)
        self._order.clear()
        self._recovers_until, self._timed_out = self.next, True
        self._begin_undo()
        self._backoff += 1
        self._arm(now)
        self._push()
        self._host.flush()


class _Found:
    """What one ACK acknowledges."""

    __slots__ = ("count", "index", "newest", "newest_at", "prior", "rate", "rtt")

    def __init__(self) -> None:
        self.count = self.prior = self.index = 0
        self.newest: _Sent | None = None
        self.newest_at = _NONE
        self.rtt = self.rate = 0.0
