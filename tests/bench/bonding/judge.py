"""Judges whether the measurements meet the demands."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .outcome import MLVPND, RAW, STRIPER, Outcome
from .profiles import (
    ALONE_SHARE,
    BBR,
    CUBIC,
    EVERYWHERE,
    PROFILES,
    RAW_SHARE,
    STALL_LIMIT,
    STRIPED_PROFILE,
    STRIPED_SHARE,
    Base,
    Limit,
    Profile,
    distinct_lines,
)
from .results import Figure, Results, Several, several

CONGESTIONS = (BBR, CUBIC)
FLOWS = (1, 8)


class Kind(enum.Enum):
    """The kinds of demands."""

    GOODPUT = "goodput"
    PING = "ping added, ms"
    BETTER = "better line alone"
    UPSTREAM = "C MLVPN"
    ALONE = "line alone"
    RAW = "line without a tunnel"
    STRIPED = "received from a striping server"
    STALL = "longest gap from a striping server, s"
    GAP = "longest gap in the stream, s"
    BACK = "full share again after, s"


class State(enum.Enum):
    """The result of a demand."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One demand on one cell of the table. The median of the seeds counts."""

    kind: Kind
    profile: str
    congestion: str
    flows: int
    lines: tuple[int, ...]
    limit: float
    """A share, or a number in the kind's unit."""
    at_most: bool = False
    """The limit is an upper limit."""
    base: Base | None = None
    """The base of the figure's share, where bases differ."""
    figure: Several | None = None
    """None: not run."""
    noisy: int = 0
    """How many of the runs were made on a machine that was not quiet."""

    @property
    def state(self) -> State:
        """Whether the demand holds."""
        return self.state_with(1.0)

    def state_with(self, margin: float) -> State:
        """Whether the demand holds by a softer limit: a lower limit times `margin`, an upper limit divided by it."""
        if self.figure is None:
            return State.NOT_RUN
        # The limits have two digits.
        value = round(self.figure.median, 3)
        good = value <= self.limit / margin if self.at_most else value >= self.limit * margin
        return State.HOLDS if good else State.FAILS


def share_of(results: Results, outcome: Outcome, base: Base) -> float | None:
    """The outcome's goodput divided by the base's; None: no run of one of its lines alone with the same seed."""
    if base is Base.SUM:
        return outcome.share_of_sum
    numbers = outcome.cell.lines if base is Base.BETTER else outcome.cell.lines[:1]
    alone = [results.of_seed(outcome, (number,)) for number in numbers]
    found = [one.goodput for one in alone if one is not None]
    if len(found) < len(numbers) or not max(found):
        return None
    return outcome.goodput / max(found)


class Judge:
    """The demands of all profiles on one set of results."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def verdicts(self) -> Iterator[Verdict]:
        """All verdicts, also for demands of which nothing was run."""
        for name, profile in PROFILES.items():
            for congestion in CONGESTIONS:
                if profile.outage is not None:
                    yield from self._outage(name, profile, congestion)
                    continue
                for flows in FLOWS:
                    yield from self._together(name, profile, congestion, flows)
                    yield from self._alone(name, profile, congestion, flows)
        for congestion in CONGESTIONS:
            yield from self._striped(congestion)
        yield from self._raw()

    def _verdict(
        self,
        outcomes: Sequence[Outcome],
        figure: Figure,
        verdict: tuple[Kind, str, str, int, tuple[int, ...]],
        limit: float,
        *,
        at_most: bool = False,
        base: Base | None = None,
    ) -> Verdict:
        return Verdict(
            *verdict,
            limit,
            at_most=at_most,
            base=base,
            figure=several(outcomes, figure),
            noisy=sum(not outcome.quiet for outcome in outcomes),
        )

    def _together(self, name: str, profile: Profile, congestion: str, flows: int) -> Iterator[Verdict]:
        every = profile.numbers
        outcomes = self._results.find(name, congestion, flows, every, MLVPND)
        cell = (name, congestion, flows, every)

        def share(base: Base) -> Figure:
            return lambda outcome: share_of(self._results, outcome, base)

        def judged(kind: Kind, limit: Limit) -> Verdict:
            return self._verdict(outcomes, share(limit.base), (kind, *cell), limit.share, base=limit.base)

        yield judged(Kind.GOODPUT, profile.limit(congestion, flows))
        yield self._verdict(
            outcomes, lambda outcome: outcome.ping_added, (Kind.PING, *cell), profile.ping_limit, at_most=True
        )
        yield judged(Kind.BETTER, Limit(EVERYWHERE, Base.BETTER))
        quoted = profile.upstream.get((congestion, flows))
        if quoted is not None:
            # The quoted number has two digits.
            yield judged(Kind.UPSTREAM, Limit(quoted - 0.005, profile.upstream_base))

    def _alone(self, name: str, profile: Profile, congestion: str, flows: int) -> Iterator[Verdict]:
        for number, line in enumerate(profile.lines, start=1):
            if not line.loss and not line.burst_in:
                cell = (Kind.ALONE, name, congestion, flows, (number,))
                outcomes = self._results.find(name, congestion, flows, (number,), MLVPND)
                yield self._verdict(outcomes, lambda outcome: outcome.share_of_sum, cell, ALONE_SHARE)

    def _outage(self, name: str, profile: Profile, congestion: str) -> Iterator[Verdict]:
        assert profile.outage is not None
        flows = max(FLOWS)
        cell = (name, congestion, flows, profile.numbers)
        outcomes = self._results.find(name, congestion, flows, profile.numbers, MLVPND)
        for kind, limit, figure in (
            (Kind.GAP, profile.outage.gap, lambda outcome: outcome.outage and outcome.outage.gap),
            (Kind.BACK, profile.outage.back, lambda outcome: outcome.outage and outcome.outage.back_after),
        ):
            yield self._verdict(outcomes, figure, (kind, *cell), limit, at_most=True)

    def _striped(self, congestion: str) -> Iterator[Verdict]:
        name = STRIPED_PROFILE
        cell = (name, congestion, 1, PROFILES[name].numbers)
        outcomes = self._results.find(*cell, STRIPER)
        yield self._verdict(outcomes, lambda outcome: outcome.share_of_sum, (Kind.STRIPED, *cell), STRIPED_SHARE)
        yield self._verdict(
            outcomes, lambda outcome: outcome.longest_gap, (Kind.STALL, *cell), STALL_LIMIT, at_most=True
        )

    def _raw(self) -> Iterator[Verdict]:
        for name, number in distinct_lines().values():
            cell = (Kind.RAW, name, BBR, max(FLOWS), (number,))
            outcomes = self._results.find(name, BBR, max(FLOWS), (number,), RAW)
            yield self._verdict(outcomes, lambda outcome: outcome.share_of_sum, cell, RAW_SHARE)
