"""BBR as in its first version: the bottleneck's rate and the least round trip, both by filters, and a cycle of gains.

Left out are its filter of policers (Linux switches it off for such lines anyway) and its allowance for aggregated ACKs.
"""

from __future__ import annotations

import enum
from collections import deque

from .control import INITIAL_WINDOW, Sample

HIGH_GAIN = 2.885
CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
ROUNDS = 10
"""Rounds for which a rate counts."""
LEAST_RTT_TIME = 10.0
"""Seconds after which the least round trip is measured anew."""
PROBE_TIME, PROBE_WINDOW = 0.2, 4.0
FULL, FULL_ROUNDS = 1.25, 3
MARGIN = 0.99
"""Share of the rate at which it sends, as in Linux."""


class Mode(enum.Enum):
    """Its four states."""

    STARTUP = "startup"
    DRAIN = "drain"
    PROBE_BW = "probe bandwidth"
    PROBE_RTT = "probe round trip"


class Bbr:
    """Windows are segments, rates are segments per second."""

    owns_window = True
    ssthresh = float("inf")

    def __init__(self) -> None:
        self.cwnd, self.rate = INITIAL_WINDOW, HIGH_GAIN * INITIAL_WINDOW / 0.001
        self.mode = Mode.STARTUP
        self._rates: deque[tuple[int, float]] = deque()
        """Rounds and rates; rates fall."""
        self._round, self._next_round, self._starts = 0, 0, False
        self._rtt, self._rtt_at = float("inf"), 0.0
        self._full_rate, self._full_count = 0.0, 0
        self._phase, self._phase_at = 0, 0.0
        self._probed_at: float | None = None
        self._prior = 0.0
        self._conserves = self._enters = self._has_rtt = self._round_probed = False

    @property
    def _best(self) -> float:
        return self._rates[0][1] if self._rates else 0.0

    def _bdp(self, gain: float) -> float:
        return gain * self._best * self._rtt if self._rates else INITIAL_WINDOW

    @property
    def _is_full(self) -> bool:
        return self._full_count >= FULL_ROUNDS

    def on_ack(self, sample: Sample, *, recovering: bool) -> None:
        self._count_rounds(sample)
        expired = self._measure(sample)
        self._change_mode(sample, expired=expired)
        gain, window_gain = self._gains()
        if sample.rtt and not self._has_rtt:
            self._has_rtt, self.rate = True, HIGH_GAIN * self.cwnd / sample.rtt
        if self._rates and (self._is_full or gain * self._best * MARGIN > self.rate):
            self.rate = gain * self._best * MARGIN
        self._set_window(sample, window_gain, recovering=recovering)

    def _count_rounds(self, sample: Sample) -> None:
        self._starts = sample.acked > 0 and sample.prior >= self._next_round
        if self._starts:
            self._next_round = sample.delivered
            self._round += 1
            self._conserves = False

    def _measure(self, sample: Sample) -> bool:
        """Takes rate and round trip; returns whether the least round trip had expired."""
        rates = self._rates
        if sample.rate:
            while rates and rates[-1][1] <= sample.rate:
                rates.pop()
            rates.append((self._round, sample.rate))
            while rates[0][0] < self._round - ROUNDS:
                rates.popleft()
        expired = self._rtt < float("inf") and sample.now > self._rtt_at + LEAST_RTT_TIME
        # Where Linux takes an equal one too: real round trips vary by more than a microsecond, simulated ones do not.
        if sample.rtt and (sample.rtt < self._rtt - 1e-6 or expired):
            self._rtt, self._rtt_at = sample.rtt, sample.now
        if self._starts and not self._is_full:
            if self._best >= self._full_rate * FULL:
                self._full_rate, self._full_count = self._best, 0
            else:
                self._full_count += 1
        return expired

    def _change_mode(self, sample: Sample, *, expired: bool) -> None:
        if self.mode is Mode.STARTUP and self._is_full:
            self.mode = Mode.DRAIN
        if self.mode is Mode.DRAIN and sample.pipe <= self._bdp(1.0):
            self._begin_cycle(sample.now)
        if self.mode is Mode.PROBE_BW and self._is_over(sample):
            self._phase, self._phase_at = (self._phase + 1) % len(CYCLE), sample.now
        if expired and self.mode is not Mode.PROBE_RTT:
            self.mode, self._prior, self._probed_at = Mode.PROBE_RTT, max(self._prior, self.cwnd), None
        if self.mode is Mode.PROBE_RTT:
            if self._probed_at is None:
                if sample.pipe <= PROBE_WINDOW:
                    self._probed_at = sample.now + PROBE_TIME
                    self._next_round, self._round_probed = sample.delivered, False
                return
            self._round_probed = self._round_probed or self._starts
            if sample.now > self._probed_at and self._round_probed:
                self._rtt_at = sample.now
                self.cwnd = max(self.cwnd, self._prior)
                self._prior = 0.0
                if self._is_full:
                    self._begin_cycle(sample.now)
                else:
                    self.mode = Mode.STARTUP

    def _begin_cycle(self, now: float) -> None:
        # Linux begins anywhere but in the phase that drains; here always behind it, for determinism.
        self.mode, self._phase, self._phase_at = Mode.PROBE_BW, 2, now

    def _is_over(self, sample: Sample) -> bool:
        gain, long = CYCLE[self._phase], sample.now - self._phase_at > self._rtt
        if gain > 1:
            return long and (sample.lost > 0 or sample.pipe >= self._bdp(gain))
        if gain < 1:
            return long or sample.pipe <= self._bdp(1.0)
        return long

    def _gains(self) -> tuple[float, float]:
        if self.mode is Mode.STARTUP:
            return HIGH_GAIN, HIGH_GAIN
        if self.mode is Mode.DRAIN:
            return 1 / HIGH_GAIN, HIGH_GAIN
        return (CYCLE[self._phase] if self.mode is Mode.PROBE_BW else 1.0), 2.0

    def _set_window(self, sample: Sample, gain: float, *, recovering: bool) -> None:
        if sample.lost:
            self.cwnd = max(self.cwnd - sample.lost, 1.0)
        quantum = max(2.0, self.rate * 0.001)
        target = self._bdp(gain) + 3 * quantum
        if self._enters:
            self._enters, self.cwnd, self._next_round = False, float(sample.pipe + sample.acked), sample.delivered
        if recovering and self._conserves:
            self.cwnd = max(self.cwnd, sample.pipe + sample.acked)
        elif self._is_full:
            self.cwnd = min(self.cwnd + sample.acked, target)
        elif self.cwnd < target or sample.delivered < INITIAL_WINDOW:
            self.cwnd += sample.acked
        self.cwnd = max(self.cwnd, PROBE_WINDOW)
        if self.mode is Mode.PROBE_RTT:
            self.cwnd = min(self.cwnd, PROBE_WINDOW)

    def on_loss(self, now: float) -> None:
        self._prior = max(self._prior, self.cwnd)
        self._conserves = self._enters = True

    def on_timeout(self, now: float) -> None:
        self._prior = max(self._prior, self.cwnd)
        self.cwnd = 1.0
        self._full_rate = 0.0

    def on_recovered(self) -> None:
        if self.mode is not Mode.PROBE_RTT:
            self.cwnd = max(self.cwnd, self._prior)
            self._prior = 0.0

    def undo(self) -> None:
        self.on_recovered()
