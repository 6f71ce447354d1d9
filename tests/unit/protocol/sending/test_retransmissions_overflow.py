"""What TCP makes of two lines of which one loses a little: the loss does not take CUBIC down, and BBR finds both."""

from __future__ import annotations

import pytest

from tests.support.tcp_flows import Bbr, Cubic, Flow, Tunnel, Uplink

GOOD, LOSSY = Uplink(20, 15), Uplink(20, 15, loss=0.01)
MIXED = [Uplink(40, 9), Uplink(25, 35), Uplink(15, 20, loss=0.003)]
WARM_UP = 5.0
SECONDS = 6.0


@pytest.mark.parametrize("seed", [1, 2])
def test_cubic_fills_the_good_line(seed: int) -> None:
    def goodput(*, blind: bool) -> float:
        tunnel, flow = Tunnel([GOOD, LOSSY], seed, blind=blind), Cubic(1)
        tunnel.run([flow], WARM_UP)
        return tunnel.goodput([flow], SECONDS)

    assert goodput(blind=False) >= 0.97 * GOOD.rate
    assert goodput(blind=True) <= 0.6 * GOOD.rate


@pytest.mark.parametrize("flows", [1, 8])
def test_bbr_finds_both_lines(flows: int) -> None:
    tunnel, all_flows = Tunnel([GOOD, LOSSY], 1), [Bbr(number) for number in range(1, flows + 1)]
    tunnel.run(all_flows, WARM_UP)
    assert tunnel.goodput(all_flows, SECONDS) >= (0.90 if flows == 1 else 0.95) * (GOOD.rate + LOSSY.rate)


def test_bbr_finds_a_line_that_was_known_to_lose_before() -> None:
    tunnel, first, second = Tunnel([GOOD, LOSSY], 1), Cubic(1), Bbr(2)
    tunnel.run([first], 3.0)
    assert tunnel.sender.retransmissions.harmful == {1}
    tunnel.run([second], WARM_UP)
    assert tunnel.goodput([second], 4.0) >= 0.90 * (GOOD.rate + LOSSY.rate)


@pytest.mark.parametrize("congestion", [Cubic, Bbr])
def test_the_best_of_three_is_full(congestion: type[Flow]) -> None:
    tunnel, flow = Tunnel(MIXED, 1), congestion(1)
    tunnel.run([flow], WARM_UP)
    assert tunnel.goodput([flow], SECONDS / 2) >= 0.97 * MIXED[0].rate


def test_many_flows_have_as_much_as_without_the_rule() -> None:
    def goodput(*, blind: bool) -> float:
        tunnel, flows = Tunnel(MIXED, 1, blind=blind), [Bbr(number) for number in range(1, 9)]
        tunnel.run(flows, 2.0)
        return tunnel.goodput(flows, 3.0)

    assert goodput(blind=False) >= 0.93 * goodput(blind=True)


def test_bbr_fills_a_satellite_beside_a_near_line_and_what_comes_late_is_not_held_against_either() -> None:
    near, satellite = Uplink(3, 15), Uplink(7, 300)
    tunnel, flow = Tunnel([near, satellite], 1), Bbr(1)
    tunnel.run([flow], 10.0)
    assert tunnel.goodput([flow], 20.0) >= 2 * near.rate
    assert tunnel.goodput([flow], 3.0) >= 0.97 * (near.rate + satellite.rate)
    assert not tunnel.sender.retransmissions.harmful


def test_lines_that_are_alike_are_all_filled() -> None:
    tunnel, flow = Tunnel([GOOD, GOOD], 1), Cubic(1)
    tunnel.run([flow], 3.0)
    assert tunnel.goodput([flow], 4.0) >= 0.98 * 2 * GOOD.rate
    assert not tunnel.sender.retransmissions.harmful
