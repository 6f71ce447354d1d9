"""A short part of `make bench-bonding`. Its limits are softer than the report's, because others use the machine too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.bonding.judge import Judge, Kind, State, Verdict
from tests.bench.bonding.outcome import MLVPND, RAW, STRIPER, Cell, Outcome
from tests.bench.bonding.plan import SHORTEST_OUTAGE
from tests.bench.bonding.profiles import BBR, CUBIC
from tests.bench.bonding.results import Results
from tests.bench.bonding.run import Bench, Setting

pytestmark = [pytest.mark.netns, pytest.mark.quiet]

MARGIN = 0.9
"""Factor of a lower limit; an upper limit is divided by it."""
SECONDS, WARMUP = 6.0, 3.0
SETTING = Setting(idle_seconds=1.0, tries=2)
STALL = 1.0
"""Seconds for which a machine may stand still."""


@pytest.fixture(scope="module", params=["equal", "delays"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The lines of a profile."""
    with Bench(request.param, 1, SETTING).up() as running:
        yield running


def run(
    bench: Bench,
    congestion: str,
    *,
    lines: tuple[int, ...] | None = None,
    peer: str = MLVPND,
    flows: int = 1,
    seconds: float = SECONDS,
) -> Outcome:
    """The outcome over these lines, or over all lines together."""
    lines = bench.profile.numbers if lines is None else lines
    outcome = bench.run(Cell(bench.name, 1, congestion, flows, lines, seconds, WARMUP, peer))
    print(outcome)
    return outcome


def verdicts(outcome: Outcome, *kinds: Kind) -> list[Verdict]:
    """The verdicts of these kinds on an outcome."""
    results = Results()
    results.add(outcome)
    found = [one for one in Judge(results).verdicts() if one.figure is not None and one.kind in kinds]
    assert len(found) == len(kinds)
    return found


@pytest.mark.parametrize("congestion", [BBR, CUBIC])
def test_one_flow_has_the_sum_of_the_lines(bench: Bench, congestion: str) -> None:
    outcome = run(bench, congestion)
    for verdict in verdicts(outcome, Kind.GOODPUT, Kind.PING):
        assert verdict.state_with(MARGIN) is State.HOLDS, f"{verdict}\n{outcome}"
    assert outcome.longest_gap < STALL


def test_a_fast_line_and_a_late_one() -> None:
    with Bench("fibre+lte", 1, SETTING).up() as bench:
        outcome = run(bench, BBR)
    (goodput,) = verdicts(outcome, Kind.GOODPUT)
    assert goodput.state_with(MARGIN) is State.HOLDS, f"{goodput}\n{outcome}"


def test_received_from_a_server_that_stripes_blindly() -> None:
    with Bench("equal", 1, SETTING).up() as bench:
        outcome = run(bench, CUBIC, peer=STRIPER)
    (striped,) = verdicts(outcome, Kind.STRIPED)
    assert striped.state_with(MARGIN) is State.HOLDS, f"{striped}\n{outcome}"
    assert outcome.longest_gap < STALL


def test_the_load_fills_a_line_without_a_tunnel() -> None:
    with Bench("delays", 1, SETTING).up() as bench:
        outcome = run(bench, BBR, lines=(1,), peer=RAW, flows=8, seconds=4.0)
    (raw,) = verdicts(outcome, Kind.RAW)
    assert raw.state_with(0.97) is State.HOLDS, f"{raw}\n{outcome}"


def test_a_line_that_dies_and_comes_back() -> None:
    with Bench("blackhole", 1, SETTING).up() as bench:
        outcome = run(bench, CUBIC, flows=8, seconds=SHORTEST_OUTAGE)
    assert outcome.outage is not None
    gap, back = verdicts(outcome, Kind.GAP, Kind.BACK)
    assert outcome.outage.gap - outcome.outage.stolen <= gap.limit, f"{gap}\n{outcome}"
    assert back.state_with(MARGIN) is State.HOLDS, f"{back}\n{outcome}"
