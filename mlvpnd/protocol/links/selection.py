"""Which links may carry traffic. They are judged by what is known; as long as a link is up, one carries."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from mlvpnd.protocol.receiving.loss import CHANCE

from .path import Path, PathStatus

CLEARLY = 3 / 4
"""Part of a bad link's loss, or RTT, that another bad link must stay below to take the traffic over."""
LUCK = 3 * CHANCE // 2
"""Packets of loss that this other link may have been spared by chance. Two links that lose 20 % alike do not change in
half an hour."""


class Tier(enum.Enum):
    """The kind of links that carry traffic."""

    NONE = "none"
    NORMAL = "normal"
    FALLBACK = "fallback"
    LAST_RESORT = "last resort"


def eligible(paths: Sequence[Path], carrying: Sequence[int] = ()) -> tuple[Tier, list[Path]]:
    """The links that carry traffic now, where `carrying` did so far.

    They are all healthy links that are not fallback_only; else all healthy fallback links. Else, rather than none, it
    is the best link that is up at all: least loss, then least RTT. The one that carries stays until another is clearly
    better. Links that are not enabled are left out. So are distrusted ones as long as another is up, and those on trial
    as long as another is healthy.
    """
    paths = [path for path in paths if path.parameters.enabled]
    paths = [path for path in paths if not path.distrusted and path.up] or paths
    healthy = [path for path in paths if path.healthy]
    healthy = [path for path in healthy if not path.on_trial] or healthy
    normal = [path for path in healthy if not path.parameters.fallback_only]
    if normal:
        return Tier.NORMAL, normal
    if healthy:
        return Tier.FALLBACK, healthy
    up = [path for path in paths if path.up]
    if not up:
        return Tier.NONE, []
    current = next((path for path in up if tuple(carrying) == (path.number,)), None)
    if current is not None:
        up = [path for path in up if _clearly_better(path, current)] or [current]
    return Tier.LAST_RESORT, [min(up, key=lambda path: (path.loss_percent, path.rtt.srtt_ms, path.number))]


def _clearly_better(path: Path, other: Path) -> bool:
    """By loss if one is lossy, else by RTT."""
    if PathStatus.LOSSY not in (path.status, other.status):
        return path.rtt.srtt_ms < CLEARLY * other.rtt.srtt_ms
    if path.loss is None or other.loss is None:
        return False
    return (path.loss.lost + LUCK) * other.loss.sent < CLEARLY * other.loss.lost * path.loss.sent
