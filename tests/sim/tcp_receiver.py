"""The other end of a TCP flow: delayed ACKs, SACK and D-SACK blocks, a window that never is too small."""

from __future__ import annotations

from bisect import bisect_right

from tests.bench.bonding.profiles import TCP_PAYLOAD

from . import packets
from .clock import START
from .host import Host
from .packets import MOST_BLOCKS, Segment

DELAY = 0.04
"""Seconds after which an ACK leaves that waits for a second segment."""
EVERY = 2
QUICK = 16
"""Segments at the begin of which each has its ACK."""
_MODULUS = 1 << 32


class TcpReceiver:
    """Segments are counted from 0, each full."""

    def __init__(self, host: Host, port: int) -> None:
        self._host, self._clock, self._ports = host, host.clock, (port, port)
        self.next = 0
        """Segments that have come in order: what the application has got."""
        self.longest_gap = 0.0
        """Seconds for which nothing came to the application, since `watch`."""
        self._came_at = float("inf")
        self._ranges: list[list[int]] = []
        """Begin and end of what came behind holes, in order."""
        self._recent: list[list[int]] = []
        """The same, the last touched first."""
        self._unacked = 0
        self._echo = 0
        self._timer = False
        host.listen(port, self._take)

    @property
    def delivered(self) -> int:
        """Bytes that the application has got."""
        return self.next * TCP_PAYLOAD

    def watch(self) -> None:
        """Looks for the longest gap from now on."""
        self.longest_gap, self._came_at = 0.0, self._clock.now

    def gap(self) -> float:
        """Seconds of the longest gap, also of one that lasts."""
        return max(self.longest_gap, self._clock.now - self._came_at)

    def _take(self, packet: bytes) -> None:
        seq, _, stamp, _ = packets.read_segment(packet)
        distance = (seq - self.next * TCP_PAYLOAD) % _MODULUS
        if distance >= _MODULUS // 2:
            distance -= _MODULUS
        index = self.next + distance // TCP_PAYLOAD
        if index != self.next:
            self._ack(self._duplicate(index) if index < self.next or self._has(index) else self._keep(index))
            return
        now, had_holes = self._clock.now, bool(self._ranges)
        self.longest_gap = max(self.longest_gap, now - self._came_at)
        self._came_at = now
        if not self._unacked:
            self._echo = stamp
        self._unacked += 1
        self.next += 1
        if had_holes and self._ranges[0][0] == self.next:
            first = self._ranges.pop(0)
            self._recent = [one for one in self._recent if one is not first]
            self.next = first[1]
        if had_holes or self._unacked >= EVERY or self.next <= QUICK:
            self._ack(self._blocks())
        elif not self._timer:
            self._timer = True
            self._clock.at(now + DELAY, self._on_delay)

    def _has(self, index: int) -> bool:
        place = bisect_right(self._ranges, index, key=_begin) - 1
        return place >= 0 and index < self._ranges[place][1]

    def _keep(self, index: int) -> list[tuple[int, int]]:
        """Takes a segment behind a hole."""
        ranges = self._ranges
        place = bisect_right(ranges, index, key=_begin)
        before = ranges[place - 1] if place else None
        after = ranges[place] if place < len(ranges) else None
        if before is not None and before[1] == index:
            touched = before
            touched[1] = index + 1
        else:
            touched = [index, index + 1]
            ranges.insert(place, touched)
            place += 1
        joined = None
        if after is not None and after[0] == touched[1]:
            touched[1], joined = after[1], after
            ranges.pop(place)
        if joined is not None or not self._recent or self._recent[0] is not touched:
            self._recent = [touched, *(one for one in self._recent if one is not touched and one is not joined)]
        return self._blocks()

    def _duplicate(self, index: int) -> list[tuple[int, int]]:
        """A D-SACK block, and others."""
        return [self._seqs(index, index + 1), *self._blocks()][:MOST_BLOCKS]

    def _blocks(self) -> list[tuple[int, int]]:
        return [self._seqs(*one) for one in self._recent[:MOST_BLOCKS]]

    @staticmethod
    def _seqs(begin: int, end: int) -> tuple[int, int]:
        return begin * TCP_PAYLOAD % _MODULUS, end * TCP_PAYLOAD % _MODULUS

    def _on_delay(self, _: None) -> None:
        self._timer = False
        if self._unacked:
            self._ack(self._blocks())
            self._host.flush()

    def _ack(self, blocks: list[tuple[int, int]]) -> None:
        host = self._host
        self._unacked = 0
        stamp = int((self._clock.now - START) * 1e6) % _MODULUS
        words = Segment(1, self.next * TCP_PAYLOAD % _MODULUS, stamp, self._echo)
        host.out.append(packets.ack(host.number(), host.addresses, self._ports, words, blocks))


def _begin(one: list[int]) -> int:
    return one[0]
