"""In which order the planned runs are made, and how many of them at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.bench.bonding import command
from tests.bench.bonding.outcome import Cell, Outcome
from tests.bench.bonding.plan import Plan
from tests.bench.bonding.results import Recorder, Results
from tests.bench.bonding.run import Setting

from .outcomes import outcome


class Lines:
    """Stands in for a bench; notes which profiles have their lines up at the same time."""

    up_now: ClassVar[set[str]] = set()
    at_once: ClassVar[list[frozenset[str]]] = []
    lock = threading.Lock()

    def __init__(self, profile: str, seed: int, setting: Setting) -> None:
        self._name = profile

    @contextlib.contextmanager
    def up(self) -> Iterator[Lines]:
        with self.lock:
            self.up_now.add(self._name)
            self.at_once.append(frozenset(self.up_now))
        yield self
        with self.lock:
            self.up_now.discard(self._name)

    def run(self, cell: Cell) -> Outcome:
        time.sleep(0.05)
        return outcome(cell.profile, 1.0, congestion=cell.congestion, flows=cell.flows, lines=cell.lines)


@pytest.mark.parametrize("jobs", [1, 2])
def test_so_many_at_a_time_but_for_what_needs_the_machine(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(command, "Bench", Lines)
    Lines.at_once.clear()
    plan = Plan(("equal", "fibre+lte", "rates", "lossy"), (1,), ("bbr",), (8,), peers=("mlvpnd",), alone=False)
    done: list[Outcome] = []
    command.execute(plan, Setting(), done.append, jobs=jobs)
    assert sorted(one.cell.profile for one in done) == ["equal", "fibre+lte", "lossy", "rates"]
    assert max(map(len, Lines.at_once)) == jobs
    assert not [names for names in Lines.at_once if "fibre+lte" in names and len(names) > 1]


def test_an_error_of_a_run_is_one_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Lines):
        def run(self, cell: Cell) -> Outcome:
            raise ConnectionError("no line")

    monkeypatch.setattr(command, "Bench", Broken)
    with pytest.raises(ConnectionError, match="no line"):
        command.execute(Plan(("equal", "rates"), (1,), ("bbr",), (8,)), Setting(), print, jobs=2)


def test_what_was_quiet_is_not_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[Cell] = []

    class Noting(Lines):
        def run(self, cell: Cell) -> Outcome:
            ran.append(cell)
            return outcome(cell.profile, 1.0, congestion=cell.congestion, flows=cell.flows, lines=cell.lines)

    results = tmp_path / "results"
    recorder = Recorder(results)
    recorder.add(outcome("equal", 30.0, flows=8))
    recorder.add(outcome("rates", 30.0, flows=8, late=9000))
    monkeypatch.setattr(command, "Bench", Noting)
    words = "--profile equal,rates --seeds 1 --flows 8 --cc bbr --together-only --resume --results"
    assert command.main([*words.split(), str(results)]) == 0
    assert [cell.profile for cell in ran] == ["rates"]
    assert all(one.quiet for one in Results.load(results).outcomes.values())
