"""Outcomes in a file of JSON lines, each after the machine that it was measured on."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .machine import describe
from .outcome import Cell, Outcome


@dataclass(frozen=True, slots=True)
class Several:
    """One figure of the runs with several seeds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the runs."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        return min(self.values)

    @property
    def highest(self) -> float:
        return max(self.values)


Figure = Callable[[Outcome], float | None]
"""What is asked of an outcome; None: it has no such figure."""


@dataclass(slots=True)
class Results:
    """What was measured; of a run that was made again the later one counts."""

    outcomes: dict[tuple[object, ...], Outcome] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)
    """Those that the outcomes are from, as `machine.describe` says."""

    @classmethod
    def load(cls, path: Path) -> Results:
        """From a file that `Recorder` wrote."""
        results = cls()
        machine = ""
        made_on: dict[tuple[object, ...], str] = {}
        for line in path.read_text().splitlines():
            if line.startswith('{"machine"'):
                machine = json.loads(line)["machine"]
                continue
            outcome = Outcome.from_json(line)
            results.add(outcome)
            made_on[_key(outcome.cell)] = machine
        results.machines = list(dict.fromkeys(filter(None, made_on.values())))
        return results

    def add(self, outcome: Outcome) -> None:
        """In place of one of the same cell."""
        self.outcomes[_key(outcome.cell)] = outcome

    def find(self, profile: str, congestion: str, flows: int, lines: Sequence[int], peer: str) -> list[Outcome]:
        """The outcomes with all seeds."""
        wanted = (profile, congestion, flows, tuple(lines), peer)
        return [outcome for key, outcome in sorted(self.outcomes.items(), key=str) if key[1:] == wanted]

    def of_seed(self, like: Outcome, lines: Sequence[int]) -> Outcome | None:
        """The same flows over other lines, in the same run."""
        cell = like.cell
        return self.outcomes.get((cell.seed, cell.profile, cell.congestion, cell.flows, tuple(lines), cell.peer))


def several(outcomes: Iterable[Outcome], figure: Figure) -> Several | None:
    """A figure of those that have it; None: none has."""
    values = tuple(value for outcome in outcomes if (value := figure(outcome)) is not None)
    return Several(values) if values else None


def _key(cell: Cell) -> tuple[object, ...]:
    return cell.seed, cell.profile, cell.congestion, cell.flows, cell.lines, cell.peer


class Recorder:
    """Adds outcomes to a file, after a line that describes the machine."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._write(json.dumps({"machine": describe()}))

    def _write(self, line: str) -> None:
        # In one piece: several runs may end at once.
        with self._path.open("ab", buffering=0) as results:
            results.write(line.encode() + b"\n")

    def add(self, outcome: Outcome) -> None:
        """At the end of the file."""
        self._write(outcome.to_json())
