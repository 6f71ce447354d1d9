"""RFC 6298 section 2, written out naively, without jumps that only one sample shows; and stamps against clocks."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.receiving.rtt import JUMP_MS, RttEstimator, StampEcho, sample_ms, stamp
from mlvpnd.protocol.wire.constants import NO_TIMESTAMP

CLOCKS = st.floats(0, 1e7)


@given(st.lists(st.integers(0, 4999), min_size=1, max_size=100))
def test_rfc_6298(samples: list[int]) -> None:
    rtt = RttEstimator()
    srtt = rttvar = Fraction(0)
    for number, said in enumerate(samples):
        rtt.update(said)
        sample = Fraction(said)
        if number == 0:
            srtt, rttvar = sample, sample / 2
        else:
            if abs(sample - srtt) > 4 * rttvar + Fraction(JUMP_MS):
                sample = statistics.median([Fraction(samples[number - 1]), srtt, sample])
            rttvar = Fraction(3, 4) * rttvar + Fraction(1, 4) * abs(srtt - sample)
            srtt = Fraction(7, 8) * srtt + Fraction(1, 8) * sample
        assert rtt.srtt_ms == pytest.approx(float(srtt), abs=1e-6)
        assert rtt.rttvar_ms == pytest.approx(float(rttvar), abs=1e-6)
    assert rtt.min_rtt_ms == min([samples[0], *(max(pair) for pair in pairwise(samples))])
    assert min(samples) <= rtt.srtt_ms <= max(samples)
    assert rtt.rttvar_ms >= 0


@given(CLOCKS, CLOCKS, st.floats(0, 4.99), st.floats(0, 0.998))
def test_the_round_trip_is_what_was_not_held(ours: float, theirs: float, flight: float, held: float) -> None:
    echo = StampEcho()
    echo.received(stamp(ours), theirs)
    sample = sample_ms(echo.take(theirs + held), ours + flight + held)
    assert sample is not None
    assert math.isclose(sample, flight * 1000, abs_tol=2.1)


@given(CLOCKS)
def test_a_stamp_is_never_the_word_for_none(now: float) -> None:
    assert 0 <= stamp(now) < NO_TIMESTAMP


@given(st.integers(0, 0xFFFF), CLOCKS, st.floats(0, 1e6))
def test_any_stamp_of_a_peer_is_echoed_once_or_never(timestamp: int, now: float, held: float) -> None:
    echo = StampEcho()
    echo.received(timestamp, now)
    assert 0 <= echo.take(now + held) <= NO_TIMESTAMP
    assert echo.take(now + held) == NO_TIMESTAMP


@given(st.integers(0, 0xFFFF), CLOCKS)
def test_any_echo_is_a_sane_sample_or_none(reply: int, now: float) -> None:
    sample = sample_ms(reply, now)
    assert sample is None or 0 <= sample < 5000
