"""How well links are: which are lossy or slow, which are silent while others speak, and how often a link is probed.

A link is judged by what comes in, in each tenth of a second in which something does. It is excluded at its tolerance,
and comes back when it is clearly better. So a line on the edge does not go to and fro. An excluded link is probed
quickly, since nothing else shows that it is well again. So is a link that has just come up. Beside healthy links it is
on trial meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mlvpnd.protocol.receiving.loss import CHANCE, LEAST
from mlvpnd.protocol.wire.constants import (
    ACTIVE,
    EXCLUDED_PROBE_INTERVAL,
    JUDGE_INTERVAL,
    LEAST_PATIENCE,
    OTHERS_HEARD,
    PROBE_INTERVAL,
    PROBE_TIME,
    TRIAL_TIME,
    UNECHOED_ACTIVE,
)

from .path import Path, PathInput, PathStatus
from .selection import Tier

LEAST_JUDGED = 25
"""Packets of a new flow that the peer must have sent before its loss says anything."""
LEAST_SLOW = 1.0
"""Seconds that a slow link stays out, at least. A link that its own traffic slows would come and go in no time."""
TRIAL_SENT = 30
"""Packets that the peer must have sent on a link before its trial ends well: 0.6 s of probes. With 20 % loss, all or
all but one of them arrive in a hundredth of all cases."""
TRIAL_SPARSE = 5
"""Packets in `TRIAL_SPARSE_TIME`; a peer that probes has sent more, even over a satellite."""
TRIAL_SPARSE_TIME = 1.5
"""Seconds after which a peer with fewer packets is one that does not probe, as C MLVPN. It has had time for our answer.
Nothing will be known then before the link is used."""
NEVER_LOSSY = 100
"""Percent: tolerance of a link that is never lossy."""
NEVER_SLOW = 1000
"""Milliseconds: tolerance of a link that is never slow."""


def is_lossy(sent: int, lost: int, tolerance: int, *, was: bool) -> bool:
    """Whether `lost` of `sent` packets are too many for a tolerance in percent; `was`: the link is lossy so far.

    It becomes lossy at the tolerance and `CHANCE` packets more, or halfway to all packets if that is less. It is well
    at half the tolerance. Tolerances of 0 and 100 are upstream's: always and never.
    """
    if tolerance >= NEVER_LOSSY:
        return False
    if tolerance <= 0:
        return True
    if sent < LEAST_JUDGED:
        return was
    counted = max(sent, LEAST)
    tolerated = tolerance * counted  # in hundredths of a packet
    if was:
        return 200 * lost > tolerated
    return 100 * lost >= tolerated + min(100 * CHANCE, (100 * counted - tolerated) // 2)


def is_slow(srtt_ms: float, tolerance: int, *, was: bool) -> bool:
    """Whether a smoothed round trip is too long for a tolerance in milliseconds. A slow link is well at 0.8 of it."""
    if tolerance >= NEVER_SLOW:
        return False
    return 5 * srtt_ms > 4 * tolerance if was else srtt_ms >= tolerance


def judge(path: Path, now: float) -> PathStatus:
    """Judges an up link; returns its status before."""
    path.judge_at = now + JUDGE_INTERVAL
    limits, before = path.parameters, path.status
    if path.loss is not None:
        was = before is PathStatus.LOSSY
        lossy = is_lossy(path.loss.sent, path.loss.lost, limits.loss_tolerance, was=was)
        path.step(PathInput.LOSS_HIGH if lossy else PathInput.LOSS_FINE)
    slow = was = before is PathStatus.HIGH_LATENCY
    stays = was and now < path.excluded_at + LEAST_SLOW
    if limits.latency_tolerance >= NEVER_SLOW or (path.rtt.has_sample and not stays):
        slow = is_slow(path.rtt.srtt_ms, limits.latency_tolerance, was=was)
    path.step(PathInput.LATENCY_HIGH if slow else PathInput.LATENCY_FINE)
    if before is PathStatus.AUTHOK and not path.healthy:
        path.excluded_at = now
    path.on_trial = path.on_trial and path.healthy and not _is_tried(path, now)
    return before


def begin_trial(path: Path, paths: Iterable[Path], now: float) -> None:
    """A link has come up, and may lose too much: it is probed, and carries once the probes look well.

    It carries at once, unless another link is healthy and up for longer than a trial: no tunnel starts later for it.
    """
    if not 0 < path.parameters.loss_tolerance < NEVER_LOSSY:
        return
    path.probed_until = now + TRIAL_TIME
    path.on_trial = any(
        other.healthy and other.parameters.enabled and other.up_at <= now - TRIAL_TIME
        for other in paths
        if other is not path
    )


def _is_tried(path: Path, now: float) -> bool:
    """Whether a healthy link has been on trial for long enough."""
    if path.loss is None or now >= path.probed_until:
        return True
    sent = path.loss.sent
    if sent < TRIAL_SPARSE:
        return now >= path.probed_until - TRIAL_TIME + TRIAL_SPARSE_TIME
    return sent >= TRIAL_SENT and not is_lossy(sent, path.loss.lost, path.parameters.loss_tolerance, was=True)


class Activity:
    """Whether the tunnel carries data, and what follows for its links. Times are seconds of the driver's clock."""

    def __init__(self, paths: Mapping[int, Path], begins: Callable[[], object]) -> None:
        """`begins` is called when links may have to be probed sooner than `probe_at` has told."""
        self._paths = paths
        self._begins = begins
        self._last = self._since = float("-inf")
        """When data came or went last, and since when without a pause of `ACTIVE`."""

    def note(self, now: float) -> None:
        """Data comes or goes."""
        pause = now - self._last
        if pause >= ACTIVE:
            self._since = now
        self._last = now
        if pause >= ACTIVE - PROBE_INTERVAL:  # a probe that late was not planned
            self._begins()

    def probe_at(self, path: Path, tier: Tier, *, paced: bool) -> float:
        """When an up link wants a KEEPALIVE beside that of each second; infinity: never.

        A link whose peer seems not to hear us gets them quickly, until the peer echoes one or the link is down. A lossy
        or slow link gets them quickly while the tunnel is used, or for `PROBE_TIME`, if it would carry were it well. So
        does a link that has come up, for `TRIAL_TIME`. Paced links get one now and then while the tunnel carries data.
        """
        missed_at = max(path.sent_at + EXCLUDED_PROBE_INTERVAL, path.echo_missed_at)
        return min(missed_at, self._usual_probe_at(path, tier, paced=paced))

    def _usual_probe_at(self, path: Path, tier: Tier, *, paced: bool) -> float:
        at, limits = path.sent_at + EXCLUDED_PROBE_INTERVAL, path.parameters
        quick = at < path.probed_until or (
            path.status is not PathStatus.AUTHOK and (at - self._last < ACTIVE or at - path.excluded_at < PROBE_TIME)
        )
        if quick and limits.enabled and not (limits.fallback_only and tier is Tier.NORMAL):
            return at
        at = path.sent_at + PROBE_INTERVAL
        return at if paced and at - self._last < ACTIVE else float("inf")

    def find_silent(self, now: float, *, paced: bool) -> bool:
        """Distrusts silent links whose peer is heard on others: sooner than `timeout`, with less certainty.

        It also distrusts links whose peer is heard, but shows by no echo that it hears us, as it does on others.
        Returns whether it has distrusted any.
        """
        found = False
        if not paced or now - self._last >= ACTIVE:
            return found
        paths = self._paths.values()
        for path in paths:
            if now - path.heard_at <= LEAST_PATIENCE and path.rtt.unechoed < UNECHOED_ACTIVE:
                continue  # whatever its patience is
            if not path.up or path.distrusted:
                continue
            unheard = path.seems_unheard(now, self._since)
            if not unheard and now - max(path.heard_at, self._since) <= path.patience:
                continue
            others = [other for other in paths if other.up and other is not path]
            if any(now - other.heard_at < OTHERS_HEARD and not other.seems_unheard(now) for other in others):
                path.distrusted = found = True
        return found
