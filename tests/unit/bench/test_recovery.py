"""When a line is back, told by its counter."""

from __future__ import annotations

import math

import pytest

from tests.bench.bonding.recovery import at, back_after


def series(*parts: tuple[float, float]) -> list[tuple[float, float]]:
    """A counter that is read each quarter of a second; each part has its seconds and its bytes a second."""
    found, now, count = [(0.0, 0.0)], 0.0, 0.0
    for seconds, rate in parts:
        for _ in range(round(seconds * 4)):
            now, count = now + 0.25, count + rate / 4
            found.append((now, count))
    return found


def test_between_samples_the_counter_grows_evenly() -> None:
    counter = [(1.0, 100.0), (2.0, 200.0), (2.0, 300.0), (4.0, 700.0)]
    assert [at(counter, when) for when in (0.5, 1.0, 1.5, 3.0, 4.0, 9.0)] == [100, 100, 150, 500, 700, 700]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(10, 1000), (10, 0), (10, 1000)], 0.0),
        ([(10, 1000), (11, 0), (9, 1000)], 1.0),
        # Nine tenths are enough, less is not enough.
        ([(10, 1000), (10, 0), (10, 910)], 0.0),
        ([(10, 1000), (10, 0), (10, 890)], math.inf),
        ([(10, 1000), (10, 0), (2, 500), (8, 1000)], 2.0),
        # A burst shorter than a second does not count.
        ([(10, 1000), (10, 0), (0.5, 1500), (2.5, 100), (7, 1000)], 3.0),
        # The last second is too short to tell.
        ([(10, 1000), (19.5, 0), (0.5, 1000)], math.inf),
    ],
)
def test_the_first_second_with_the_full_share_counts(parts: list[tuple[float, float]], expected: float) -> None:
    assert back_after(series(*parts), 10.0, 20.0) == pytest.approx(expected, abs=0.13)
