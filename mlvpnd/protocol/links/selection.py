"""Which links may carry traffic. They are judged by what is known; as long as anything is up, something carries."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from mlvpnd.protocol.receiving.loss import CHANCE

from .path import Path, PathStatus

CLEARLY = 3 / 4
"""What part of another bad link's loss, or RTT, a link's must be below to take the traffic over."""
LUCK = 3 * CHANCE // 2
"""Packets that it may have been spared by chance then: two that lose 20 % alike do not change in half an hour."""


class Tier(enum.Enum):
    """On what kind of links the traffic is."""

    NONE = "none"
    NORMAL = "normal"
    FALLBACK = "fallback"
    LAST_RESORT = "last resort"


def eligible(paths: Sequence[Path], carrying: Sequence[int] = ()) -> tuple[Tier, list[Path]]:
    """The links that carry traffic now, where `carrying` did so far.

    All healthy ones that are not fallback_only; else all healthy fallback links; else, rather than nothing,
    the best of those that are up at all: least loss, then least RTT; the one that carries stays until another is
    clearly better. Links that are not enabled are left out, distrusted ones as long as another is up, and those on
    trial as long as another is healthy.
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
