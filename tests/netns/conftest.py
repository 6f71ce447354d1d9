"""These tests need root, network namespaces and /dev/net/tun; without them they fail, unless they are to be skipped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

NO_NETNS = "MLVPND_NO_NETNS"
PROGRAMS = ("ip", "ethtool", "sysctl", "ping", "fping", "gcc")


def _missing() -> list[str]:
    missing = [f"the program {program}" for program in PROGRAMS if shutil.which(program) is None]
    if os.geteuid():
        missing.append("root")
    if not Path("/dev/net/tun").is_char_device():
        missing.append("/dev/net/tun")
    return missing


@pytest.fixture(scope="session", autouse=True)
def _a_place_for_labs() -> None:
    if os.environ.get(NO_NETNS) == "1":
        pytest.skip(f"{NO_NETNS}=1")
    if missing := _missing():
        pytest.fail(f"these tests need {', '.join(missing)}; {NO_NETNS}=1 skips them", pytrace=False)
