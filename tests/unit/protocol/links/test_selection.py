"""Which links carry."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.links.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.links.selection import Tier, eligible
from mlvpnd.protocol.receiving.loss import LossMeter

DOWN, CALLING, UP, LOSSY, SLOW = PathStatus


def link(status: PathStatus, *, fallback: bool = False, number: int = 0, rtts: tuple[float, ...] = ()) -> Path:
    path = Path(number, PathParameters(f"link{number}", 10.0, fallback_only=fallback), number, 0)
    path.status = status
    for rtt in rtts:
        path.rtt.update(rtt)
    return path


def chosen(*paths: tuple[PathStatus, bool]) -> tuple[Tier, list[int]]:
    links = [link(status, fallback=fallback, number=number) for number, (status, fallback) in enumerate(paths)]
    tier, best = eligible(links)
    return tier, [path.number for path in best]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], (Tier.NONE, [])),
        ([(DOWN, False), (CALLING, False)], (Tier.NONE, [])),
        ([(UP, False), (UP, False), (DOWN, False)], (Tier.NORMAL, [0, 1])),
        ([(UP, False), (LOSSY, False), (SLOW, False)], (Tier.NORMAL, [0])),
        ([(UP, False), (UP, True)], (Tier.NORMAL, [0])),
        ([(DOWN, False), (UP, True)], (Tier.FALLBACK, [1])),
        # Upstream sends nothing in the next case: there, a link that is down counts as healthy.
        ([(LOSSY, False), (DOWN, False), (UP, True)], (Tier.FALLBACK, [2])),
        ([(LOSSY, False), (SLOW, True)], (Tier.LAST_RESORT, [0])),
        ([(LOSSY, False), (LOSSY, False)], (Tier.LAST_RESORT, [0])),
        ([(DOWN, False), (LOSSY, True)], (Tier.LAST_RESORT, [1])),
    ],
)
def test_tiers(paths: list[tuple[PathStatus, bool]], expected: tuple[Tier, list[int]]) -> None:
    assert chosen(*paths) == expected


def test_last_resort_is_the_least_bad() -> None:
    slow, slower = link(SLOW, rtts=(500,)), link(SLOW, number=1, rtts=(900,))
    assert eligible([slower, slow]) == (Tier.LAST_RESORT, [slow])


@pytest.mark.parametrize(("current", "other", "stays"), [(500, 376, True), (500, 374, False), (300, 900, True)])
def test_among_slow_links_the_traffic_stays_until_another_is_better_by_a_quarter(
    current: float, other: float, stays: bool
) -> None:
    paths = [link(SLOW, rtts=(other,)), link(SLOW, number=1, rtts=(current,))]
    assert eligible(paths, (1,)) == (Tier.LAST_RESORT, [paths[stays]])


def lossy(number: int, sent: int, lost: int) -> Path:
    path = link(LOSSY, number=number)
    path.loss = LossMeter(0)
    path.loss.received(sent, 1.0, sent - 1 - lost)
    return path


@pytest.mark.parametrize(
    ("other", "best"),
    [
        ((1000, 150), 1),  # less, but not clearly
        ((1000, 137), 0),
        ((100, 5), 1),  # hardly known
        ((100, 2), 0),
        ((1000, 400), 1),
    ],
)
def test_among_lossy_links_the_traffic_stays_until_another_is_clearly_better(other: tuple[int, int], best: int) -> None:
    paths = [lossy(0, *other), lossy(1, 1000, 200)]
    assert eligible(paths, (1,)) == (Tier.LAST_RESORT, [paths[best]])


def test_a_slow_link_that_loses_nothing_is_better_than_a_lossy_one() -> None:
    slow = lossy(0, 1000, 0)
    slow.status = SLOW
    slow.rtt.update(2000)
    near = lossy(1, 1000, 100)
    near.rtt.update(10)
    assert eligible([slow, near], (1,)) == (Tier.LAST_RESORT, [slow])
    assert eligible([slow, near], (0,)) == (Tier.LAST_RESORT, [slow])


def test_the_links_that_carried_together_have_no_right_to_stay() -> None:
    paths = [lossy(0, 1000, 199), lossy(1, 1000, 200)]
    assert eligible(paths, (0, 1)) == eligible(paths, ()) == eligible(paths, (7,)) == (Tier.LAST_RESORT, [paths[0]])
