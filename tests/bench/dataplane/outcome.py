"""The outcome of a run, and files of outcomes."""

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
"""The values of a run, in the report's order."""
STOLEN_LIMIT = 0.05
"""Share of the machine: if other guests took more, the run was disturbed."""
BUSY_LIMIT = 0.25
"""Share of the machine: if more was in use before the load, the machine had other work."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run."""

    case: str
    peer: str
    round: int
    """Number of the round, from 1."""
    seconds: float
    program: str = ""
    """Path of the measured `mlvpn`; empty: the one beside the interpreter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The measurements of a run, or the reason why there are none."""

    cell: Cell
    values: Mapping[str, float] = field(default_factory=dict)
    """Values by the names of `VALUES`."""
    stolen: float = 0.0
    """Part of the machine that other guests took, 0 to 1."""
    busy: float = 0.0
    """Part of the machine that was in use while the tunnel was up and idle, before the load, 0 to 1."""
    failure: str = ""
    """Reason why the run failed; empty: it ran."""

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
        """Reads a line of `to_json`."""
        values = json.loads(text)
        return cls(cell=Cell(**values.pop("cell")), **values)


@dataclass(slots=True)
class Results:
    """Outcomes by case, peer and round. The later of two counts, but a failure never replaces a measurement."""

    outcomes: dict[tuple[str, str, int], Outcome] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)
    """Machines and programs of the measurements."""

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads a file of `Recorder`."""
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
        """Adds an outcome."""
        key = (outcome.cell.case, outcome.cell.peer, outcome.cell.round)
        if not outcome.failure or key not in self.outcomes or self.outcomes[key].failure:
            self.outcomes[key] = outcome

    def done(self) -> set[tuple[str, str, int]]:
        """The runs that have an outcome and need not run again."""
        return {key for key, outcome in self.outcomes.items() if not outcome.failure}

    def rounds(self) -> list[int]:
        """The rounds with any outcome."""
        return sorted({round_ for _, _, round_ in self.outcomes})

    def value(self, case: str, peer: str, round_: int, name: str) -> float | None:
        """A value of a run; None: the run does not have it."""
        outcome = self.outcomes.get((case, peer, round_))
        return None if outcome is None else outcome.values.get(name)

    def median(self, case: str, peer: str, name: str) -> float | None:
        """The median of the rounds; None: no round has the value."""
        values = [self.value(case, peer, one, name) for one in self.rounds()]
        found = [value for value in values if value is not None]
        return statistics.median(found) if found else None


class Recorder:
    """Adds outcomes to a file, after a line that describes the machine."""

    def __init__(self, path: Path, machine: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._write(json.dumps({"machine": machine}))

    def _write(self, line: str) -> None:
        with self._path.open("a") as results:
            results.write(line + "\n")

    def add(self, outcome: Outcome) -> None:
        """Adds an outcome at the end of the file."""
        self._write(outcome.to_json())
