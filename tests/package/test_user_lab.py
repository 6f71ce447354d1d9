"""`make lab` and `make lab-down`, and all commands that a user is told to type between them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.linkemu import PROJECT
from tests.support.rootfs import host_release

from .conftest import Release

UP_LIMIT = 300
COMMAND_LIMIT = 30
# Without these words the commands would not end.
ENDING = {"mlvpnctl top": "--samples 1", "ping": "-c 2", "/speed": "--time 2"}


def _user_lab(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.support.user_lab", *words]
    environment = {**os.environ, "MLVPND_LAB": str(place)}
    return subprocess.run(
        argv, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=UP_LIMIT
    )


def _type(line: str) -> str:
    words = [line, *(option for part, option in ENDING.items() if part in line)]
    argv = shlex.split(" ".join(words))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=COMMAND_LIMIT)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("release", [host_release()], indirect=True, scope="session")
def test_it_stays_until_it_is_told_to_go(release: Release, tmp_path: Path) -> None:
    place = tmp_path / "lab"
    up = _user_lab(place, "up", str(release.package))
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        assert _user_lab(place, "up", str(release.package)).returncode == 1, "there is one already"
        commands = [line.strip().partition("  ")[2].strip() for line in up.stdout.splitlines() if line.startswith("  ")]
        assert commands.pop() == "make lab-down"
        outputs = {line: _type(line) for line in commands}
        assert "link2" in outputs[f"{place}/client mlvpnctl links"]
        assert "receiver" in outputs[f"{place}/speed"]
        assert "server" in _type(f"{place}/server hostname")
    finally:
        down = _user_lab(place, "down")
    assert down.returncode == 0, down.stderr
    assert not place.exists()
    assert _user_lab(place, "down").returncode == 1
