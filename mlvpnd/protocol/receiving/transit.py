"""How long the packets of one link are on their way to us, and how far they overtake each other.

Every packet carries its sender's clock, so `arrival - stamp` is its one-way transit plus an offset that nobody knows.
All links of a peer share its clock, and thus the offset. So the difference between links is known: a hole in the common
numbering must be waited for so long. A round trip would count the other direction too.

Stamps are not authentic. A stamp counts if its transit is near the one before it, or if the next stamp says so too.
Else somebody could make all links wait by one packet of one link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mlvpnd.protocol.wire.constants import NO_TIMESTAMP

LOW_SPAN = 5.0
"""Seconds, or up to twice as many, for which the quickest packet is remembered. Clocks drift by less than a millisecond
meanwhile, and a line's route may change."""
HIGH_SPAN = 1.25
"""Seconds, or up to twice as many, for which the slowest packet is remembered. With a KEEPALIVE a second there always
is one."""
DISORDER_SPAN = 2.5
"""Seconds, or up to twice as many, for which a link's packets are waited for after one was overtaken."""
STEP = 1.0
"""Milliseconds by which a transit must rise to be news: stamps are no finer."""
JUMP = 100.0
"""Milliseconds from one transit to the next, beyond which the change counts only if the packet after says so too."""
NEW_CLOCK = 5000.0
"""Milliseconds from one transit to the next by which no line changes: the peer's clock was set."""
MAX_GAPS = 64
"""Gaps in a link's numbers that are remembered; of a packet from an older gap only the least lateness is known."""
_PERIOD = 65536.0
_HALF = _PERIOD / 2
_NONE = float("-inf")


class RecentMax:
    """The largest value of the last `span` to 2 `span` seconds."""

    __slots__ = ("_before", "_floor", "_span", "newest", "turn_at")

    def __init__(self, span: float, floor: float) -> None:
        self._span = span
        self._floor = self._before = floor
        """The value where there is none."""
        self.newest = floor
        """The largest since the last turn."""
        self.turn_at = _NONE
        """Until then no value below `newest` changes anything."""

    def add(self, value: float, now: float) -> None:
        """Takes a value."""
        if now >= self.turn_at:
            self._turn(now)
        if value > self.newest:
            self.newest = value

    def at(self, now: float) -> float:
        """The largest of the time before `now`."""
        if now >= self.turn_at:
            self._turn(now)
        return self.last

    @property
    def last(self) -> float:
        """The largest of the time before the last `add`, however long ago that is."""
        return max(self.newest, self._before)

    def _turn(self, now: float) -> None:
        self._before = self.newest if now < self.turn_at + self._span else self._floor
        self.newest = self._floor
        self.turn_at = now + self._span


class Transit:
    """The lowest and the highest transit of a link lately, in milliseconds, with the unknown offset."""

    __slots__ = ("_high", "_jump", "_last", "_low", "_noted", "has_sample")

    def __init__(self) -> None:
        self.has_sample = False
        self._last = 0.0
        """The newest believed transit. It is free of the stamps' modulus: it goes on from the link's earlier ones."""
        self._jump = 0.0
        """How far the last packet's transit was from `_last`, if that was too far to be believed alone."""
        self._begin()

    def _begin(self) -> None:
        self._low = RecentMax(LOW_SPAN, _NONE)  # of the negated transit
        self._high = RecentMax(HIGH_SPAN, _NONE)
        self._noted = _NONE

    def received(self, timestamp: int, now: float) -> bool:
        """Takes the stamp of a packet that came at `now` seconds; whether its transit is above the noted one."""
        if timestamp == NO_TIMESTAMP:
            return False
        step = (now * 1000 - timestamp - self._last + _HALF) % _PERIOD - _HALF
        jump, self._jump = self._jump, 0.0
        if not -JUMP <= step <= JUMP and self.has_sample:
            if jump * step <= 0.0:
                self._jump = step
                return False
            step = min(jump, step, key=abs)
        if not -NEW_CLOCK < step < NEW_CLOCK:
            self._begin()
        self._last = transit = self._last + step
        low, high = self._low, self._high
        if -low.newest <= transit <= high.newest and now < low.turn_at and now < high.turn_at:
            return False
        self.has_sample = True
        low.add(-transit, now)
        high.add(transit, now)
        return transit > self._noted + STEP

    def note(self) -> None:
        """Notes the highest transit: only a higher one is news now."""
        self._noted = self._high.last

    def forget_high(self) -> None:
        """We stood still: packets that waited for us say nothing of the line."""
        self._high = RecentMax(HIGH_SPAN, _NONE)

    @property
    def low_ms(self) -> float:
        """The lowest transit. Compare it only with other links of the same peer, modulo 65536."""
        return -self._low.last

    @property
    def rise_ms(self) -> float:
        """How far the highest is above the lowest: the line's queue and jitter."""
        return max(self._high.last - self.low_ms, 0.0)


def spread_ms(transits: Iterable[Transit]) -> float:
    """Milliseconds that the slowest packet of these links may come after the quickest. 0 without samples."""
    sampled = [transit for transit in transits if transit.has_sample]
    if not sampled:
        return 0.0
    origin = sampled[0].low_ms
    lows = [(transit.low_ms - origin + _HALF) % _PERIOD - _HALF for transit in sampled]
    return max(low + transit.rise_ms for low, transit in zip(lows, sampled, strict=True)) - min(lows)


class Disorder:
    """How late packets of a link are that others of the same link have overtaken; 0 where it keeps order."""

    __slots__ = ("_gaps", "_late", "_newest")

    def __init__(self, newest: int) -> None:
        self._newest = newest
        self._gaps: deque[tuple[int, float]] = deque(maxlen=MAX_GAPS)
        """Of each gap: the first missing number, and when a greater one came."""
        self._late = RecentMax(DISORDER_SPAN, 0.0)

    def received(self, seq: int, now: float) -> bool:
        """Takes the link's own number of a packet; whether `seconds` has grown by it."""
        expected = self._newest + 1
        if seq >= expected:
            if seq > expected:
                self._gaps.append((expected, now))
            self._newest = seq
            return False
        since = next((at for first, at in reversed(self._gaps) if first <= seq), None)
        if since is None:
            if not self._gaps:  # it was on its way before the first that counts
                return False
            since = self._gaps[0][1]
        lateness, before = now - since, self._late.at(now)
        self._late.add(lateness, now)
        return lateness > before

    def seconds(self, now: float) -> float:
        """The most of late."""
        return self._late.at(now)
