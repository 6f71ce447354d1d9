"""Judges whether the measurements meet the demands."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from .cases import LIMITS, Figure, Limit
from .outcome import Results


class State(enum.Enum):
    """The result of a demand."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One demand and the figures of all rounds that have them."""

    limit: Limit
    values: tuple[float, ...]
    """A ratio or a value of each round. Only values of the same round are compared."""

    @property
    def median(self) -> float:
        """The median of the rounds; there is at least one."""
        return statistics.median(self.values)

    @property
    def state(self) -> State:
        """The state by the median."""
        if not self.values:
            return State.NOT_RUN
        good = self.median <= self.limit.limit if self.limit.at_most else self.median >= self.limit.limit
        return State.HOLDS if good else State.FAILS


def verdicts(results: Results) -> Iterator[Verdict]:
    """The verdict on every demand, in the order of the table."""
    for limit in LIMITS:
        found = (_value(results, limit, one) for one in results.rounds())
        yield Verdict(limit, tuple(value for value in found if value is not None))


def _value(results: Results, limit: Limit, round_: int) -> float | None:
    def of(figure: Figure) -> float | None:
        return results.value(figure.case, figure.peer, round_, figure.value)

    value, less, base = of(limit.figure), 0.0, 1.0
    if limit.less is not None:
        taken = of(limit.less)
        if taken is None:
            return None
        less = taken
    if limit.base is not None:
        divisor = of(limit.base)
        if divisor is None or divisor <= less:
            return None
        base = divisor - less
    return None if value is None else (value - less) / base
