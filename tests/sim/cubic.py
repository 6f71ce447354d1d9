"""CUBIC by RFC 9438, with fast convergence, its Reno-friendly region, and Linux' HyStart."""

from __future__ import annotations

from .control import INITIAL_WINDOW, Sample

C, BETA = 0.4, 0.7
ALPHA = 3 * (1 - BETA) / (1 + BETA)
HYSTART_LEAST, HYSTART_SAMPLES = 16.0, 8
TRAIN = 0.002
"""Seconds between the ACKs of one train, at most."""


class Cubic:
    """Windows are segments."""

    owns_window = False
    rate = float("inf")

    def __init__(self) -> None:
        self.cwnd, self.ssthresh = INITIAL_WINDOW, float("inf")
        self._most = self._k = self._estimate = self._prior = 0.0
        self._epoch: float | None = None
        self._least_rtt = float("inf")
        self._before: tuple[float, float] | None = None
        """Window and threshold before the last loss."""
        self._round_end, self._round_at, self._train_at = 0, 0.0, 0.0
        self._samples, self._round_rtt = 0, float("inf")

    def on_ack(self, sample: Sample, *, recovering: bool) -> None:
        if sample.rtt:
            self._least_rtt = min(self._least_rtt, sample.rtt)
        if recovering or not sample.acked:
            return
        if self.cwnd < self.ssthresh:
            self._slow_start(sample)
        else:
            self._avoid_congestion(sample)

    def _slow_start(self, sample: Sample) -> None:
        self.cwnd += sample.acked
        if sample.una > self._round_end:
            self._round_end, self._round_at, self._train_at = sample.next, sample.now, sample.now
            self._samples, self._round_rtt = 0, float("inf")
        if self.cwnd < HYSTART_LEAST or not sample.rtt:
            return
        margin = min(max(self._least_rtt / 8, 0.004), 0.016)
        if sample.now - self._train_at <= TRAIN:
            self._train_at = sample.now
            if sample.now - self._round_at > (self._least_rtt + margin) / 2:
                self.ssthresh = self.cwnd
        if self._samples < HYSTART_SAMPLES:
            self._samples += 1
            self._round_rtt = min(self._round_rtt, sample.rtt)
        elif self._round_rtt >= self._least_rtt + margin:
            self.ssthresh = self.cwnd

    def _avoid_congestion(self, sample: Sample) -> None:
        now, cwnd = sample.now, self.cwnd
        if self._epoch is None:
            self._epoch = now
            self._most = max(self._most, cwnd)
            self._k = ((self._most - cwnd) / C) ** (1 / 3)
            self._estimate, self._prior = cwnd, self._most
        at = now - self._epoch + (self._least_rtt if self._least_rtt < 10 else 0.0)
        target = min(max(cwnd, self._most + C * (at - self._k) ** 3), 1.5 * cwnd)
        self._estimate += (ALPHA if self._estimate < self._prior else 1.0) * sample.acked / cwnd
        self.cwnd = max(cwnd + (target - cwnd) * sample.acked / cwnd, self._estimate)

    def on_loss(self, now: float) -> None:
        self._before = (self.cwnd, self.ssthresh)
        self._epoch = None
        self._most = self.cwnd * (1 + BETA) / 2 if self.cwnd < self._most else self.cwnd
        self.ssthresh = max(2.0, self.cwnd * BETA)

    def on_timeout(self, now: float) -> None:
        self.on_loss(now)
        self.cwnd = 1.0

    def on_recovered(self) -> None:
        self.cwnd = self.ssthresh

    def undo(self) -> None:
        if self._before is not None:
            window, threshold = self._before
            self.cwnd, self.ssthresh, self._before = max(self.cwnd, window), max(self.ssthresh, threshold), None
            self._epoch = None
