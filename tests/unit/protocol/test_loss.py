"""The loss vector, where upstream's arithmetic goes wrong too."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.loss import WINDOW, LossVector


def percent_after(first: int, *seqs: int) -> int:
    loss = LossVector(first)
    for seq in seqs:
        loss.received(seq)
    return loss.percent


def test_nothing_is_lost_before_the_first_packet() -> None:
    assert percent_after(1_000_000) == 0


@pytest.mark.parametrize("numbers", [range(1, 1000), [1, 1, 1], [3, 2, 1]], ids=["all", "doubled", "backwards"])
def test_nothing_lost(numbers: list[int]) -> None:
    assert percent_after(0, *numbers) == 0


def test_one_of_64() -> None:
    assert percent_after(0, 2) == 1


def test_every_second() -> None:
    assert percent_after(0, *range(0, 1000, 2)) == 50


def test_a_gap_leaves_the_window_in_the_end() -> None:
    assert percent_after(0, 11, *range(12, 11 + WINDOW)) == 0
    assert percent_after(0, 11, *range(12, 10 + WINDOW)) == 1


def test_a_gap_of_63_is_seen_and_one_of_64_is_a_new_beginning() -> None:
    assert percent_after(0, WINDOW) == 98
    assert percent_after(0, WINDOW + 1) == 0


@pytest.mark.parametrize("late", [1, 31, 32, 62, 63])
def test_a_late_packet_fills_its_own_place_only(late: int) -> None:
    assert percent_after(0, 64, 64 - late) == 62 * 100 // WINDOW


def test_too_late_is_no_use() -> None:
    assert percent_after(1000, 1000 + WINDOW, 1000, 999) == 98


def test_late_packets_count_from_the_first_numbers_on() -> None:
    assert percent_after(0, 3, 1, 2) == 0
