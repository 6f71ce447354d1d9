"""Outcomes in a file of JSON lines, after the machine on which they were measured."""

from __future__ import annotations

import json
import lzma
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
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        return min(self.values)

    @property
    def highest(self) -> float:
        return max(self.values)


Figure = Callable[[Outcome], float | None]
"""Takes a figure from an outcome; None: the outcome has no such figure."""


@dataclass(slots=True)
class Results:
    """All outcomes. If a run was made again, the later outcome counts."""

    outcomes: dict[tuple[object, ...], Outcome] = field(default_factory=dict)
    _made_on: dict[tuple[object, ...], str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads a file of `Recorder` or `save`."""
        results = cls()
        machine = ""
        text = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        for line in text.decode().splitlines():
            if line.startswith(_MACHINE):
                machine = json.loads(line)["machine"]
            else:
                results.add(Outcome.from_json(line), machine)
        return results

    def save(self, path: Path) -> None:
        """Writes all outcomes as xz, without those that later runs have replaced."""
        lines: list[str] = []
        for machine in dict.fromkeys(self._made_on.values()):
            lines += [_machine_line(machine)] if machine else []
            lines += [self.outcomes[key].to_json() for key, other in self._made_on.items() if other == machine]
        path.write_bytes(lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9 | lzma.PRESET_EXTREME))

    @property
    def machines(self) -> list[str]:
        """The machines of the outcomes, as `machine.describe` names them."""
        return list(dict.fromkeys(filter(None, self._made_on.values())))

    def add(self, outcome: Outcome, machine: str = "") -> None:
        """Adds an outcome in place of one of the same cell."""
        self.outcomes[_key(outcome.cell)] = outcome
        self._made_on[_key(outcome.cell)] = machine

    def find(self, profile: str, congestion: str, flows: int, lines: Sequence[int], peer: str) -> list[Outcome]:
        """The outcomes of one cell with all seeds."""
        wanted = (profile, congestion, flows, tuple(lines), peer)
        return [outcome for key, outcome in sorted(self.outcomes.items(), key=str) if key[1:] == wanted]

    def of_seed(self, like: Outcome, lines: Sequence[int]) -> Outcome | None:
        """The outcome of the same flows over other lines, in the same run."""
        cell = like.cell
        return self.outcomes.get((cell.seed, cell.profile, cell.congestion, cell.flows, tuple(lines), cell.peer))


def several(outcomes: Iterable[Outcome], figure: Figure) -> Several | None:
    """A figure of all outcomes that have it; None: none has it."""
    values = tuple(value for outcome in outcomes if (value := figure(outcome)) is not None)
    return Several(values) if values else None


_MACHINE = '{"machine"'
"""The begin of a line that describes a machine. No outcome begins with it."""


def _machine_line(machine: str) -> str:
    return json.dumps({"machine": machine})


def _key(cell: Cell) -> tuple[object, ...]:
    return cell.seed, cell.profile, cell.congestion, cell.flows, cell.lines, cell.peer


class Recorder:
    """Adds outcomes to a file, after a line that describes the machine."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._write(_machine_line(describe()))

    def _write(self, line: str) -> None:
        # One write for each line: several runs may end at once.
        with self._path.open("ab", buffering=0) as results:
            results.write(line.encode() + b"\n")

    def add(self, outcome: Outcome) -> None:
        """Adds an outcome at the end of the file."""
        self._write(outcome.to_json())
