"""The command line: which runs, and what becomes of their outcomes.

    python -m tests.bench.bonding --profile rates --seeds 1 --flows 1 --cc cubic --seconds 6 --together-only

The daemons are those beside the interpreter: with another checkout's `.venv/bin/python` its daemons are measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.linkemu import PROJECT

from .outcome import Cell, Outcome
from .profiles import BBR, CUBIC, PROFILES
from .run import Bench, Setting

RESULTS = PROJECT / "build" / "bonding.jsonl"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which runs."""

    profiles: tuple[str, ...]
    seeds: tuple[int, ...]
    congestions: tuple[str, ...]
    flows: tuple[int, ...]
    seconds: float | None
    """None: what each profile says."""
    warmup: float | None
    alone: bool
    together: bool
    peer: str

    def cells(self, profile: str, seed: int) -> Iterator[Cell]:
        """The runs on the lines of one profile with one seed."""
        given = PROFILES[profile]
        every = tuple(range(1, len(given.lines) + 1))
        sets: list[tuple[int, ...]] = [(number,) for number in every] if self.alone else []
        sets += [every] if self.together else []
        for congestion in self.congestions:
            for flows in self.flows:
                for lines in sets:
                    yield Cell(
                        profile,
                        seed,
                        congestion,
                        flows,
                        lines,
                        given.seconds if self.seconds is None else self.seconds,
                        given.warmup if self.warmup is None else self.warmup,
                        self.peer,
                    )


def execute(plan: Plan, setting: Setting, done: Callable[[Outcome], None]) -> None:
    """Runs it all, one after the other."""
    for seed in plan.seeds:
        for profile in plan.profiles:
            with Bench(profile, seed, setting).up() as bench:
                for cell in plan.cells(profile, seed):
                    done(bench.run(cell))


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
    parser.add_argument("--together-only", action="store_true", help="not each line alone")
    parser.add_argument("--alone-only", action="store_true", help="not all lines together")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in [general] of both ends")
    parser.add_argument("--link", action="append", default=[], metavar="KEY=VALUE", help="in every link of both ends")
    parser.add_argument("--log", action="store_true", help="show the daemons' logs after each run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of JSON lines that outcomes are added to")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status of the bench."""
    arguments = _parser().parse_args(argv)
    plan = Plan(
        profiles=arguments.profile,
        seeds=arguments.seeds,
        congestions=arguments.cc,
        flows=arguments.flows,
        seconds=arguments.seconds,
        warmup=arguments.warmup,
        alone=not arguments.together_only,
        together=not arguments.alone_only,
        peer="mlvpnd",
    )
    setting = Setting(_keys(arguments.set), _keys(arguments.link), keep_log=arguments.log)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)

    def done(outcome: Outcome) -> None:
        print(outcome, flush=True)
        with arguments.results.open("a") as results:
            results.write(outcome.to_json() + "\n")

    execute(plan, setting, done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
