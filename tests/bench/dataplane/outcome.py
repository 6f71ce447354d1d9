"""What came of a run, and files of it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

VALUES: Mapping[str, str] = {
    "mbit": "Mbit/s",
    "cpu_sender": "CPU-s per GB, sender",
    "cpu_receiver": "CPU-s per GB, receiver",
    "rate": "packets/s delivered",
    "packet_sender": "CPU µs per packet, sender",
    "packet_receiver": "CPU µs per packet, receiver",
    "lost": "% lost",
    "share": "% of a core, both ends",
    "of_sum": "of the lines' sum",
    "again": "segments sent again",
    "rtt_least": "least round trip, µs",
    "rtt_mean": "mean round trip, µs",
    "memory": "resident MB of a process, the larger end's",
}
"""What a run may tell, in the report's order."""
STOLEN_LIMIT = 0.05
"""A run from which other guests took more of the machine was disturbed."""
BUSY_LIMIT = 0.25
"""A machine that was busier before the load had other work."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run."""

    case: str
    peer: str
    round: int
    """From 1."""
    seconds: float
    program: str = ""
    """Path of the `mlvpn` that is measured; empty: the one beside the interpreter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, or why nothing could be."""

    cell: Cell
    values: Mapping[str, float] = field(default_factory=dict)
    """By the names of `VALUES`."""
    stolen: float = 0.0
    """Part of the machine that others took, 0 to 1."""
    busy: float = 0.0
    """Part of the machine that was in use while the tunnel was up and idle, before the load, 0 to 1."""
    failure: str = ""
    """Empty: it ran."""

    def __str__(self) -> str:
        head = f"round {self.cell.round}  {self.cell.case:12} {self.cell.peer:13}"
        if self.failure:
            return f"{head}  {self.failure.splitlines()[0]}"
        return head + "".join(f"  {name} {value:.4g}" for name, value in self.values.items())

    def to_json(self) -> str:
        """A line for a file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(cell=Cell(**values.pop("cell")), **values)


@dataclass(slots=True)
class Results:
    """Outcomes by case, peer and round; the later one of two counts, but a failure never replaces a measurement."""

    outcomes: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)
    """Where and with what they were measured."""

    @classmethod
    def load(cls, path: Path) -> Results:
        """From a file that `Recorder` wrote."""
        results = cls()
        for line in path.read_text().splitlines():
            if line.startswith('{"machine"'):
                machine = json.loads(line)["machine"]
                if machine not in results.machines:
                    results.machines.append(machine)
            else:
                results.add(Outcome.from_json(line))
        return results

    def add(self, outcome: Outcome) -> None:
        """Keeps it."""
        key = (outcome.cell.case, outcome.cell.peer, outcome.cell.round)
        if not outcome.failure or key not in self.outcomes or self.outcomes[key].failure:
            self.outcomes[key] = outcome

    def done(self) -> set[tuple[str, str, int]]:
        """What need not be run again."""
        return {key for key, outcome in self.outcomes.items() if not outcome.failure}

    def rounds(self) -> list[int]:
        """Those of which there is anything."""
        return sorted({round_ for _, _, round_ in self.outcomes})

    def value(self, case: str, peer: str, round_: int, name: str) -> float | None:
        """What a run has told; None: it has not."""
        outcome = self.outcomes.get((case, peer, round_))
        return None if outcome is None else outcome.values.get(name)

    def median(self, case: str, peer: str, name: str) -> float | None:
        """Over the rounds; None: none has it."""
        values = [self.value(case, peer, one, name) for one in self.rounds()]
        found = [value for value in values if value is not None]
        return statistics.median(found) if found else None


class Recorder:
    """Adds outcomes to a file, after a line on the machine."""

    def __init__(self, path: Path, machine: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._write(json.dumps({"machine": machine}))

    def _write(self, line: str) -> None:
        with self._path.open("a") as results:
            results.write(line + "\n")

    def add(self, outcome: Outcome) -> None:
        """At the end of the file."""
        self._write(outcome.to_json())
