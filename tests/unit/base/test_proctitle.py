"""Titles, seen from outside in /proc."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from mlvpnd.base import proctitle
proctitle.set_title("mlvpn: home @adsl1", natural=sys.argv[1] == "natural")
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("how", "title"), [("own", "mlvpn: home @adsl1"), ("natural", sys.executable)])
def test_title_and_kernels_name(how: str, title: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        directory = Path("/proc") / str(process.pid)
        assert (directory / "comm").read_text() == "mlvpn\n"
        assert (directory / "cmdline").read_text().split("\0")[0] == title
        assert process.stdin is not None
        process.stdin.close()
