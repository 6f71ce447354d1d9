"""The report says what the outcomes say, and what was not run."""

from __future__ import annotations

import dataclasses
import re

import pytest

from tests.bench.bonding import plots
from tests.bench.bonding.outcome import RAW, Outcome, Recovery
from tests.bench.bonding.profiles import PROFILES, goodput_of
from tests.bench.bonding.report import OUTCOMES, Report, line_text, lines_text, write
from tests.bench.bonding.results import Recorder, Results

from .outcomes import outcome

SUM = goodput_of(40)


def results(*outcomes: Outcome) -> Results:
    found = Results()
    for one in outcomes:
        found.add(one)
    return found


def row(text: str, section: str, name: str) -> list[str]:
    """The cells of a table's row."""
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith(f"| {name} |")]
    assert len(lines) == 1
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def test_an_empty_report_claims_nothing() -> None:
    text = Report(results()).text()
    assert ": holds" not in text
    assert "fails**" not in text
    assert row(text, "bbr", "equal")[2] == "not run (≥ 0.98)"
    assert "Of " in text
    assert " 0 hold, 0 fail," in text
    assert "0 runs, seeds none." in text


def test_figures_limits_and_verdicts_stand_together() -> None:
    runs = [outcome("equal", share * SUM, seed=seed) for seed, share in [(1, 0.99), (2, 0.985), (3, 0.97)]]
    text = Report(results(*runs, outcome("rates", 0.5 * goodput_of(60), idle=0.01))).text()
    assert row(text, "bbr", "equal")[2] == "0.985 (0.970-0.990) ≥ 0.98: holds"
    assert row(text, "bbr", "equal")[3] == "not run (≥ 0.98)"
    assert row(text, "bbr", "rates")[2] == "0.500† ≥ 0.98: **fails**"
    assert row(text, "bbr", "equal")[6:] == ["1.00 / 1.00, +9 ms", "**no** / not run"]
    assert row(text, "cubic", "dsl+sat")[6:] == ["not run", "nothing to compare"]
    assert "- rates, bbr, 1 flow, lines 1+2: goodput: 0.500† ≥ 0.98: **fails**" in text
    assert "1 were not quiet" in text
    assert "a look, no result" not in text


def test_short_runs_are_no_result() -> None:
    assert "**1 runs were shorter" in Report(results(outcome("equal", SUM, seconds=8))).text()


def test_the_outage_has_its_table() -> None:
    text = Report(results(outcome("blackhole", 30, flows=8, outage=Recovery(2.31, 0.0, 90, 0.75)))).text()
    part = text.split("## A line that dies")[1].split("\n## ")[0]
    assert "| bbr | 2.31 ≤ 2.5: holds | 0.75 ≤ 2: holds |" in part
    assert "| cubic | not run (≤ 2.5) | not run (≤ 2) |" in part


def test_what_each_load_has_on_the_line_itself() -> None:
    one = outcome("equal", 18.67, lines=(1,), peer=RAW)
    text = Report(results(dataclasses.replace(one, share_of_sum=0.976))).text()
    part = text.split("## Lines without a tunnel")[1].split("\n## ")[0]
    assert "| 20 @ 15 ms | 0.976 | not run (≥ 0.98) | not run | not run |" in part


def test_lines_in_words() -> None:
    assert lines_text(PROFILES["equal"]) == "2 x 20 @ 15 ms"
    assert line_text(PROFILES["fibre+lte"].lines[1]) == "30 @ 40 ms, ±10 ms, queue 300 ms"
    assert line_text(PROFILES["three mixed"].lines[2]) == "15 @ 20 ms, ±4 ms that reorders, 0.3 % loss"


def test_results_are_kept_in_a_file_and_later_ones_count(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("results") / "deep" / "bonding.jsonl"
    outage = Recovery(2.0, 0.1, 7, float("inf"))
    for goodput in (10.0, 20.0):
        recorder = Recorder(path)
        recorder.add(outcome("equal", goodput))
        recorder.add(outcome("blackhole", goodput, outage=outage))
    found = Results.load(path)
    assert len(found.outcomes) == 2
    assert len(found.machines) == 1
    assert "processors" in found.machines[0]
    assert re.search(r"Linux \d+\.\d+, ", found.machines[0]), "a build suffix says nothing to others"
    (kept,) = found.find("equal", "bbr", 1, (1, 2), "mlvpnd")
    assert dataclasses.replace(kept, series={}) == dataclasses.replace(outcome("equal", 20.0), series={})
    (dead,) = found.find("blackhole", "bbr", 1, (1, 2), "mlvpnd")
    assert dead.outage == outage
    found.save(path.with_suffix(".jsonl.xz"))
    again = Results.load(path.with_suffix(".jsonl.xz"))
    assert again == found
    assert again.machines == found.machines


def test_what_a_line_carries_is_drawn_in_half_seconds() -> None:
    times, rates = plots.shares_over_time(outcome("equal", SUM))
    assert times == [0.5, 1.0, 1.5, 2.0]
    # 250 000 bytes in a quarter of a second.
    assert rates == [[8.0] * 4] * 2
    assert plots.shares_over_time(dataclasses.replace(outcome("equal", SUM), series={})) == ([], [[], []])


@pytest.mark.filterwarnings("default")
def test_report_and_pictures_are_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("report") / "bench"
    path = write(results(outcome("equal", SUM), outcome("rates", 40, congestion="cubic", flows=8)), directory)
    assert path == directory / "BONDING.md"
    for name in plots.TITLES:
        assert f"]({name})" in path.read_text()
        assert (directory / name).read_bytes().startswith(b"\x89PNG")
    assert sorted(one.name for one in directory.iterdir()) == sorted([path.name, OUTCOMES, *plots.TITLES])
    assert len(Results.load(directory / OUTCOMES).outcomes) == 2
