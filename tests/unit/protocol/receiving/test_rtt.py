"""Round-trip times and the stamps that they are made of."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.receiving.rtt import INITIAL_SRTT_MS, RttEstimator, StampEcho, sample_ms, stamp
from mlvpnd.protocol.wire.constants import NO_TIMESTAMP


def test_before_a_sample() -> None:
    rtt = RttEstimator()
    assert not rtt.has_sample
    assert (rtt.srtt_ms, rtt.rttvar_ms) == (INITIAL_SRTT_MS, INITIAL_SRTT_MS / 2)


def test_the_first_sample_is_taken_whole() -> None:
    rtt = RttEstimator()
    rtt.update(40)
    assert (rtt.has_sample, rtt.srtt_ms, rtt.rttvar_ms, rtt.min_rtt_ms) == (True, 40, 20, 40)


def test_times_are_floats_whatever_the_samples() -> None:
    rtt = RttEstimator()
    for sample in (40, 30):
        rtt.update(sample)
        assert {type(rtt.srtt_ms), type(rtt.rttvar_ms), type(rtt.min_rtt_ms)} == {float}


def test_the_deviation_is_from_the_old_mean() -> None:
    rtt = RttEstimator()
    rtt.update(40)
    rtt.update(80)
    assert rtt.rttvar_ms == pytest.approx(20 * 3 / 4 + 40 / 4)
    assert rtt.srtt_ms == pytest.approx(40 * 7 / 8 + 80 / 8)
    assert rtt.min_rtt_ms == 40


def test_a_sample_of_zero_counts() -> None:
    rtt = RttEstimator()
    rtt.update(0)
    assert (rtt.has_sample, rtt.srtt_ms, rtt.min_rtt_ms) == (True, 0, 0)


def steady(sample: float = 20) -> RttEstimator:
    rtt = RttEstimator()
    for _ in range(50):
        rtt.update(sample)
    return rtt


def test_one_echo_that_is_far_too_late_or_early_changes_nothing() -> None:
    rtt, before = steady(200), steady(200)
    for sample in (4999, 200, 0, 200, 4999, 0, 4999, 200):
        rtt.update(sample)
        assert rtt.srtt_ms == pytest.approx(200, abs=0.01)
        assert rtt.rttvar_ms <= before.rttvar_ms
        assert rtt.min_rtt_ms == 200


def test_what_two_samples_in_a_row_say_is_believed() -> None:
    rtt = steady()
    rtt.update(4900)
    rtt.update(420)
    assert rtt.srtt_ms == pytest.approx(20 + 400 / 8, abs=0.01)
    rtt = steady(300)
    rtt.update(10)
    rtt.update(20)
    assert rtt.srtt_ms == pytest.approx(300 - 280 / 8, abs=0.01)
    assert rtt.min_rtt_ms == 20


def test_jitter_counts_at_once() -> None:
    rtt = steady()
    rtt.update(60)
    assert rtt.srtt_ms == pytest.approx(25, abs=0.01)


@pytest.mark.parametrize(("now", "expected"), [(0.0, 0), (1.25, 1250), (65.534, 65534), (65.5355, 0), (65.536, 0)])
def test_stamp(now: float, expected: int) -> None:
    assert stamp(now) == expected


def test_a_stamp_is_echoed_once_with_the_time_that_it_was_held() -> None:
    echo = StampEcho()
    echo.received(1000, 5.0)
    assert echo.take(5.25) == 1250
    assert echo.take(5.25) == NO_TIMESTAMP


def test_only_the_newest_stamp_is_echoed() -> None:
    echo = StampEcho()
    echo.received(1000, 5.0)
    echo.received(2000, 5.5)
    assert echo.take(5.5) == 2000


@pytest.mark.parametrize(("held", "expected"), [(0.999, 1999), (1.0, NO_TIMESTAMP), (7200.0, NO_TIMESTAMP)])
def test_a_stamp_is_held_for_less_than_a_second(held: float, expected: int) -> None:
    echo = StampEcho()
    echo.received(1000, 0.0)
    assert echo.take(held) == expected
    assert echo.take(held) == NO_TIMESTAMP


def test_a_peer_that_sends_no_stamp_gets_none() -> None:
    echo = StampEcho()
    echo.received(NO_TIMESTAMP, 0.0)
    assert echo.take(0.5) == NO_TIMESTAMP


def test_an_echo_wraps_and_is_never_the_word_for_none() -> None:
    echo = StampEcho()
    echo.received(65000, 0.0)
    assert echo.take(0.75) == (65000 + 750) % 65536
    echo.received(65000, 0.0)
    assert echo.take(0.535) == 0


@pytest.mark.parametrize(
    ("reply", "now", "expected"),
    [
        (NO_TIMESTAMP, 1.0, None),
        (1000, 1.04, 40),
        (1000, 1.0, 0),
        (65500, 65.546, 46),
        (1000, 5.999, 4999),
        (1000, 6.0, None),
        (1001, 1.0, None),
    ],
)
def test_sample(reply: int, now: float, expected: int | None) -> None:
    assert sample_ms(reply, now) == expected


def test_there_and_back() -> None:
    """We send at 10.0; the peer gets it 20 ms later, holds it for 300 ms; its answer takes 30 ms."""
    echo = StampEcho()
    echo.received(stamp(10.0), 500.02)
    assert sample_ms(echo.take(500.32), 10.35) == 50
