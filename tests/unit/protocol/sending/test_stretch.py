"""Which flows are delivered as late as by a far line."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.sending.line import SECOND
from mlvpnd.protocol.sending.stretch import AFTER, AGAIN, CHECK, GROWTH, PAUSE, REFRAIN, SETTLE, Stretch

RATE = 2_500_000
SIZE = 1500
STEP = SECOND // 100


class Flows:
    """Flows that send each 10 ms over near lines, which carry just what the flows send."""

    def __init__(self, *rates: float) -> None:
        self.stretch = Stretch()
        self.now = 0
        self.carried = 0
        self.rates = list(rates)
        """The rates of the flows, as shares of the near lines' rate."""
        self.stretched: list[bool] = []

    def run(self, duration: int) -> None:
        until = self.now + duration
        while self.now < until:
            sizes = [int(rate * RATE * STEP // SECOND) for rate in self.rates]
            self.carried += sum(sizes)
            self.stretched = [
                bool(size) and self.stretch.admit(flow, size, self.now, self.carried, RATE)
                for flow, size in enumerate(sizes)
            ]
            self.now += STEP


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_a_flow_that_has_filled_the_near_lines_is_stretched_before_bbr_measures(share: float) -> None:
    flows = Flows(share)
    flows.run(AFTER)
    assert flows.stretched == [False]
    assert not flows.stretch
    flows.run(STEP)
    assert flows.stretched == [True]
    assert flows.stretch
    flows.run(20 * SECOND)
    assert flows.stretched == [True]


def test_one_that_has_not_filled_them_has_a_chance_each_ten_seconds() -> None:
    flows = Flows(0.7)
    flows.run(AFTER + STEP)
    assert flows.stretched == [False]
    flows.rates = [1.0]
    flows.run(AGAIN - STEP)
    assert flows.stretched == [False]
    flows.run(STEP)
    assert flows.stretched == [True]


def test_one_that_has_less_than_a_fourth_of_the_greediest_is_not() -> None:
    flows = Flows(0.6, 0.16, 0.14)
    flows.run(AFTER + STEP)
    assert flows.stretched == [True, True, False]


def test_a_flow_that_pauses_begins_anew_and_ends_what_it_had() -> None:
    flows = Flows(1.0)
    flows.run(AFTER - STEP)
    flows.now += PAUSE
    flows.run(AFTER)
    assert flows.stretched == [False]
    flows.run(STEP)
    assert flows.stretched == [True]
    flows.stretch.forget(flows.now - STEP + PAUSE - 1)
    assert flows.stretch
    flows.now += PAUSE
    flows.run(STEP)
    assert flows.stretched == [False]
    assert not flows.stretch


def test_flows_that_have_ended_are_forgotten() -> None:
    flows = Flows(1.0)
    flows.run(AFTER + STEP)
    flows.stretch.forget(flows.now - STEP + PAUSE)
    assert not flows.stretch


@pytest.mark.parametrize(("share", "stays"), [(0.36, True), (0.30, False)])
def test_one_that_carries_little_since_goes_back_for_a_minute(share: float, *, stays: bool) -> None:
    flows = Flows(1.0)
    flows.run(AFTER + STEP)
    flows.rates = [share]
    flows.run(CHECK - STEP)
    assert flows.stretched == [True]
    flows.run(STEP)
    assert flows.stretched == [stays]
    if not stays:
        flows.rates = [1.0]
        flows.run(REFRAIN + AFTER - STEP)
        assert flows.stretched == [False]
        flows.run(2 * STEP)
        assert flows.stretched == [True]


def test_packets_are_delayed_ever_more_from_when_the_first_flow_is_stretched() -> None:
    flows = Flows(1.0)
    flows.run(AFTER + STEP)
    began = flows.now - STEP
    assert flows.stretch.delay(began) == 0
    assert flows.stretch.delay(began + SECOND) == SECOND * GROWTH // 100
    assert flows.stretch.is_settling(began + SETTLE - 1)
    assert not flows.stretch.is_settling(began + SETTLE)
    flows.rates = [0.5, 0.5]
    flows.run(AFTER + 2 * STEP)
    assert flows.stretched == [True, True]
    assert flows.stretch.is_settling(flows.now)
    assert flows.stretch.delay(began + SECOND) == SECOND * GROWTH // 100
