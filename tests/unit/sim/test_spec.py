"""Lines as text."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.bench.bonding.profiles import PROFILES as BENCH
from tests.sim.line import Conditions, Course
from tests.sim.scenario import LINKS, PROFILES, Flow, flows_text, parse_flows
from tests.sim.spec import parse

MBIT = 125_000


def course(text: str, *, up: bool = False) -> Course:
    return parse(text).course(up=up, random=Random(1), horizon=30)


def test_rate_delay_and_all_else() -> None:
    line = course("16mbit,20ms,queue=300ms,jitter=8ms,reorder,loss=1.5%,police=500kbit,burst=0.2s")
    assert line.capacity.mean == 16 * MBIT
    assert line.steps == [(0.0, Conditions(0.02, 0.008, True, 0.015, 0.3, 62_500, 0.2))]


def test_another_rate_to_the_server() -> None:
    assert course("16mbit,20ms,up=2mbit").capacity.mean == 16 * MBIT
    assert course("16mbit,20ms,up=2mbit", up=True).capacity.mean == 2 * MBIT


def test_steps_that_come_again() -> None:
    line = course("30mbit,12ms@5s:5mbit,loss=2%,loop=10s")
    assert line.capacity.mean == 17.5 * MBIT
    assert line.period == 10
    assert [(at, one.loss, one.delay) for at, one in line.steps] == [(0, 0, 0.012), (5, 0.02, 0.012)]


def test_the_last_step_lasts_to_the_end() -> None:
    line = course("30mbit,12ms@10s:0mbit")
    assert line.capacity.work(29) == line.capacity.work(10)


def test_traces_by_name_and_by_file(tmp_path: Path) -> None:
    assert course("16mbit,20ms,trace=lte").capacity.mean == pytest.approx(16 * MBIT)
    starlink = course("100mbit,20ms,trace=starlink")
    assert len({one.delay for _, one in starlink.steps}) == len(starlink.steps) == 8
    (tmp_path / "trace").write_text("1\n2\n")
    assert course(f"16mbit,20ms,trace={tmp_path / 'trace'}").capacity.mean == 1_500_000


@pytest.mark.parametrize(
    "text",
    [
        *("", "20ms", "16mbit,20", "16mbit,speed=3", "16mbit@5:5mbit", "16mbit@5s:5mbit@4s:3mbit"),
        *("16mbit@5s:1mbit,loop=4s", "16mbit,loss=1", "16mbit,trace=lte@5s:5mbit", "16mbit@5s"),
    ],
)
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


@pytest.mark.parametrize("name", PROFILES)
def test_all_profiles_are_lines(name: str) -> None:
    assert all(course(text).capacity.mean > 0 for text in PROFILES[name])


def test_the_profiles_of_the_bench_are_there() -> None:
    assert set(BENCH) <= set(PROFILES)
    assert LINKS["bad"] == {"loss_tolerance": 5}
    assert PROFILES["three mixed"][2] == "15mbit,20ms,jitter=4ms,reorder,loss=0.3%"


def test_flows() -> None:
    assert parse_flows("2xcubic,bbr:up,cubic@1") == (
        Flow("cubic"),
        Flow("cubic"),
        Flow("bbr", up=True),
        Flow("cubic", outside=1),
    )
    assert flows_text(parse_flows("2xcubic,bbr:up,cubic@1")) == "2xcubic,bbr:up,cubic@1"
    for text in ("reno", "cubic:sideways", "cubic@x", ""):
        with pytest.raises(ValueError, match="none of"):
            parse_flows(text)
