"""Loss over the last seconds, also where upstream's arithmetic goes wrong."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.receiving.loss import BUCKET, JUMP, LEAST, WINDOW, LossMeter


def after(first: int, *seqs: int, interval: float = 0.0) -> LossMeter:
    """A meter that has had these numbers, one each `interval`."""
    loss = LossMeter(first)
    for count, seq in enumerate(seqs):
        loss.received(seq, count * interval)
    return loss


def test_nothing_is_lost_before_the_first_packet() -> None:
    loss = LossMeter(1_000_000)
    assert (loss.sent, loss.lost, loss.percent) == (0, 0, 0)


@pytest.mark.parametrize("numbers", [range(1, 1000), [3, 2, 1], [3, 3, 1, 2]], ids=["all", "backwards", "doubled"])
def test_nothing_lost(numbers: list[int]) -> None:
    assert after(0, *numbers, interval=0.01).percent == 0


def test_one_of_64() -> None:
    assert after(0, 2).percent == 1


@pytest.mark.parametrize("interval", [0.0001, 0.01, 1.0])
def test_every_second(interval: float) -> None:
    assert after(0, *range(1, 1000, 2), interval=interval).percent == pytest.approx(50, abs=1)


def test_a_fresh_flow_is_judged_as_if_all_before_had_come() -> None:
    loss = after(0, 11)
    assert (loss.sent, loss.lost, loss.percent) == (11, 10, 10 * 100 // LEAST)


def test_many_packets_are_forgotten_after_the_window() -> None:
    loss = after(0, 11)
    rate = 1000
    for count in range(1, 4 * rate):
        loss.received(11 + count, count / rate)
        if loss.lost == 0:
            break
    assert WINDOW <= count / rate <= WINDOW + 2 * BUCKET


def test_few_packets_are_remembered_until_there_are_enough_others() -> None:
    loss = after(0, 11, *range(12, 11 + LEAST), interval=1.0)
    assert loss.lost == 10
    loss.received(11 + LEAST, 100.0)
    loss.received(12 + LEAST, 101.0)
    assert loss.lost == 0


def test_memory_is_bounded_by_the_window_and_the_least() -> None:
    for rate in (0.01, 1, 30, 5000):
        loss = LossMeter(0)
        for seq in range(1, 20_000):
            loss.received(seq, seq / rate)
        assert loss.sent <= max(LEAST, WINDOW * rate) + 2 + 2 * BUCKET * rate, rate


def test_an_outage_is_loss_and_a_replaced_process_is_none() -> None:
    assert after(0, JUMP).percent == 99
    loss = after(0, 5, JUMP + 6)
    assert (loss.sent, loss.lost) == (0, 0)
    loss.received(JUMP + 8, 1.0)
    assert (loss.sent, loss.lost) == (2, 1)


@pytest.mark.parametrize("late", [1, 31, 32, 62, 63, 500])
def test_a_late_packet_fills_its_own_place_only(late: int) -> None:
    loss = after(0, 1000)
    loss.received(1000 - late, 0.3)
    assert (loss.sent, loss.lost) == (1000, 998)


def test_a_late_packet_counts_for_the_time_in_which_it_was_missed() -> None:
    loss = after(0, 2)
    for seq in range(3, 1000):
        loss.received(seq, seq / 500)
    assert loss.lost == 1
    loss.received(1, 2.0)
    assert loss.lost == 0


def test_too_late_is_no_use() -> None:
    loss = after(0, 2)
    for seq in (*range(3, 2000), 2001):
        loss.received(seq, seq / 500)
    assert loss.lost == 1
    loss.received(1, 4.1)
    assert loss.lost == 1


def test_late_packets_count_from_the_first_numbers_on() -> None:
    assert after(0, 3, 1, 2).lost == 0
    loss = after(10, 12)
    loss.received(9, 0.1)
    assert loss.lost == 1


def test_nothing_counts_during_a_pause() -> None:
    loss = after(1000, 1003)
    loss.pause(2.0)
    for seq, now in [(1004, 1.0), (1500, 1.9), (1400, 1.95)]:
        loss.received(seq, now)
        assert (loss.sent, loss.lost, loss.percent) == (0, 0, 0)
    loss.received(1600, 2.0)
    loss.received(1603, 2.1)
    assert (loss.sent, loss.lost) == (3, 2)
    loss.received(1599, 2.2)
    assert loss.lost == 2


def test_numbers_that_came_without_proof_count_when_one_above_them_has_it() -> None:
    loss = LossMeter(0)
    loss.received(10, 0.0, others=7)
    assert (loss.sent, loss.lost) == (10, 2)
