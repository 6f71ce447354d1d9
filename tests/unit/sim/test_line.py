"""A simulated line against arithmetic: serialisation, delay, queue, policer, loss, jitter, steps."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from tests.sim.capacity import Capacity, Constant, Steps
from tests.sim.clock import START, Clock
from tests.sim.line import Conditions, Course, Line

RATE = 1_000_000.0
"""Bytes per second: a packet of 1000 bytes takes a millisecond."""
SIZE = 1000


class Run:
    """A line, and when its packets came."""

    def __init__(
        self,
        conditions: Conditions,
        *,
        capacity: Capacity | None = None,
        steps: Sequence[tuple[float, Conditions]] = (),
        period: float = float("inf"),
    ) -> None:
        self.clock = Clock()
        course = Course(capacity or Constant(RATE), [(0.0, conditions), *steps], period)
        self.line = Line(self.clock, course, Random(1))
        self.came: list[tuple[int, float]] = []

    def put(self, number: int, size: int = SIZE) -> bool:
        return self.line.put(size, lambda packet: self.came.append((packet, self.clock.now - START)), number)

    def at(self, seconds: float) -> Run:
        self.clock.run(START + seconds)
        return self

    def arrivals(self) -> list[float]:
        self.clock.run(START + 1000)
        return [round(at, 9) for _, at in self.came]


def test_packets_leave_one_after_the_other_and_arrive_after_the_delay() -> None:
    run = Run(Conditions(delay=0.02)).at(0)
    assert all(run.put(number) for number in range(3))
    assert run.at(0.5).put(3, size=500)
    assert run.arrivals() == [0.021, 0.022, 0.023, 0.5205]


def test_what_finds_the_queue_full_is_dropped() -> None:
    run = Run(Conditions(queue=0.01)).at(0)
    taken = [run.put(number) for number in range(20)]
    # What waits in front of a packet may take 10 ms: eleven packets.
    assert taken == [True] * 11 + [False] * 9
    assert run.line.counts.overflow == 9
    assert run.line.queued == 11 * SIZE
    assert run.at(0.0011).put(20)
    assert len(run.arrivals()) == 12


def test_what_arrived_and_what_is_under_way_is_counted() -> None:
    run = Run(Conditions(delay=0.02)).at(0)
    for number in range(4):
        run.put(number)
    assert run.line.settle() == 4 * SIZE
    assert run.at(0.0225).line.settle() == 2 * SIZE
    assert (run.line.counts.arrived, run.line.counts.bytes) == (2, 2 * SIZE)


def test_a_policer_lets_its_burst_pass_and_then_its_rate() -> None:
    run = Run(Conditions(queue=10, police=RATE / 10, burst=0.1)).at(0)
    assert sum(run.put(number) for number in range(50)) == 10  # 0.1 s of 100 kB/s
    assert run.line.counts.policed == 40
    run.at(0.025)
    assert [run.put(number) for number in range(4)] == [True, True, False, False]


def test_loss_is_of_the_share_asked_for() -> None:
    run = Run(Conditions(loss=0.1, queue=1000)).at(0)
    taken = sum(run.put(number) for number in range(20_000))
    assert taken + run.line.counts.lost == 20_000
    assert run.line.counts.lost == pytest.approx(2000, rel=0.1)


def test_jitter_keeps_the_order_unless_told_otherwise() -> None:
    for reorders in (False, True):
        run = Run(Conditions(delay=0.05, jitter=0.02, queue=10, reorders=reorders)).at(0)
        for number in range(500):
            run.put(number)
        run.arrivals()
        order = [number for number, _ in run.came]
        assert (order == sorted(order)) is not reorders
        late = [at - (number + 1) * SIZE / RATE for number, at in run.came]
        assert 0.03 <= min(late)
        assert max(late) <= 0.07 + 1e-9


def test_conditions_change_and_come_again() -> None:
    run = Run(Conditions(delay=0.01), steps=[(1.0, Conditions(delay=0.5))], period=2.0)
    for moment in (0.5, 1.5, 2.5, 3.5):
        run.at(moment).put(0)
    assert run.arrivals() == [0.511, 2.001, 2.511, 4.001]


def test_a_line_that_stands_still_holds_what_it_has() -> None:
    run = Run(Conditions(queue=1), capacity=Steps([0, 1], [RATE, 0], 2)).at(0.9995)
    assert run.put(0)
    assert run.put(1)
    assert run.arrivals() == [2.0005, 2.0015]
