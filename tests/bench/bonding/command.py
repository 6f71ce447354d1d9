"""The command line: selects the runs, and says where their outcomes go.

    python -m tests.bench.bonding --profile rates --seeds 1 --flows 1 --cc cubic --seconds 6 --together-only
    python -m tests.bench.bonding --matrix && python -m tests.bench.bonding --report build/bonding.jsonl

The daemons are those beside the interpreter: the `.venv/bin/python` of another checkout measures its own daemons.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.support.linkemu import PROJECT

from .outcome import MLVPND, RAW, STRIPER, Cell, Outcome
from .plan import Plan
from .profiles import BBR, CUBIC, PROFILES
from .results import Recorder, Results
from .run import Bench, Setting

RESULTS = PROJECT / "build" / "bonding.jsonl"
REPORT = PROJECT / "bench"
RATE_TOGETHER = 100.0
"""Mbit/s of all lines of a profile: a faster profile runs by itself. Two of them leave two processors no time."""

Group = tuple[str, int, Sequence[Cell]]
"""A profile, a seed, and the cells that run on the profile's lines with that seed."""


def execute(
    plan: Plan, setting: Setting, done: Callable[[Outcome], None], known: Collection[Cell] = (), jobs: int = 1
) -> None:
    """Runs all cells but the known ones, `jobs` groups at a time. Groups of fast profiles run one at a time."""

    def run(group: Group) -> None:
        profile, seed, cells = group
        with Bench(profile, seed, setting).up() as bench:
            for cell in cells:
                done(bench.run(cell))

    groups = ((profile, seed, [cell for cell in cells if cell not in known]) for profile, seed, cells in plan.groups())
    together: list[Group] = []
    apart: list[Group] = []
    for profile, seed, cells in groups:
        if cells:
            alone = jobs == 1 or PROFILES[profile].total_rate > RATE_TOGETHER
            (apart if alone else together).append((profile, seed, cells))
    for group in apart:
        run(group)
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(run, together):
            pass  # an error of a run is raised here


def _keys(words: Iterable[str]) -> dict[str, object]:
    pairs = (word.partition("=") for word in words)
    return {key: value for key, _, value in pairs}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _profiles(text: str) -> tuple[str, ...]:
    names = tuple(PROFILES) if text == "all" else _names(text)
    if unknown := [name for name in names if name not in PROFILES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(PROFILES)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bonding", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--profile", type=_profiles, default=tuple(PROFILES), help="names with commas between, or all")
    parser.add_argument("--seeds", type=_numbers, default=(1, 2, 3), help="1,2,3")
    parser.add_argument("--flows", type=_numbers, default=(1, 8), help="1,8")
    parser.add_argument("--cc", type=_names, default=(BBR, CUBIC), help="bbr,cubic: TCP congestion control inside")
    parser.add_argument("--seconds", type=float, help="of a measurement; default: the profile's, 20 or 30")
    parser.add_argument("--warmup", type=float, help="seconds before it; default: the profile's, 5 or 10")
    parser.add_argument("--quick", action="store_true", help="one seed, short measurements: a look, no result")
    parser.add_argument("--together-only", action="store_true", help="not each line alone")
    parser.add_argument("--alone-only", action="store_true", help="not all lines together")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--peer", choices=(MLVPND, STRIPER), default=MLVPND, help="what sends; default: mlvpnd")
    kinds.add_argument("--raw", action="store_true", help="each line alone and without a tunnel: what the load can do")
    kinds.add_argument("--matrix", action="store_true", help="all that the report asks for")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in [general] of both ends")
    parser.add_argument("--link", action="append", default=[], metavar="KEY=VALUE", help="in every link of both ends")
    parser.add_argument(
        "--tries", type=int, default=Setting().tries, help="of a run, until the machine is quiet; default: 3"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on lines of its own; default: 1")
    parser.add_argument("--log", action="store_true", help="show the daemons' logs after each run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of JSON lines that outcomes are added to")
    parser.add_argument("--resume", action="store_true", help="leave out runs that are in that file and were quiet")
    parser.add_argument("--report", type=Path, metavar="RESULTS", help="run nothing: write the report of that file")
    parser.add_argument("--into", type=Path, default=REPORT, help="directory of the report; default: bench")
    return parser


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = Plan(
        profiles=arguments.profile,
        seeds=arguments.seeds[:1] if arguments.quick else arguments.seeds,
        congestions=arguments.cc,
        flows=arguments.flows,
        seconds=arguments.seconds,
        warmup=arguments.warmup,
        alone=not arguments.together_only,
        together=not arguments.alone_only,
    )
    if arguments.quick:
        plan = plan.quick()
    if not arguments.matrix:
        plan = replace(plan, peers=(RAW if arguments.raw else arguments.peer,))
    return plan


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status of the bench: 0, whatever it measured."""
    arguments = _parser().parse_args(argv)
    if arguments.report is not None:
        # Only a report needs the module for plots.
        from .report import write

        print(write(Results.load(arguments.report), arguments.into))
        return 0
    setting = Setting(_keys(arguments.set), _keys(arguments.link), keep_log=arguments.log, tries=arguments.tries)
    known: set[Cell] = set()
    if arguments.resume and arguments.results.exists():
        known = {one.cell for one in Results.load(arguments.results).outcomes.values() if one.quiet}
    recorder = Recorder(arguments.results)

    def done(outcome: Outcome) -> None:
        print(outcome, flush=True)
        recorder.add(outcome)

    execute(_plan(arguments), setting, done, known, arguments.jobs)
    return 0
