"""Demands, judged by outcomes that are known."""

from __future__ import annotations

import math

import pytest

from tests.bench.bonding.judge import Judge, Kind, State, Verdict
from tests.bench.bonding.outcome import RAW, STRIPER, Outcome, Recovery
from tests.bench.bonding.profiles import PROFILES, goodput_of
from tests.bench.bonding.results import Results

from .outcomes import outcome

SUM = goodput_of(40)


def verdicts(*outcomes: Outcome) -> list[Verdict]:
    results = Results()
    for one in outcomes:
        results.add(one)
    return list(Judge(results).verdicts())


def only(found: list[Verdict], kind: Kind, profile: str = "equal", congestion: str = "bbr", flows: int = 1) -> Verdict:
    wanted = (kind, profile, congestion, flows)
    matching = [one for one in found if (one.kind, one.profile, one.congestion, one.flows) == wanted]
    assert len(matching) == 1
    return matching[0]


def test_without_results_nothing_was_run() -> None:
    found = verdicts()
    assert {one.state for one in found} == {State.NOT_RUN}
    assert {one.kind for one in found} == set(Kind)
    assert {one.profile for one in found} == set(PROFILES)


@pytest.mark.parametrize(
    ("shares", "state"),
    [((0.98,), State.HOLDS), ((0.979,), State.FAILS), ((0.5, 0.985, 0.99), State.HOLDS), ((0.9, 0.95, 1), State.FAILS)],
)
def test_the_median_of_the_seeds_counts(shares: tuple[float, ...], state: State) -> None:
    found = verdicts(*(outcome("equal", share * SUM, seed=seed) for seed, share in enumerate(shares)))
    goodput = only(found, Kind.GOODPUT)
    assert goodput.state is state
    assert goodput.figure is not None
    assert goodput.figure.lowest == pytest.approx(min(shares))


def test_of_the_better_line_in_the_same_run() -> None:
    runs = [outcome("dsl+sat", 18.0, seed=1), outcome("dsl+sat", 18.0, seed=2)]
    alone = [
        outcome("dsl+sat", goodput, seed=seed, lines=(number,))
        for seed, number, goodput in [(1, 1, 18.2), (1, 2, 9.0), (2, 1, 9.0), (2, 2, 20.0)]
    ]
    assert only(verdicts(*runs), Kind.BETTER, "dsl+sat").state is State.NOT_RUN
    # One line of two is not enough to tell which is the better one.
    assert only(verdicts(runs[0], alone[0]), Kind.GOODPUT, "dsl+sat").state is State.NOT_RUN
    first = only(verdicts(runs[0], *alone), Kind.GOODPUT, "dsl+sat")
    assert first.figure is not None
    assert first.figure.values == pytest.approx((18 / 18.2,))
    assert first.state is State.HOLDS
    both = only(verdicts(*runs, *alone), Kind.GOODPUT, "dsl+sat")
    assert both.figure is not None
    assert both.figure.values == pytest.approx((18 / 18.2, 18 / 20))


def test_cubic_over_a_line_that_loses_is_held_to_the_better_line() -> None:
    runs = [
        outcome("lossy", 18.0, congestion="cubic"),
        outcome("lossy", 18.1, congestion="cubic", lines=(1,)),
        outcome("lossy", 3.0, congestion="cubic", lines=(2,)),
    ]
    found = verdicts(*runs)
    assert only(found, Kind.GOODPUT, "lossy", "cubic").state is State.HOLDS
    # C MLVPN's quoted figure is 0.10 of the sum.
    assert only(found, Kind.UPSTREAM, "lossy", "cubic").state is State.HOLDS
    # Nothing is asked of the line that loses.
    assert [one.lines for one in found if one.kind is Kind.ALONE and one.profile == "lossy"] == [(1,)] * 4


def test_of_the_first_line() -> None:
    runs = [outcome("bad", 44.0), outcome("bad", 45.0, lines=(1,)), outcome("bad", 1.0, lines=(2,))]
    goodput = only(verdicts(*runs), Kind.GOODPUT, "bad")
    assert goodput.state is State.FAILS
    assert goodput.figure is not None
    assert goodput.figure.median == pytest.approx(44 / 45)


def test_c_mlvpn_s_figures_have_two_digits() -> None:
    assert only(verdicts(outcome("rates", 0.986 * goodput_of(60))), Kind.UPSTREAM, "rates").state is State.HOLDS
    assert only(verdicts(outcome("rates", 0.984 * goodput_of(60))), Kind.UPSTREAM, "rates").state is State.FAILS


def test_ping_is_limited_from_above() -> None:
    assert only(verdicts(outcome("equal", SUM, ping_added=25)), Kind.PING).state is State.HOLDS
    over = only(verdicts(outcome("equal", SUM, ping_added=26)), Kind.PING)
    assert over.state is State.FAILS
    assert over.state_with(0.9) is State.HOLDS
    assert only(verdicts(outcome("equal", SUM, ping_added=math.inf)), Kind.PING).state_with(0.1) is State.FAILS


def test_a_margin_softens_a_lower_limit() -> None:
    goodput = only(verdicts(outcome("equal", 0.9 * SUM)), Kind.GOODPUT)
    assert goodput.state is State.FAILS
    assert goodput.state_with(0.9) is State.HOLDS


def test_an_outage_is_judged_by_its_gap_and_the_return() -> None:
    for gap, back, states in [
        (2.4, 1.75, (State.HOLDS, State.HOLDS)),
        (2.6, math.inf, (State.FAILS, State.FAILS)),
    ]:
        found = verdicts(outcome("blackhole", 20, flows=8, outage=Recovery(gap, 0.0, 3, back)))
        judged = tuple(only(found, kind, "blackhole", flows=8).state for kind in (Kind.GAP, Kind.BACK))
        assert judged == states


def test_the_striping_server_and_the_bare_line() -> None:
    found = verdicts(
        outcome("equal", 0.96 * SUM, peer=STRIPER, gap=0.2),
        outcome("equal", 19.1, peer=RAW, flows=8, lines=(1,)),
    )
    assert only(found, Kind.STRIPED).state is State.HOLDS
    assert only(found, Kind.STALL).state is State.HOLDS
    assert only(found, Kind.RAW, flows=8).state is State.HOLDS
    # These runs are none of the daemon's.
    assert only(found, Kind.GOODPUT).state is State.NOT_RUN


def test_noise_is_counted() -> None:
    found = verdicts(
        outcome("equal", SUM), outcome("equal", SUM, seed=2, late=2500), outcome("equal", SUM, seed=3, idle=0.05)
    )
    assert only(found, Kind.GOODPUT).noisy == 2
