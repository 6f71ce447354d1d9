"""Round-trip time after RFC 6298 §2, fed by the 16-bit stamps of the header.

The deviation is taken from the old smoothed value, and only then the value is smoothed: the order matters.

Stamps are not authentic, and decide how much is committed ahead. So a sample far from the mean counts only as far as
the sample before it says so too. The least round trip is one that two samples in a row have not exceeded.
"""

from __future__ import annotations

from mlvpnd.protocol.wire.constants import ECHO_LIMIT_MS, NO_TIMESTAMP, RTT_LIMIT_MS

ALPHA = 1 / 8  # RFC 6298 §2.3
BETA = 1 / 4  # RFC 6298 §2.3
JUMP_MS = 50.0
"""Milliseconds beyond four deviations from the mean, above which a sample is a jump: radio lines jitter by less."""
INITIAL_SRTT_MS = 1000.0
"""Milliseconds that status shows before a sample, as upstream does; nothing is judged by them."""


class RttEstimator:
    """Smoothed round-trip time of a path, in milliseconds."""

    __slots__ = ("_before", "echoed_at", "has_sample", "min_rtt_ms", "rttvar_ms", "srtt_ms", "unechoed")

    def __init__(self) -> None:
        self.has_sample = False
        self.srtt_ms = INITIAL_SRTT_MS
        self.rttvar_ms = INITIAL_SRTT_MS / 2
        self.min_rtt_ms = 0.0
        self._before = 0.0
        """The last sample."""
        self.echoed_at = float("-inf")
        """When the newest echo came, in seconds: it shows that one of our packets arrived."""
        self.unechoed = 0
        """Packets without an echo that have come since."""

    def received(self, timestamp_reply: int, now: float) -> None:
        """Takes what an authentic packet echoes. An echo too old for a sample also shows that we are heard."""
        if timestamp_reply == NO_TIMESTAMP:
            self.unechoed += 1
            return
        self.echoed_at = now
        self.unechoed = 0
        sample = sample_ms(timestamp_reply, now)
        if sample is not None:
            self.update(sample)

    def update(self, sample_ms: float) -> None:
        """Takes one sample, `sample_ms` >= 0."""
        sample_ms = float(sample_ms)  # an int would show in the status as another kind of number
        if not self.has_sample:
            self.has_sample = True
            self.srtt_ms = self.min_rtt_ms = self._before = sample_ms
            self.rttvar_ms = sample_ms / 2
            return
        before, self._before = self._before, sample_ms
        self.min_rtt_ms = min(self.min_rtt_ms, max(before, sample_ms))
        if abs(self.srtt_ms - sample_ms) > 4 * self.rttvar_ms + JUMP_MS:
            sample_ms = sorted((before, self.srtt_ms, sample_ms))[1]
        self.rttvar_ms += BETA * (abs(self.srtt_ms - sample_ms) - self.rttvar_ms)
        self.srtt_ms += ALPHA * (sample_ms - self.srtt_ms)


def stamp(now: float) -> int:
    """Our clock as the header carries it: milliseconds modulo 65536, never `NO_TIMESTAMP`."""
    value = int(now * 1000) & 0xFFFF
    return 0 if value == NO_TIMESTAMP else value


class StampEcho:
    """The peer's newest stamp, to be sent back once, plus the time that it was held."""

    __slots__ = ("_at", "_stamp")

    def __init__(self) -> None:
        self._stamp = NO_TIMESTAMP
        self._at = 0.0

    def received(self, timestamp: int, now: float) -> None:
        """Notes the stamp of an authentic packet."""
        self._stamp = timestamp
        self._at = now

    def take(self, now: float) -> int:
        """What to put into `timestamp_reply`."""
        if self._stamp == NO_TIMESTAMP:
            return NO_TIMESTAMP
        held_ms = int((now - self._at) * 1000)
        echo = (self._stamp + held_ms) & 0xFFFF
        self._stamp = NO_TIMESTAMP
        if held_ms >= ECHO_LIMIT_MS:
            return NO_TIMESTAMP
        return echo if echo != NO_TIMESTAMP else 0


def sample_ms(timestamp_reply: int, now: float) -> int | None:
    """The round trip that an echo proves, or None if it proves none."""
    if timestamp_reply == NO_TIMESTAMP:
        return None
    elapsed = (stamp(now) - timestamp_reply) & 0xFFFF
    return elapsed if elapsed < RTT_LIMIT_MS else None
