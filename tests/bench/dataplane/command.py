"""The command line: selects the runs, and says where their outcomes go.

    python -m tests.bench.dataplane --quick --case tcp,idle --peer reference,openvpn
    python -m tests.bench.dataplane && python -m tests.bench.dataplane --report build/dataplane.jsonl

The daemons are those beside the interpreter: the `.venv/bin/python` of another checkout measures its own daemons.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from tests.bench.bonding.machine import describe
from tests.support.cpu import account
from tests.support.linkemu import PROJECT
from tests.support.vpn_peers import PEERS

from . import report, secretbox
from .cases import CASES, CIPHERS, EVERY, RAW
from .outcome import Cell, Outcome, Recorder, Results
from .run import run

RESULTS = PROJECT / "build" / "dataplane.jsonl"
REPORT = PROJECT / "bench"
SECONDS, QUICK_SECONDS = 4.0, 2.0


def cells(cases: Collection[str], peers: Collection[str], rounds: int, seconds: float) -> Iterator[Cell]:
    """All runs in their order. Rounds are outermost, so that compared runs are close in time."""
    for number in range(1, rounds + 1):
        for name, case in CASES.items():
            for peer in case.peers:
                # The runs that others are compared with are always included.
                if name in cases and (peer in peers or peer in (RAW, *CIPHERS)):
                    yield Cell(name, peer, number, seconds)


def execute(wanted: Sequence[Cell], done: Callable[[Outcome], None], known: Collection[tuple[str, str, int]]) -> None:
    """Runs all cells but the known ones, one after the other."""
    for cell in wanted:
        if (cell.case, cell.peer, cell.round) not in known:
            done(run(cell))


def machine() -> str:
    """The machine and the programs of the measurement."""
    versions = [_iperf3()]
    for peer in PEERS:
        try:
            versions.append(peer.version())
        except FileNotFoundError:
            versions.append(f"no {peer.name}")
    try:
        versions.append(f"libsodium {secretbox.measure(0.01).version}")
    except (OSError, subprocess.CalledProcessError) as error:
        versions.append(f"no secretbox measurement ({str(error).splitlines()[0]})")
    counted = account("mlvpnd-bench-kind")
    counted.close()
    return f"{describe()}; {', '.join(versions)}; CPU time by {counted.kind}"


def _iperf3() -> str:
    said = subprocess.run(["iperf3", "--version"], capture_output=True, text=True, check=True).stdout
    return " ".join(said.split()[:2])


def among(known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """A reader for argparse: reads names with commas between them, or `all`."""

    def names(text: str) -> tuple[str, ...]:
        found = tuple(known) if text == "all" else tuple(text.split(","))
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return found

    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dataplane", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    words = "names with commas between, or all"
    parser.add_argument("--case", type=among(CASES), default=tuple(CASES), help=f"{words}: {', '.join(CASES)}")
    parser.add_argument("--peer", type=among(EVERY), default=EVERY, help=f"{words}: {', '.join(EVERY)}")
    parser.add_argument("--rounds", type=int, help=f"default: {report.ROUNDS}, with --quick 1")
    parser.add_argument("--seconds", type=float, help=f"of a run; default: {SECONDS:g}, with --quick {QUICK_SECONDS:g}")
    parser.add_argument("--quick", action="store_true", help="one round of short runs: a look, no result")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of JSON lines that outcomes are added to")
    parser.add_argument("--resume", action="store_true", help="leave out runs that are in that file")
    parser.add_argument("--report", type=Path, metavar="RESULTS", help="run nothing: write the report of that file")
    parser.add_argument("--into", type=Path, default=REPORT, help="directory of the report; default: bench")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status of the bench: 0, whatever it measured."""
    arguments = _parser().parse_args(argv)
    if arguments.report is not None:
        print(report.write(Results.load(arguments.report), arguments.into))
        return 0
    rounds = arguments.rounds or (1 if arguments.quick else report.ROUNDS)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    known: Collection[tuple[str, str, int]] = ()
    if arguments.resume and arguments.results.exists():
        known = Results.load(arguments.results).done()
    recorder = Recorder(arguments.results, machine())

    def done(outcome: Outcome) -> None:
        print(outcome, flush=True)
        recorder.add(outcome)

    execute(list(cells(arguments.case, arguments.peer, rounds, seconds)), done, known)
    return 0
