"""One-way transits by the peer's stamps, and disorder within a link."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.receiving.transit import (
    DISORDER_SPAN,
    HIGH_SPAN,
    LOW_SPAN,
    MAX_GAPS,
    Disorder,
    RecentMax,
    Transit,
    spread_ms,
)
from mlvpnd.protocol.wire.constants import NO_TIMESTAMP

OFFSET_MS = 40_000
"""Milliseconds by which the peer's clock is ahead of ours."""


def send(transit: Transit, sent_at: float, delay: float, offset_ms: float = OFFSET_MS) -> None:
    """Takes a packet that left at `sent_at` of our clock, and was on its way for `delay` seconds."""
    transit.received(int(sent_at * 1000 + offset_ms) % 65536, sent_at + delay)


def measured(*delays: float, start: float = 0.0, interval: float = 0.01, offset_ms: float = OFFSET_MS) -> Transit:
    transit = Transit()
    for number, delay in enumerate(delays):
        send(transit, start + number * interval, delay, offset_ms)
    return transit


def test_the_recent_maximum_is_forgotten_after_one_to_two_spans() -> None:
    most = RecentMax(1.0, 0.0)
    most.add(5.0, 10.0)
    most.add(3.0, 10.9)
    assert most.at(10.99) == 5.0
    most.add(1.0, 11.0)
    assert most.at(11.9) == 5.0
    assert most.at(12.0) == 1.0
    assert most.at(13.9) == 0.0


def test_the_recent_maximum_after_a_long_silence_is_the_newest() -> None:
    most = RecentMax(1.0, 0.0)
    most.add(5.0, 10.0)
    assert most.last == 5.0
    most.add(2.0, 100.0)
    assert most.last == 2.0


@pytest.mark.parametrize("offset_ms", [0, 1, 12_345, 65_530, -3_000_000])
@pytest.mark.parametrize("start", [0.0, 65.53, 1e6])
def test_the_spread_of_two_lines_knows_no_offset(offset_ms: float, start: float) -> None:
    near = measured(*[0.010] * 50, start=start, offset_ms=offset_ms)
    far = measured(*[0.040] * 50, start=start, offset_ms=offset_ms)
    assert spread_ms([near, far]) == pytest.approx(30, abs=1.01)
    assert spread_ms([far, near]) == pytest.approx(30, abs=1.01)


def test_like_lines_have_no_spread() -> None:
    assert spread_ms([measured(*[0.02] * 50), measured(*[0.02] * 50)]) <= 1.01


def test_the_spread_of_one_line_is_its_jitter() -> None:
    assert spread_ms([measured(0.010, 0.014, 0.010, 0.012)]) == pytest.approx(4, abs=1.01)


def test_without_samples_there_is_no_spread() -> None:
    assert spread_ms([]) == 0.0
    assert spread_ms([Transit()]) == 0.0
    assert not Transit().has_sample


def test_no_stamp_is_no_sample() -> None:
    transit = Transit()
    transit.received(NO_TIMESTAMP, 1.0)
    assert not transit.has_sample


def test_a_queue_counts_at_once_and_is_forgotten_soon() -> None:
    transit = measured(*[0.01] * 100)
    send(transit, 1.0, 0.1)
    assert transit.rise_ms == pytest.approx(90, abs=1.01)
    send(transit, 1.01, 0.19)
    assert transit.rise_ms == pytest.approx(180, abs=1.01)
    for number in range(int(2 * HIGH_SPAN / 0.01) + 2):
        send(transit, 1.01 + number * 0.01, 0.01)
    assert transit.rise_ms < 1.01


def test_a_rise_is_news_until_it_is_noted() -> None:
    transit = measured(*[0.01] * 100)
    transit.note()
    assert not transit.received((1000 + OFFSET_MS) % 65536, 1.0105)
    assert transit.received((1001 + OFFSET_MS) % 65536, 1.0135)
    assert transit.received((1002 + OFFSET_MS) % 65536, 1.0155)
    transit.note()
    assert not transit.received((1003 + OFFSET_MS) % 65536, 1.0165)


def test_a_route_that_got_longer_is_the_line_after_some_seconds() -> None:
    transit = measured(*[0.01] * 100)
    for number in range(int(2 * LOW_SPAN / 0.01) + 2):
        send(transit, 1.0 + number * 0.01, 0.05)
    assert transit.rise_ms < 1.01
    assert spread_ms([transit, measured(*[0.01] * 10)]) == pytest.approx(40, abs=1.01)


def test_stamps_that_run_over_their_16_bits_are_nothing_to_note() -> None:
    near, far = Transit(), Transit()
    for second in range(300):
        send(near, float(second), 0.01)
        send(far, float(second), 0.03)
        assert spread_ms([near, far]) == pytest.approx(20, abs=1.01)


def test_a_clock_that_drifts_changes_nothing_for_however_long() -> None:
    near, far = Transit(), Transit()
    for minute in range(0, 5000, 4):  # 200 ppm over 3 days and a half: 60 s
        for second in range(12):
            at = minute * 60.0 + second
            send(near, at, 0.01, at * 0.2)
            send(far, at, 0.03, at * 0.2)
    assert spread_ms([near, far]) == pytest.approx(20, abs=5)


@pytest.mark.parametrize("jump", [0.15, 1.0, 4.9, -0.15, -4.9, 20.0])
def test_a_jump_counts_when_the_next_packet_says_so_too_and_by_what_both_say(jump: float) -> None:
    transit = measured(*[1.0] * 100)
    before = (transit.low_ms, transit.rise_ms)
    for number in range(5):  # each packet alone
        send(transit, 1.0 + 0.1 * number, 1.0 + jump)
        send(transit, 1.05 + 0.1 * number, 1.0)
        assert (transit.low_ms, transit.rise_ms) == pytest.approx(before, abs=1.01)
    send(transit, 2.0, 1.0 + jump)
    send(transit, 2.01, 1.0 + jump / 2 if abs(jump) > 1 else 1.0 + jump)
    assert (transit.low_ms, transit.rise_ms) != pytest.approx(before, abs=100)


def test_jumps_to_and_fro_are_not_believed() -> None:
    transit = measured(*[1.0] * 100)
    before = (transit.low_ms, transit.rise_ms)
    for number in range(20):
        send(transit, 1.0 + 0.1 * number, 5.0 if number % 2 else 0.5)
    assert (transit.low_ms, transit.rise_ms) == pytest.approx(before, abs=1.01)


@pytest.mark.parametrize("step_ms", [20_000, -20_000, 32_768])
def test_a_peer_whose_clock_was_set_is_measured_anew(step_ms: int) -> None:
    transit = measured(*[0.01] * 10)
    for sent_at, delay in ((1.0, 0.01), (1.05, 0.01), (1.1, 0.02)):
        send(transit, sent_at, delay, OFFSET_MS + step_ms)
    assert transit.rise_ms == pytest.approx(10, abs=1.01)


def test_the_time_in_which_nobody_read_is_not_the_lines() -> None:
    transit = measured(*[0.01] * 10)
    send(transit, 1.0, 3.0)
    send(transit, 1.1, 2.9)
    assert transit.rise_ms == pytest.approx(2890, abs=1.01)
    transit.forget_high()
    assert transit.rise_ms == 0.0
    send(transit, 4.1, 0.015)
    send(transit, 4.2, 0.015)
    assert transit.rise_ms == pytest.approx(5, abs=1.01)


def test_a_link_that_keeps_order_has_no_disorder() -> None:
    link = Disorder(0)
    assert not any(link.received(seq, seq * 0.001) for seq in (1, 2, 5, 6, 100))
    assert link.seconds(0.1) == 0.0


def test_disorder_is_counted_from_when_a_packet_was_overtaken() -> None:
    link = Disorder(0)
    link.received(1, 1.000)
    link.received(4, 1.001)
    link.received(7, 1.010)
    assert link.received(6, 1.012)
    assert link.seconds(1.012) == pytest.approx(0.002)
    assert link.received(3, 1.013)
    assert link.seconds(1.013) == pytest.approx(0.012)
    assert not link.received(5, 1.0135)
    assert link.seconds(1.0135) == pytest.approx(0.012)


def test_disorder_is_forgotten() -> None:
    link = Disorder(0)
    link.received(2, 1.0)
    link.received(1, 1.5)
    assert link.seconds(1.5 + DISORDER_SPAN - 0.01) == 0.5
    assert link.seconds(1.5 + 2 * DISORDER_SPAN) == 0.0


def test_what_is_later_than_all_remembered_gaps_is_at_least_that_late() -> None:
    link = Disorder(0)
    for number in range(MAX_GAPS + 10):
        link.received(2 * number + 2, number * 0.01)
    assert link.received(1, 1.0)
    assert link.seconds(1.0) == pytest.approx(1.0 - 10 * 0.01)


def test_what_was_on_its_way_before_the_first_counts_for_nothing() -> None:
    assert not Disorder(100).received(99, 5.0)
