from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from mlvpnd.ctl.output import (
    Cell,
    Output,
    OutputOptions,
    colour_wanted,
    duration,
    milliseconds,
    moment,
    pager,
    rate,
    short_rate,
    size,
    state_cell,
    width,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_288_490_189, "1.2 GiB"),
        (1024**2 - 1, "1.0 MiB"),
        (2**70, "1024.0 EiB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("bytes_per_second", "text", "short"),
    [
        (0, "0 bit/s", "0"),
        (80, "640 bit/s", "640"),
        (124.99, "1.0 kbit/s", "1.0k"),
        (312_500, "2.5 Mbit/s", "2.5M"),
        (12_499_000, "100 Mbit/s", "100M"),
        (124_999_999, "1.0 Gbit/s", "1.0G"),
        (1e15, "8000 Tbit/s", "8000T"),
    ],
)
def test_rates(bytes_per_second: float, text: str, short: str) -> None:
    assert rate(bytes_per_second) == text
    assert short_rate(bytes_per_second) == short
    assert len(short) <= 6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-5, "0s"), (59.9, "59s"), (61, "1min 1s"), (7200, "2h"), (90061, "1d 1h"), (3601, "1h 1s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times() -> None:
    assert milliseconds(23_400) == "23 ms"
    assert milliseconds(420) == "0.4 ms"
    assert moment(0, 5) == "-"
    assert moment(1_000_000, 62).endswith("1970-01-01 00:00:01 UTC; 1min 1s ago")


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("environment", "terminal", "wanted"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "SYSTEMD_COLORS": "0"}, True, False),
        ({"SYSTEMD_COLORS": "1", "NO_COLOR": "1"}, False, True),
        ({"TERM": "xterm", "SYSTEMD_COLORS": "16"}, True, True),
    ],
)
def test_when_to_colour(environment: dict[str, str], *, terminal: bool, wanted: bool) -> None:
    assert colour_wanted(environment, terminal=terminal) is wanted


def test_tables() -> None:
    rows: list[list[Cell]] = [["a", ("good", "up"), "-"], ["äöü long", "x", "1"], ["日本", "", "2"]]
    output = Output(OutputOptions(), io.StringIO())
    assert output.table(("NAME", "B", "C"), rows) == [
        "NAME      B   C",
        "a         up  -",
        "äöü long  x   1",
        "日本          2",
    ]
    plain = Output(OutputOptions(legend=False), io.StringIO())
    assert plain.table(("NAME", "B", "C"), rows[:1]) == ["a  up  -"]
    assert plain.table(("NAME",), []) == []
    coloured = Output(OutputOptions(colour=True, legend=False), io.StringIO())
    assert coloured.table(("NAME", "B", "C"), rows[:1]) == ["a  \x1b[32mup\x1b[0m  -"]


def test_json_modes() -> None:
    texts = {}
    for mode in ("short", "pretty"):
        stream = io.StringIO()
        output = Output(OutputOptions(json=mode), stream)
        output.json({"a": [1, "ü"]})
        output.json({"b": 1}, lines=True)
        output.remark("not for programs")
        texts[mode] = stream.getvalue()
    assert texts["short"] == '{"a":[1,"\\u00fc"]}\n{"b":1}\n'
    assert texts["pretty"].endswith('}\n{"b":1}\n')
    assert json.loads(texts["pretty"].rpartition("{")[0]) == {"a": [1, "ü"]}


def test_remarks_and_pages() -> None:
    stream = io.StringIO()
    Output(OutputOptions(quiet=True), stream).remark("nothing")
    Output(OutputOptions(), stream).remark("done")
    Output(OutputOptions(), stream).page(["1", "2"])
    assert stream.getvalue() == "done\n1\n2\n"


def test_pager() -> None:
    assert pager({"SYSTEMD_PAGER": "", "PAGER": "more"}) == []
    assert pager({"SYSTEMD_PAGER": "cat"}) == []
    assert pager({"PAGER": "less -X"}) == ["less", "-X"]
    assert pager({"PAGER": 'less "'}) == []


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("program", "paged", "printed"),
    [
        ("cat >{paged}", "é\n2\n3\n", ""),
        ("cat >{paged}; kill -INT $PPID; sleep 0.2", "é\n2\n3\n", ""),
        ("exit 1", "", ""),
        ("", "", "é\n2\n3\n"),
    ],
    ids=["all", "interrupted", "ended", "not there"],
)
def test_what_is_paged_is_not_printed_too(
    program: str, paged: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text is paged in any locale; a screen that is large enough needs no pager."""
    path = tmp_path / "pager"
    if program:
        path.touch(mode=0o700)
        path.write_text(f"#!/bin/sh\n{program.format(paged=tmp_path / 'paged')}\n")
    (tmp_path / "paged").touch()
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    for key, value in {"COLUMNS": "80", "LINES": "3", "PAGER": str(path), "SYSTEMD_PAGER": str(path)}.items():
        monkeypatch.setenv(key, value)
    Output(OutputOptions()).page(["é", "2", "3"])
    assert ((tmp_path / "paged").read_text("utf-8"), screen.getvalue()) == (paged, printed)
    monkeypatch.setenv("LINES", "4")
    Output(OutputOptions()).page(["x"])
    assert screen.getvalue() == printed + "x\n"


def test_widths_and_states() -> None:
    assert [width(text) for text in ("abc", "äöü", "日本", "e\u0301")] == [3, 3, 4, 1]
    assert state_cell("up") == ("good", "up")
    assert state_cell("new\x1b[2J") == ("", "new\\x1b[2J")
    assert state_cell("") == ("", "-")


@pytest.mark.parametrize(("encoding", "dot"), [("utf-8", "●"), ("iso-8859-1", "*"), ("ascii", "*")])
def test_the_dot_on_terminals_that_do_not_have_it(encoding: str, dot: str) -> None:
    assert Output(OutputOptions(), io.TextIOWrapper(io.BytesIO(), encoding)).dot == dot
