"""Generated traces: their means, how they move, and files in Mahimahi's format."""

from __future__ import annotations

import statistics
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.sim.traces import GENERATORS, SLOT, Trace, read_mahimahi

MEAN = 2_000_000.0


def by_seconds(trace: Trace) -> list[float]:
    per_second = round(1 / trace.interval)
    return [
        statistics.fmean(trace.rates[begin : begin + per_second])
        for begin in range(0, len(trace.rates) - per_second + 1, per_second)
    ]


@pytest.mark.parametrize("name", GENERATORS)
def test_the_mean_is_the_one_asked_for_and_the_seed_decides(name: str) -> None:
    trace, again, other = (GENERATORS[name](MEAN, Random(seed)) for seed in (1, 1, 2))
    assert statistics.fmean(trace.rates) == pytest.approx(MEAN)
    assert min(trace.rates) >= 0
    assert trace == again != other
    assert trace.capacity().mean == pytest.approx(MEAN)


def test_lte_moves_as_measured() -> None:
    seconds = [rate / MEAN for seed in range(20) for rate in by_seconds(GENERATORS["lte"](MEAN, Random(seed)))]
    low, *_, high = statistics.quantiles(seconds, n=20)
    assert 0.1 <= low <= 0.4  # 2.9 of 12.8
    assert 1.8 <= high <= 3.0  # 30.5 of 12.8
    ratios = [after / before for before, after in pairwise(seconds) if before > 0.01]
    quarter, _, three_quarters = statistics.quantiles(ratios, n=4)
    assert 0.7 <= quarter <= 0.85
    assert 1.15 <= three_quarters <= 1.35


def test_lte_has_gaps_of_a_second() -> None:
    trace = GENERATORS["lte"](MEAN, Random(3))
    spans = [len(span) * trace.interval for span in "".join("x" if rate else " " for rate in trace.rates).split("x")]
    assert any(0.69 <= span <= 1.75 for span in spans)


def test_starlink_changes_rate_and_delay_each_15_s() -> None:
    trace = GENERATORS["starlink"](MEAN, Random(1))
    assert [at for at, _ in trace.shifts] == [SLOT * number for number in range(8)]
    assert all(0 <= shift <= 0.008 for _, shift in trace.shifts)
    per_slot = round(SLOT / trace.interval)
    means = [statistics.fmean(trace.rates[at : at + per_slot]) for at in range(0, len(trace.rates), per_slot)]
    assert max(means) > 1.5 * min(means)
    assert 0 < sum(rate == 0 for rate in trace.rates) * trace.interval < 8 * 0.2


def test_wifi_comes_in_bursts_and_cable_nearly_steadily() -> None:
    wifi, cable = (GENERATORS[name](MEAN, Random(1)) for name in ("wifi", "cable"))
    assert 0.1 < sum(rate == 0 for rate in wifi.rates) / len(wifi.rates) < 0.6
    seconds = by_seconds(cable)
    assert min(seconds) > 0.6 * MEAN
    assert max(seconds) < 1.3 * MEAN


def test_a_mahimahi_file_is_read_and_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("1\n1\n3\n10\n")
    capacity = read_mahimahi(path).capacity()
    assert capacity.mean == pytest.approx(4 * 1500 / 0.010)
    assert [capacity.work(ms / 1000) for ms in (1, 2, 3, 9, 10, 11)] == pytest.approx(
        [3000, 3000, 4500, 4500, 6000, 9000]
    )


@pytest.mark.parametrize("text", ["", "5\n3\n", "0\n"])
def test_what_is_no_mahimahi_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(ValueError, match="no rising"):
        read_mahimahi(path)
