"""The command line of the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.command import main

SHORT = ("--seconds", "1", "--warmup", "0.5")


def test_a_run_prints_its_figures_and_draws_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--line", "4mbit,10ms", "--line", "2mbit,20ms,loss=1%", "--flows", "2xcubic"]
    assert main([*words, *SHORT, "--into", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "of the better line" in said
    assert "line 2: 2mbit,20ms,loss=1%" in said
    assert "x real time" in said
    (picture,) = tmp_path.iterdir()
    assert picture.name == "lines-2xcubic-1.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_line_set_of_a_search_runs_again(capsys: pytest.CaptureFixture[str]) -> None:
    again = []
    for _ in range(2):
        assert main(["run", "--random", "5", "--fastest", "3", *SHORT, "--no-plot"]) == 0
        again.append(capsys.readouterr().out.rpartition("\n  ")[0])
    assert again[0] == again[1]
    assert again[0].startswith("random 5, ")


def test_a_comparison_has_a_line_for_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--line", "4mbit,10ms", "--line", "2mbit,20ms", *SHORT]
    assert main([*words, "--against", "rates=absent", "--against", "set.reorder_size=64"]) == 0
    told, absent = capsys.readouterr().out.splitlines()
    assert "rates=absent set.reorder_size=64" in absent
    assert told.split("Mbit/s")[0] != absent.split("Mbit/s")[0]


def test_a_search_prints_the_worst(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "2", "--fastest", "2", "--flows", "cubic", *SHORT]) == 0
    said = capsys.readouterr().out
    assert "2/2, " in said
    assert "The worst by share of the better line alone:\nseed " in said


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--line", "fast"],
        ["run", "--flows", "reno", "--line", "4mbit,10ms"],
        ["run", "--profile", "nowhere"],
        ["run", "--rates", "some", "--line", "4mbit,10ms"],
        ["run", "--set", "speed=3", "--line", "4mbit,10ms"],
        ["run"],
        [],
    ],
)
def test_what_it_does_not_know_it_says(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)


def test_its_help_says_how_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "16mbit,20ms,queue=300ms,loss=1%" in capsys.readouterr().out
