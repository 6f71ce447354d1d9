"""When a link is lossy or slow, and how often one is probed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from mlvpnd.protocol.links.path import Path, PathParameters, PathStatus
from mlvpnd.protocol.links.quality import LEAST_JUDGED, Activity, is_lossy, is_slow, judge
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.protocol.receiving.loss import CHANCE, LEAST, LossMeter
from mlvpnd.protocol.wire.constants import ACTIVE, EXCLUDED_PROBE_INTERVAL, JUDGE_INTERVAL, PROBE_INTERVAL, PROBE_TIME
from mlvpnd.protocol.wire.replay import PeerFlow

UP, LOSSY, SLOW = PathStatus.AUTHOK, PathStatus.LOSSY, PathStatus.HIGH_LATENCY
NEVER = math.inf


def link(status: PathStatus = UP, *, loss: int = 5, latency: int = 100, fallback: bool = False) -> Path:
    path = Path(0, PathParameters("adsl", 5.0, loss, latency, fallback_only=fallback), 1, 0)
    path.begin_flow(PeerFlow(7, "adsl", 0), 0)
    path.status = status
    return path


# Loss.


@pytest.mark.parametrize(
    ("sent", "lost", "tolerance", "was", "lossy"),
    [
        (10_000, 500 + CHANCE - 1, 5, False, False),
        (10_000, 500 + CHANCE, 5, False, True),
        (10_000, 251, 5, True, True),
        (10_000, 250, 5, True, False),
        # Where few packets have come, they count as the last of `LEAST`.
        (LEAST_JUDGED, 11, 5, False, False),
        (LEAST_JUDGED, 12, 5, False, True),
        (LEAST_JUDGED - 1, LEAST_JUDGED - 2, 5, False, False),
        (LEAST_JUDGED - 1, 0, 5, True, True),
        (LEAST_JUDGED, 1, 5, True, False),
        # The room for chance is never more than half of what is left.
        (LEAST, 61, 95, False, False),
        (LEAST, 63, 95, False, True),
        (1000, 999, 100, False, False),
        (1000, 999, 100, True, False),
        (1000, 0, 0, False, True),
        (1000, 0, 0, True, True),
        (0, 0, 0, False, True),
    ],
)
def test_lossy(sent: int, lost: int, tolerance: int, was: bool, lossy: bool) -> None:
    assert is_lossy(sent, lost, tolerance, was=was) is lossy


def arrivals(rate: int, loss: float, seconds: float, seed: int) -> Iterator[tuple[int, float]]:
    """The numbers that come of `rate` a second, and when they come. Those that are lost are drawn at random."""
    chance = random.Random(seed).random
    seq, end = 0, int(rate * seconds)
    while seq < end:
        arrived = int(math.log(1 - chance()) / math.log(1 - loss)) if loss else end
        for number in range(seq + 1, min(seq + arrived, end) + 1):
            yield number, number / rate
        seq += arrived + 1


def judged(meter: LossMeter, packets: Iterator[tuple[int, float]], *, was: bool) -> Iterator[tuple[float, bool]]:
    """The judgements, with a tolerance of 5 %."""
    due = 0.0
    for seq, now in packets:
        meter.received(seq, now)
        if now >= due:
            due = now + JUDGE_INTERVAL
            was = is_lossy(meter.sent, meter.lost, 5, was=was)
            yield now, was


@pytest.mark.parametrize(("rate", "hours"), [(2, 40), (50, 5), (1700, 0.2), (8000, 0.04)])
def test_one_percent_of_loss_never_passes_five(rate: int, hours: float) -> None:
    assert not any(lossy for _, lossy in judged(LossMeter(0), arrivals(rate, 0.01, hours * 3600, 1), was=False))


@pytest.mark.parametrize(("rate", "limit"), [(50, 2.5), (200, 1.2), (1700, 0.9), (8000, 0.8)])
def test_twenty_percent_are_seen_in_a_second_or_so_and_for_as_long_as_they_last(rate: int, limit: float) -> None:
    for seed in range(5):
        meter = LossMeter(0)
        for seq, now in arrivals(rate, 0.0, 4, seed):
            meter.received(seq, now)
        start, first = meter.newest, meter.newest / rate
        bad = ((start + seq, first + now) for seq, now in arrivals(rate, 0.2, 30, seed))
        verdicts = list(judged(meter, bad, was=False))
        since = next(now for now, lossy in verdicts if lossy)
        assert since - first < limit
        assert all(lossy for now, lossy in verdicts if now >= since)


@pytest.mark.parametrize("probes", [27, 52, 75])
def test_a_line_that_is_well_again_is_so_within_three_seconds(probes: int) -> None:
    """A line is judged by what both ends send while one excludes it: probes, answers, and a KEEPALIVE each second."""
    for seed in range(20):
        meter = LossMeter(0)
        for seq, now in arrivals(1700, 0.2, 4, seed):
            meter.received(seq, now)
        start, first = meter.newest, meter.newest / 1700
        assert is_lossy(meter.sent, meter.lost, 5, was=True)
        well = ((start + seq, first + now) for seq, now in arrivals(probes, 0.0, 4, seed))
        assert next(now for now, lossy in judged(meter, well, was=True) if not lossy) - first < 2.8


# Latency.


@pytest.mark.parametrize(
    ("srtt", "tolerance", "was", "slow"),
    [
        (399.9, 400, False, False),
        (400.0, 400, False, True),
        (320.1, 400, True, True),
        (320.0, 400, True, False),
        (4000.0, 1000, False, False),
        (4000.0, 1000, True, False),
    ],
)
def test_slow(srtt: float, tolerance: int, was: bool, slow: bool) -> None:
    assert is_slow(srtt, tolerance, was=was) is slow


# Judgement of a path.


def test_a_path_is_judged_by_both_and_knows_since_when_it_is_excluded() -> None:
    path = link()
    assert path.loss is not None
    path.rtt.update(150)
    assert judge(path, 10.0) is UP
    assert (path.status, path.excluded_at, path.judge_at) == (SLOW, 10.0, 10.0 + JUDGE_INTERVAL)
    path.loss.received(100, 10.5)
    assert judge(path, 11.0) is SLOW
    assert path.status is LOSSY
    path.begin_flow(PeerFlow(8, "adsl", 0), 0)  # a peer that begins anew says nothing of the line
    assert judge(path, 12.0) is LOSSY
    assert (path.status, path.excluded_at) == (LOSSY, 10.0)
    assert path.loss is not None
    for seq in range(1, 100):
        path.loss.received(seq, 12.0)
    path.rtt.update(90)
    assert judge(path, 13.0) is LOSSY
    assert path.status is UP


def test_a_slow_path_stays_so_for_a_second() -> None:
    path = link()
    path.rtt.update(100)
    judge(path, 10.0)
    for _ in range(100):
        path.rtt.update(10)
    judge(path, 10.9)
    assert path.status is SLOW
    judge(path, 11.0)
    assert path.status is UP


def test_without_a_sample_a_slow_path_stays_slow_and_another_does_not_become_so() -> None:
    for status in (UP, SLOW):
        path = link(status)
        judge(path, 1.0)
        assert path.status is status
    path = link(SLOW, latency=1000)
    judge(path, 1.0)
    assert path.status is UP


# Probes.


def probe_at(path: Path, activity: Activity, *, tier: Tier = Tier.NORMAL, paced: bool = True) -> float:
    return activity.probe_at(path, tier, paced=paced)


def active_at(now: float) -> Activity:
    activity = Activity({}, list)
    activity.note(now)
    return activity


def test_a_healthy_link_is_probed_where_links_are_paced_and_used() -> None:
    path = link()
    path.sent_at = 100.0
    assert probe_at(path, active_at(99.5)) == 100.0 + PROBE_INTERVAL
    assert probe_at(path, active_at(99.5), paced=False) == NEVER
    assert probe_at(path, active_at(99.0)) == NEVER


@pytest.mark.parametrize("status", [LOSSY, SLOW])
@pytest.mark.parametrize("paced", [True, False])
def test_an_excluded_link_is_probed_quickly_while_it_is_used_and_for_some_time_at_first(
    status: PathStatus, paced: bool
) -> None:
    path = link(status)
    path.excluded_at = path.sent_at = 100.0
    quick = 100.0 + EXCLUDED_PROBE_INTERVAL
    assert probe_at(path, Activity({}, list), paced=paced) == pytest.approx(quick)
    path.sent_at = 100.0 + PROBE_TIME
    assert probe_at(path, Activity({}, list), paced=paced) == NEVER
    assert probe_at(path, active_at(path.sent_at), paced=paced) == pytest.approx(quick + PROBE_TIME)
    assert probe_at(path, active_at(path.sent_at - ACTIVE), paced=paced) == NEVER


def test_a_link_that_would_not_carry_were_it_well_is_not_probed_quickly() -> None:
    path = link(LOSSY, fallback=True)
    path.excluded_at = path.sent_at = 100.0
    quick = 100.0 + EXCLUDED_PROBE_INTERVAL
    assert probe_at(path, Activity({}, list)) == NEVER
    for tier in (Tier.FALLBACK, Tier.LAST_RESORT, Tier.NONE):
        assert probe_at(path, Activity({}, list), tier=tier) == quick
    path.parameters = PathParameters("adsl", 5.0, 5, enabled=False)
    assert probe_at(path, Activity({}, list)) == NEVER
    assert probe_at(path, active_at(100.0)) == 100.0 + PROBE_INTERVAL
