"""Many random line sets, and the worst of them.

Each set runs over all its lines, and over each line alone: the better line alone is measured with the same flows, as in
the bench. What a seed shows, it shows again.
"""

from __future__ import annotations

import heapq
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from . import figures
from .figures import Figures
from .scenario import Scenario, flows_text
from .world import World

WORST = 10
"""Line sets that are printed of each kind."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one seed."""

    scenario: Scenario
    together: Figures
    alone: tuple[float, ...]
    """Mbit/s over each line alone."""

    @property
    def of_better(self) -> float:
        """Share of the better line alone, as measured."""
        return self.together.goodput / max(*self.alone, 1e-9)

    @property
    def of_sum(self) -> float:
        """Share of what all lines offered."""
        return self.together.share_of_sum

    def __str__(self) -> str:
        lines = " + ".join(self.scenario.lines)
        flows = flows_text(self.scenario.flows)
        return (
            f"seed {self.scenario.seed}: {self.of_better:.2f} of the better line, {self.of_sum:.2f} of the sum, "
            f"ping {self.together.pings.added:+.0f} ms: {lines} ({flows})"
        )


def run(scenario: Scenario) -> Figures:
    """The figures of a scenario."""
    world = World(scenario)
    world.run()
    return figures.of(world)


def look(scenario: Scenario) -> Found:
    """Runs a scenario over all its lines and over each."""
    alone = tuple(run(one).goodput for one in scenario.alone())
    return Found(scenario, run(scenario), alone)


def worst(found: list[Found], share: Callable[[Found], float], count: int = WORST) -> list[Found]:
    """Those with the least share, the worst first."""
    return heapq.nsmallest(count, found, key=lambda one: (share(one), one.scenario.seed))


def _found(scenarios: Iterable[Scenario], jobs: int) -> Iterator[Found]:
    if jobs == 1:
        yield from map(look, scenarios)
        return
    # Workers leave Ctrl-C to this process, which ends them when it leaves the block.
    with multiprocessing.Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(look, scenarios)


def search(
    scenarios: Iterable[Scenario], jobs: int, progress: Callable[[Found, int], None]
) -> tuple[list[Found], bool]:
    """Looks at all scenarios; returns what was found, and whether that is all. Ctrl-C ends it with what there is.

    `progress` gets each one found, and how many there are by then.
    """
    found: list[Found] = []
    try:
        for one in _found(scenarios, jobs):
            found.append(one)
            progress(one, len(found))
    except KeyboardInterrupt:
        return found, False
    return found, True
