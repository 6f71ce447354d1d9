"""How long programs take to begin: this build beside another checkout, in turns.

    python -m tests.bench.start OLD [--rounds 21]

OLD is a checkout that was built (`make build`). `mlvpnctl` is timed from its start to its end with `--version`. The
daemon, started by hand, is timed until its control socket answers. It prints the medians in seconds and their ratio.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.support.cables import Cables
from tests.support.daemons import Daemon, config_text
from tests.support.linkemu import PROJECT

ROUNDS = 21
LIMIT = 10.0
"""Seconds in which a daemon answers."""
_POLL = 0.001
_LINKS: dict[str, dict[str, object]] = {
    f"link{number}": {"bindhost": "127.0.0.1", "bindport": 15080 + number} for number in (1, 2)
}


def mlvpnctl(checkout: Path) -> float:
    """Seconds that `mlvpnctl --version` takes."""
    began = time.monotonic()
    subprocess.run([checkout / ".venv/bin/mlvpnctl", "--version"], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def daemon(checkout: Path, cables: Cables) -> float:
    """Seconds until a server with two links answers on its control socket."""
    socket = cables.directory / "control.sock"
    general = {"mode": "server", "password": "start", "interface_name": "start0", "control_unix_path": socket}
    one = Daemon(cables.client, cables.directory, "start", config_text(general, _LINKS), control=socket)
    one.program = (str(checkout / ".venv/bin/mlvpn"),)
    began = time.monotonic()
    one.start()
    try:
        while not _answers(one):
            time.sleep(_POLL)
            assert time.monotonic() < began + LIMIT, one.log()
        return time.monotonic() - began
    finally:
        one.stop()


def _answers(one: Daemon) -> bool:
    try:
        return bool(one.status())
    except (OSError, ValueError):
        return False


def text(taken: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The table; each round has the old build's seconds and the new one's."""
    lines = ["             old      new      ratio"]
    for name, rounds in taken.items():
        old, new = (median(one[side] for one in rounds) for side in (0, 1))
        lines.append(f"{name:10} {old:7.3f}  {new:7.3f}  {new / old:7.3f}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.start", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("old", type=Path, help="directory of a checkout that was built")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args(argv)
    both = arguments.old.resolve(), PROJECT
    taken: dict[str, list[tuple[float, float]]] = {"mlvpnctl": [], "daemon": []}
    with Cables(1) as cables:
        for turn in range(arguments.rounds):
            order = both if turn % 2 else both[::-1]
            for name in taken:
                found = {at: mlvpnctl(at) if name == "mlvpnctl" else daemon(at, cables) for at in order}
                taken[name].append((found[both[0]], found[both[1]]))
    print(text(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
