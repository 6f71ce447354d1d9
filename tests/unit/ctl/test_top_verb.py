from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest

from mlvpnd.ctl.errors import NotFound, Unreachable, UsageError
from mlvpnd.ctl.output import Output, OutputOptions
from mlvpnd.ctl.source import Source
from mlvpnd.ctl.top_verb import live, top
from mlvpnd.ctl.verbs import Context

from .test_source import DOWN, FakeBus


def run(tmp_path: Path, bus: FakeBus, *tunnels: str, samples: int = 1, **options: Any) -> str:
    (tmp_path / "stopped.conf").touch()
    stream = io.StringIO()
    source = Source(bus, runtime=tmp_path, config=tmp_path)
    context = Context(cast(Any, bus), source, Output(OutputOptions(**options), stream))
    arguments = argparse.Namespace(tunnels=[*tunnels], delay=0.0, samples=samples)
    assert top(context, arguments) == 0
    return stream.getvalue()


def test_for_print(tmp_path: Path) -> None:
    text = run(tmp_path, FakeBus("a", "b"))
    assert [line for line in text.splitlines() if line in ("a", "b")] == ["a", "b"]
    assert "no tunnel is running" in run(tmp_path, FakeBus())


def test_for_programs(tmp_path: Path) -> None:
    lines = run(tmp_path, FakeBus("a"), samples=3, json="pretty").splitlines()
    assert [[tunnel["Name"] for tunnel in json.loads(line)["Tunnels"]] for line in lines] == [["a"]] * 3


def test_tunnels_that_cannot_be_shown(tmp_path: Path) -> None:
    text = run(tmp_path, FakeBus("a"), "a", "stopped")
    assert "not running; start it with 'systemctl start mlvpn@stopped'" in text
    with pytest.raises(Unreachable, match="the system bus cannot be reached"):
        run(tmp_path, FakeBus(error=DOWN))
    with pytest.raises(NotFound):
        run(tmp_path, FakeBus("a"), "absent")


def test_the_screen_needs_a_terminal(tmp_path: Path) -> None:
    context = Context(cast(Any, None), Source(FakeBus()), Output(OutputOptions(), io.StringIO()))
    with pytest.raises(UsageError, match="--once"):
        live(context, argparse.Namespace(tunnels=[], delay=1.0))
