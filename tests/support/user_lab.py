"""`make lab`: a server and a client with the package installed, joined by two shaped lines, until `make lab-down`.

Both are containers, kept by a process in the background. The user's files are in MLVPND_LAB (`/run/mlvpnd-lab`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .debs import install, minimal_system
from .lab import Lab, LabError, Line, wait_until
from .linkemu import PROJECT
from .nodes import Nodes
from .rootfs import RootError, host_release, root_of
from .services import CONFIG, INSTANCE, ServiceTunnel
from .tunnels import SERVER_INNER_IPV4

PLACE = Path(os.environ.get("MLVPND_LAB", "/run/mlvpnd-lab"))
LINES = (Line(rate=20, delay=10), Line(rate=10, delay=15))
UP_LIMIT = 400.0
"""Seconds until the lab is up. The first time makes a root directory, which takes one minute."""
DOWN_LIMIT = 60.0
_MODULE = "tests.support.user_lab"

_TEXT = f"""\
The lab is up. {PLACE}/client and {PLACE}/server run a command there; without one, a shell.

  what is up     {PLACE}/client mlvpnctl links
  live           {PLACE}/client mlvpnctl top
  what is wrong  {PLACE}/client mlvpnctl doctor {INSTANCE}
  a ping         {PLACE}/client ping {SERVER_INNER_IPV4}
  how fast       {PLACE}/speed
  cut a line     {PLACE}/adsl1 down
  mend it        {PLACE}/adsl1 up
  the journal    {PLACE}/server journalctl -x -u mlvpn@{INSTANCE}
  the file       {PLACE}/client cat {CONFIG}
  end            make lab-down
"""


def main(argv: Sequence[str]) -> int:
    """Runs `up PACKAGE`, `down`, or, in the background, `keep PACKAGE`."""
    match argv:
        case ["up", package]:
            return up(Path(package))
        case ["keep", package]:
            return keep(Path(package))
        case ["down"]:
            return down()
    print(f"usage: python -m {_MODULE} up PACKAGE | down", file=sys.stderr)
    return 2


def up(package: Path) -> int:
    """Starts the keeper and waits until its tunnel is up; prints the commands for the user."""
    if _keeper():
        print(f"the lab is up already, in {PLACE}; `make lab-down` ends it", file=sys.stderr)
        return 1
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    with (PLACE / "log").open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", _MODULE, "keep", str(package)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    (PLACE / "pid").write_text(str(keeper.pid))
    print("booting a server and a client, and installing the package …", flush=True)
    ready = PLACE / "ready"
    if not wait_until(lambda: ready.exists() or keeper.poll() is not None, UP_LIMIT) or not ready.exists():
        keeper.terminate()
        keeper.wait(DOWN_LIMIT)
        log = PLACE / "log"
        print(log.read_text()[-4000:] if log.exists() else "the lab was ended", file=sys.stderr)
        shutil.rmtree(PLACE, ignore_errors=True)
        return 1
    keeper.returncode = 0  # it goes on without us; otherwise Python warns
    print(_TEXT, end="")
    return 0


def keep(package: Path) -> int:
    """Keeps the lab up until SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    try:
        root = root_of(host_release(), minimal_system())
        with Lab(LINES) as lab, Nodes(lab, root, root) as nodes:
            for node in nodes:
                install(node, package)
            ServiceTunnel(lab, nodes).ensure_up()
            for node in nodes:
                words = [word for word in node.enter if not word.startswith("TERM=")]
                _write_program(node.name, f'[ $# -gt 0 ] || set -- bash -l\nexec {shlex.join(words)} "TERM=$TERM" "$@"')
            lab.server.start("iperf3", "--server")
            # From the server to the client, like most traffic.
            words = [*lab.client.enter, "iperf3", "--client", SERVER_INNER_IPV4, "--reverse"]
            _write_program("speed", f'exec {shlex.join(words)} "$@"')
            line = lab.line(1).client
            _write_program(line.device, f'exec {shlex.join(line.cable)} "$@"')
            (PLACE / "ready").touch()
            while True:
                signal.pause()
    except (LabError, RootError, AssertionError) as error:
        print(error, file=sys.stderr)
        return 1


def _end(_number: int, _frame: object) -> None:
    """Ends the lab in an orderly way, once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()


def down() -> int:
    """Ends the keeper, and the whole lab with it."""
    keeper = _keeper()
    if not keeper:
        print("no lab is up", file=sys.stderr)
        return 1
    os.kill(keeper, signal.SIGTERM)
    if not wait_until(lambda: not _keeper(), DOWN_LIMIT):
        print(f"process {keeper} does not end", file=sys.stderr)
        return 1
    shutil.rmtree(PLACE)
    return 0


def _keeper() -> int:
    """The process id of the lab's keeper, 0 if there is none."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((PLACE / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if _MODULE.encode() in words and b"keep" in words:
            return pid
    return 0


def _write_program(name: str, text: str) -> None:
    program = PLACE / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
