"""Runs two builds of the daemon in turns, to measure the cost of a change.

    python -m tests.bench.dataplane.against OLD --rounds 5 --case tcp,steady

OLD is a checkout with a build (`make build`); `make bench-against OLD=REVISION` makes one. The new build is the one
beside the interpreter. This tree's bench runs both. The two builds take turns in each case, and the first one changes
from round to round.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from .cases import CASES, NATIVE, REFERENCE, TWINS
from .command import RESULTS, SECONDS, among, machine
from .outcome import VALUES, Cell, Outcome, Recorder
from .report import ROUNDS, number_text, table
from .run import run

LOWER_IS_BETTER = ("cpu_sender", "cpu_receiver", "packet_sender", "packet_receiver", "rtt_least", "memory")
"""The compared values. The other values depend on the other work of the machine."""


def cells(cases: Sequence[str], twin: str, rounds: int, seconds: float, old: Path) -> Iterator[Cell]:
    """All runs in their order; an empty `program` is the new build."""
    for number in range(1, rounds + 1):
        for case in cases:
            pair = (str(old), "")
            for program in pair if number % 2 else reversed(pair):
                yield Cell(case, twin, number, seconds, program)


def rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str, float, float]]:
    """Case, value, median of the old build, median of the new one. A value that only one build has is left out."""
    for case in dict.fromkeys(outcome.cell.case for outcome in outcomes):
        for value in LOWER_IS_BETTER:
            old, new = (
                [
                    outcome.values[value]
                    for outcome in outcomes
                    if outcome.cell.case == case and bool(outcome.cell.program) is is_old and value in outcome.values
                ]
                for is_old in (True, False)
            )
            if old and new:
                yield case, value, statistics.median(old), statistics.median(new)


def text(outcomes: Sequence[Outcome]) -> str:
    """The comparison in Markdown."""
    shown = [
        (CASES[case].title, VALUES[value], number_text(old), number_text(new), f"{new / old:.3f}" if old else "")
        for case, value, old, new in rows(outcomes)
    ]
    return table(("case", "value", "old", "new", "new / old"), shown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dataplane.against", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("old", type=Path, help="directory of a checkout that was built")
    compared = tuple(name for name, case in CASES.items() if NATIVE in case.peers)
    parser.add_argument("--case", type=among(compared), default=compared, help=f"names: {', '.join(compared)}")
    parser.add_argument("--twin", choices=TWINS, default=NATIVE, help=f"of the data plane, {NATIVE} or {REFERENCE}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a run")
    parser.add_argument("--results", type=Path, default=RESULTS.with_name("against.jsonl"))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, whatever it measured; 2 if OLD has no daemon."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    program = arguments.old.resolve() / ".venv" / "bin" / "mlvpn"
    if not program.exists():
        parser.error(f"{program} is not there: build that checkout first")
    recorder = Recorder(arguments.results, machine())
    outcomes = []
    for cell in cells(arguments.case, arguments.twin, arguments.rounds, arguments.seconds, program):
        outcome = run(cell)
        print("old" if cell.program else "new", outcome, flush=True)
        recorder.add(outcome)
        outcomes.append(outcome)
    print(text(outcomes))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
