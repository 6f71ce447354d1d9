"""What a line can have sent by a time, against arithmetic."""

from __future__ import annotations

import pytest

from tests.sim.capacity import Constant, Steps


def test_a_steady_rate() -> None:
    line = Constant(1000)
    assert line.work(2.5) == 2500
    assert line.when(2500) == 2.5


def test_steps_and_their_return() -> None:
    line = Steps([0, 2, 3], [1000, 0, 500], period=5)
    assert line.mean == (2000 + 1000) / 5
    assert [line.work(at) for at in (1, 2, 2.7, 3, 4, 5, 6)] == [1000, 2000, 2000, 2000, 2500, 3000, 4000]
    assert [line.when(work) for work in (1000, 2000, 2001, 2500, 3000, 4000)] == [1, 2, 3.002, 4, 5, 6]


def test_each_time_is_that_of_its_work() -> None:
    line = Steps([0, 0.3, 0.7, 1.1], [10, 0, 70, 3], period=1.9)
    for number in range(1, 400):
        work = number * 0.37
        assert line.work(line.when(work)) == pytest.approx(work)


def test_before_the_load_the_first_rate_holds() -> None:
    line = Steps([0, 1], [100, 0], period=2)
    assert line.work(-0.5) == -50
    assert line.when(-50) == -0.5
    assert Steps([0, 1], [0, 100], period=2).work(-0.5) == -25


def test_a_line_that_never_carries_is_none() -> None:
    with pytest.raises(ValueError, match="never"):
        Steps([0], [0], period=1)
