"""Loss on the way in: what the peer has sent of late, by its sequence numbers, against what has come."""

from __future__ import annotations

from collections import deque

BUCKET = 0.1
"""Seconds of packets that are counted together."""
WINDOW = 2.5
"""Seconds that count, at least: a line's loss is remembered for so long."""
LEAST = 64
"""Packets that count, at least, however long ago they were sent: upstream judges by as many."""
CHANCE = 8
"""Packets that a line may lose, or not lose, by chance. With 1 % loss and 50 packets a second, so many more than 5 % of
the last 2.5 s are lost less than once in years. 20 % loss shows after 0.7 s at 1700 packets a second, 1.5 s at 50."""
JUMP = 1 << 17
"""Numbers; where a peer skips more, its process was replaced, and numbers from the clock."""

_NOWHERE = -2 * JUMP
"""From here every number is a jump."""


class _Bucket:
    __slots__ = ("before", "begun_at", "received")

    def __init__(self, begun_at: float, before: int) -> None:
        self.begun_at = begun_at
        self.before = before
        """The newest number that had come before it began."""
        self.received = 0


class LossMeter:
    """Counts the numbers of one flow after `first`. Each comes once, which the replay window sees to.

    A number counts as sent when it or a higher one comes. It counts as received whenever it comes while it is
    remembered: a packet that was overtaken is not lost.
    """

    __slots__ = ("_buckets", "_current", "_paused_until", "newest")

    def __init__(self, first: int) -> None:
        self._paused_until = float("-inf")
        self._begin(first)

    def _begin(self, first: int) -> None:
        self.newest = first
        self._current = _Bucket(float("-inf"), first)
        self._buckets = deque([self._current])

    def received(self, seq: int, now: float, others: int = 0) -> None:
        """Notes an authentic packet. `others` of the numbers between it and the newest so far have come before it."""
        ahead = seq - self.newest
        if ahead <= 0:
            self._late(seq)
            return
        if ahead > JUMP:
            if now >= self._paused_until:
                self._begin(seq)
            return
        current = self._current
        if now - current.begun_at >= BUCKET:
            current = self._turn(now)
        current.received += 1 + others
        self.newest = seq

    def pause(self, until: float) -> None:
        """Counts nothing before `until`, and anew from the first packet after it."""
        self._paused_until = until
        self._begin(_NOWHERE)

    def _late(self, seq: int) -> None:
        if seq == self.newest:
            return
        for bucket in reversed(self._buckets):
            if seq > bucket.before:
                bucket.received += 1
                return

    def _turn(self, now: float) -> _Bucket:
        """Begins a bucket, and forgets those that are neither of the last `WINDOW` nor of the last `LEAST` packets."""
        buckets = self._buckets
        self._current = _Bucket(now, self.newest)
        buckets.append(self._current)
        while buckets[1].begun_at <= now - WINDOW and self.newest - buckets[1].before >= LEAST:
            buckets.popleft()
        return self._current

    @property
    def sent(self) -> int:
        """Packets that the peer has sent in the time that is remembered."""
        return self.newest - self._buckets[0].before

    @property
    def lost(self) -> int:
        """Of `sent`, those that have not come."""
        return max(0, self.sent - sum(bucket.received for bucket in self._buckets))

    @property
    def percent(self) -> int:
        """Loss in percent, rounded down: 0 to 99. What was sent before the first packet counts as arrived."""
        return self.lost * 100 // max(self.sent, LEAST)
