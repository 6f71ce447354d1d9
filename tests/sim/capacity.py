"""How many bytes a line can have sent by a time, and by which time it can have sent so many."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol


class Capacity(Protocol):
    """Times are seconds from the load's begin; those before it are negative."""

    mean: float
    """Bytes per second."""

    def work(self, at: float) -> float:
        """Bytes that can pass until `at`."""

    def when(self, work: float) -> float:
        """The time at which so many bytes can have passed; inf: never."""


class Constant:
    """A steady rate in bytes per second, more than 0."""

    def __init__(self, rate: float) -> None:
        self.mean = rate

    def work(self, at: float) -> float:
        return at * self.mean

    def when(self, work: float) -> float:
        return work / self.mean


class Steps:
    """Rates of which each holds from its time to the next one's; all comes again after `period` seconds.

    `times` begin with 0 and rise; a rate of 0 is a line that stands still. Before 0 the first rate holds, or the mean
    where that is 0. Raises ValueError if nothing ever passes.
    """

    def __init__(self, times: Sequence[float], rates: Sequence[float], period: float) -> None:
        self._times, self._rates, self._period = list(times), list(rates), period
        ends = [*self._times[1:], period]
        spans = (end - begin for begin, end in zip(self._times, ends, strict=True))
        self._works = list(accumulate((rate * span for rate, span in zip(rates, spans, strict=True)), initial=0.0))
        self._total = self._works[-1]
        if self._total <= 0:
            raise ValueError("a line that never carries anything")
        self.mean = self._total / period
        self._before = self._rates[0] or self.mean

    def work(self, at: float) -> float:
        if at < 0:
            return at * self._before
        cycles, rest = divmod(at, self._period)
        index = bisect_right(self._times, rest) - 1
        return cycles * self._total + self._works[index] + (rest - self._times[index]) * self._rates[index]

    def when(self, work: float) -> float:
        if work < 0:
            return work / self._before
        cycles, rest = divmod(work, self._total)
        if rest == 0 and cycles > 0:  # the last byte of a cycle passes in that cycle
            cycles, rest = cycles - 1, self._total
        index = max(0, bisect_left(self._works, rest) - 1)
        if not self._rates[index]:  # only where rest is 0: nothing has to pass
            return cycles * self._period
        return cycles * self._period + self._times[index] + (rest - self._works[index]) / self._rates[index]
