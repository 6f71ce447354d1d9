"""Conditions of a line as the emulator reads them."""

from __future__ import annotations

import subprocess

import pytest

from tests.support import linkemu
from tests.support.lab import Direction, Line
from tests.support.linkemu import Conditions


def test_spec_converts_units() -> None:
    spec = dict(
        item.split("=") for item in Conditions(rate=1.5, delay=20, queue=50, loss=0.25, up=False).spec().split(",")
    )
    assert spec["rate"] == "1500000"
    assert spec["delay"] == "20000"
    assert spec["queue"] == "50000"
    assert spec["loss"] == "0.25"
    assert spec["up"] == "0"


def test_a_line_may_have_another_rate_to_the_server() -> None:
    line = Line(rate=16, rate_to_server=1, delay=12)
    assert line.towards(Direction.TO_CLIENT) == Conditions(rate=16, delay=12)
    assert line.towards(Direction.TO_SERVER) == Conditions(rate=1, delay=12)
    assert Line(rate=16).towards(Direction.TO_SERVER).rate == 16


def test_the_emulator_is_built_once() -> None:
    binary = linkemu.build()
    built_at = binary.stat().st_mtime_ns
    assert linkemu.build() == binary
    assert binary.stat().st_mtime_ns == built_at


@pytest.mark.parametrize("spec", ["rate=x", "rate", "rate=-1", "loss=1.5", "nonsense=1", "delay=nan", "delay=1ms"])
def test_the_emulator_refuses_what_makes_no_sense(spec: str) -> None:
    done = subprocess.run(
        [str(linkemu.build()), "--ab", spec, "a", "b"], capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 1
    assert done.stderr == f"linkemu: not understood: {spec}\n"


def test_a_source_that_does_not_compile_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("source")
    source = directory / "linkemu.c"
    source.write_text("int main(void) { return unknown; }\n")
    monkeypatch.setattr(linkemu, "SOURCE", source)
    monkeypatch.setattr(linkemu, "BUILD_DIR", directory / "build")
    with pytest.raises(linkemu.EmulatorError, match="unknown"):
        linkemu.build()
    assert list((directory / "build").iterdir()) == []
