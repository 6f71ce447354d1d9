"""TCP flows alone on one line do what TCP is known to do."""

from __future__ import annotations

import statistics

import pytest

from tests.bench.bonding.profiles import INNER_MTU, TCP_PAYLOAD
from tests.sim.bbr import Bbr
from tests.sim.cubic import BETA, Cubic
from tests.sim.line import Conditions

from .alone import FRAME, MBIT, Alone

RATE, DELAY = 20.0, 0.015
BDP = 2 * DELAY
"""Seconds of queue that are one product of rate and round trip."""
MOST = RATE * MBIT * TCP_PAYLOAD / (INNER_MTU + FRAME)
"""Bytes of payload per second that the line can carry."""


def shares(alone: Alone, delivered: list[int], begin: float = 5) -> float:
    return (delivered[1] - delivered[0]) / (alone.clock.now - 1000 - begin) / MOST


def test_cubic_fills_a_line_with_a_queue_of_one_round_trip() -> None:
    alone = Alone(RATE, Conditions(delay=DELAY, queue=BDP))
    _, receiver = alone.flow(Cubic())
    alone.run(5)
    before = receiver.delivered
    alone.run(20)
    assert shares(alone, [before, receiver.delivered]) >= 0.95


def test_one_loss_takes_three_tenths_of_the_window_and_the_flow_goes_on() -> None:
    alone = Alone(RATE, Conditions(delay=DELAY, queue=10))
    sender, receiver = alone.flow(Cubic())
    alone.run(2)
    sender.control.ssthresh = sender.control.cwnd  # out of slow start
    window = sender.control.cwnd
    dropped = _drop_one(alone)
    alone.run(3)
    assert dropped == [1]
    assert sender.retransmitted == 1
    assert sender.control.ssthresh == pytest.approx(window * BETA, rel=0.1)
    assert window * BETA * 0.9 <= sender.control.cwnd < window
    before = receiver.next
    alone.run(4)
    assert receiver.next > before


def _drop_one(alone: Alone) -> list[int]:
    put, dropped = alone.server.transport, list[int]()

    def once(burst: list[bytes]) -> None:
        if not dropped:
            dropped.append(1)
            burst = burst[1:]
        put(burst)

    alone.server.transport = once
    return dropped


def test_cubic_is_lost_on_a_line_that_loses() -> None:
    alone = Alone(RATE, Conditions(delay=DELAY, loss=0.01))
    _, receiver = alone.flow(Cubic())
    alone.run(20)
    assert 0.1 <= shares(alone, [0, receiver.delivered], 0) <= 0.4  # the bench has 0.18


@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_bbr_fills_a_line_and_keeps_its_queue_short(loss: float) -> None:
    alone = Alone(RATE, Conditions(delay=DELAY, queue=0.3, loss=loss))
    _, receiver = alone.flow(Bbr())
    alone.run(5)
    before, waits = receiver.delivered, []
    for step in range(150):
        alone.run(5 + step / 10)
        waits.append(alone.down.queued / (RATE * MBIT))
    assert shares(alone, [before, receiver.delivered]) >= 0.9
    assert statistics.median(waits) < 0.01


def test_what_came_late_is_no_loss_for_long() -> None:
    """Packets that overtake each other are repeated at first; D-SACKs undo it, and the window of RACK grows."""
    alone = Alone(RATE, Conditions(delay=DELAY, jitter=0.003, reorders=True))
    sender, receiver = alone.flow(Cubic())
    alone.run(5)
    first, before = sender.retransmitted, receiver.delivered
    alone.run(15)
    assert shares(alone, [before, receiver.delivered]) >= 0.9
    assert sender.undone >= 1
    assert sender.retransmitted - first < 0.01 * (receiver.delivered - before) / TCP_PAYLOAD


def test_two_flows_share_a_line() -> None:
    alone = Alone(RATE, Conditions(delay=DELAY, queue=0.05))
    flows = [alone.flow(Cubic(), port)[1] for port in (40001, 40002)]
    alone.run(30)
    one, other = (flow.delivered for flow in flows)
    assert 0.4 <= one / (one + other) <= 0.6


def test_a_line_that_dies_stops_a_flow_and_its_return_starts_it() -> None:
    alone = Alone(RATE, Conditions(delay=DELAY))
    sender, receiver = alone.flow(Cubic())
    alone.run(3)
    put, alone.server.transport = alone.server.transport, lambda burst: None
    alone.run(5)
    stopped = receiver.delivered
    alone.run(6)
    assert receiver.delivered == stopped
    alone.server.transport = put
    alone.run(10)
    assert receiver.delivered - stopped > 0.5 * MOST
    assert sender.una == receiver.next or sender.una > stopped / TCP_PAYLOAD
