"""Which links carry."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.selection import Tier, eligible

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
        # Upstream sends nothing in the next one: a link that is down counts as healthy there.
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
