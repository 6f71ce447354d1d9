from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
PROGRAM = """
import os, socket, sys
from mlvpnd.cli import streams
streams.ensure_standard()
print("lost")
print("lost", file=sys.stderr)
with socket.socket() as sock:
    assert sock.fileno() > 2
    os.write(int(sys.argv[1]), str(sock.fileno() > 2).encode())
"""


def test_what_was_closed_is_open_and_takes_everything() -> None:
    command = f"exec 9>&1; {sys.executable} -c '{PROGRAM}' 9 <&- >&- 2>&-"
    done = subprocess.run(["bash", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True", "")
