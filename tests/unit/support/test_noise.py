"""What is left out of a limit in time, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import noise
from tests.support.noise import MOST_PATIENCE, Noise, Patience, Stopwatch


class Machine:
    """A clock, and the time of it that others have taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.taken = 50.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr(noise, "taken", lambda: self.taken)

    def run(self, seconds: float, *, taken: float = 0.0) -> None:
        self.now += seconds
        self.taken += taken


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_on_a_free_machine_all_time_is_our_own(machine: Machine) -> None:
    watch, patience, others = Stopwatch(), Patience(2.0), Noise()
    machine.run(1.5)
    assert (watch.own, watch.elapsed, others.seconds) == (1.5, 1.5, 0.0)
    assert patience.left == 0.5
    machine.run(0.5)
    assert patience.left == 0.0


def test_what_others_take_moves_a_deadline(machine: Machine) -> None:
    watch, patience, others = Stopwatch(), Patience(2.0), Noise()
    machine.run(2.0, taken=1.5)
    assert (watch.own, others.seconds) == (0.5, 1.5)
    assert patience.left == 1.5
    machine.run(1.5)
    assert patience.left == 0.0


def test_a_wait_ends_though_others_take_all(machine: Machine) -> None:
    patience = Patience(2.0)
    waited = 0.0
    while patience.left > 0:
        machine.run(1.0, taken=1.0)
        waited += 1.0
        assert waited < 100
    assert waited == 2 * MOST_PATIENCE


def test_waiting_for_a_processor_is_counted_in_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pressure = tmp_path / "cpu"
    pressure.write_text("some avg10=6.58 avg60=4.00 avg300=1.24 total=9453458\nfull avg10=0.00 total=7\n")
    monkeypatch.setattr(noise, "_PRESSURE", pressure)
    assert noise.waited() == 9.453458
    monkeypatch.setattr(noise, "_PRESSURE", tmp_path / "none")
    assert noise.waited() == 0.0
