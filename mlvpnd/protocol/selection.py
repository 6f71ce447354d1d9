"""Which links may carry traffic, and how long their differences may hold a packet back.

Links are judged by what is known; as long as anything is up, something carries.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from .loss import CHANCE
from .path import Path, PathStatus

DATA_RECENT = 3.0
"""Seconds in which a link must have come up or brought data to count in the spread."""
UNKNOWN_SPREAD = 0.1
"""Seconds to wait at least while a link that may bring data has no RTT sample."""
MAX_WAIT = 0.5
"""Seconds; a link that is later than this is no help to the others."""
MIN_WAIT = 0.002
"""Seconds; below this, bursts of one link overtaken by those of another would be taken for loss."""

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
    clearly better. Links that are not enabled are left out, and distrusted ones as long as another is up.
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


def reorder_wait(paths: Sequence[Path], now: float, data_since: float = float("-inf")) -> float:
    """Seconds that a hole is worth waiting for: how much later than the fastest link the slowest may be.

    A link's packets are between its least RTT and srtt + 4 rttvar on their way and back (RFC 6298 takes the same
    bound for its timeout). Only links that bring data, or have just come up and may, count: an idle bad
    link delays nobody. `data_since` is when data began to flow after a break: a far link's first packets are
    on their way then, long behind those of a near one, so all links count for a while.
    """
    up = [path for path in paths if path.up]
    carrying = [path for path in up if now - max(path.data_received_at, path.up_at, data_since) < DATA_RECENT] or up
    sampled = [path.rtt for path in carrying if path.rtt.has_sample]
    wait = MIN_WAIT if len(sampled) == len(carrying) and sampled else UNKNOWN_SPREAD
    if sampled:
        spread = max(rtt.srtt_ms + 4 * rtt.rttvar_ms for rtt in sampled) - min(rtt.min_rtt_ms for rtt in sampled)
        wait = max(wait, spread / 1000)
    return min(wait, MAX_WAIT)
