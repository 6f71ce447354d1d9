"""Which links may carry traffic. They are judged by what is known; as long as anything is up, something carries."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from .path import Path


class Tier(enum.Enum):
    """On what kind of links the traffic is."""

    NONE = "none"
    NORMAL = "normal"
    FALLBACK = "fallback"
    LAST_RESORT = "last resort"


def eligible(paths: Sequence[Path]) -> tuple[Tier, list[Path]]:
    """The links that carry traffic now.

    All healthy ones that are not fallback_only; else all healthy fallback links; else, rather than nothing,
    the best of those that are up at all: least loss, then least RTT. Links that are not enabled are left out, and
    distrusted ones as long as another is up.
    """
    paths = [path for path in paths if path.parameters.enabled]
    paths = [path for path in paths if not path.distrusted and path.up] or paths
    healthy = [path for path in paths if path.healthy]
    normal = [path for path in healthy if not path.parameters.fallback_only]
    if normal:
        return Tier.NORMAL, normal
    if healthy:
        return Tier.FALLBACK, healthy
    up = [path for path in paths if path.up]
    if up:
        return Tier.LAST_RESORT, [min(up, key=lambda path: (path.loss_percent, path.rtt.srtt_ms, path.number))]
    return Tier.NONE, []
