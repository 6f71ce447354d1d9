"""What a load adds to echo requests."""

from __future__ import annotations

import pytest

from tests.bench.bonding.echo import Added, Answer


def test_what_is_lost_is_counted_by_numbers_and_not_by_time() -> None:
    before = [Answer(number / 10, 20.0, number) for number in range(1, 10)]
    # The requests go later than asked for, as ping's do; one is answered twice, and one not at all.
    under = [Answer(1 + number * 0.105, 30.0, number) for number in (11, 12, 14, 14, 15)]
    added = Added.of(before + under, (0.0, 1.0), (1.0, 3.0))
    assert added.lost == pytest.approx(0.2)
    assert (added.idle, added.mean, added.worst) == (20.0, 10.0, 30.0)


def test_without_an_answer_all_is_lost() -> None:
    added = Added.of([], (0.0, 1.0), (1.0, 3.0))
    assert (added.lost, added.loaded) == (1.0, float("inf"))
