"""Which runs are made."""

from __future__ import annotations

from collections import Counter

from tests.bench.bonding.outcome import MLVPND, RAW, STRIPER, Cell
from tests.bench.bonding.plan import QUICK_SECONDS, SHORTEST_OUTAGE, Plan
from tests.bench.bonding.profiles import PROFILES, distinct_lines


def cells(plan: Plan) -> list[Cell]:
    return [cell for _, _, group in plan.groups() for cell in group]


def test_the_matrix_is_each_profile_together_and_each_line_alone() -> None:
    found = [cell for cell in cells(Plan(seeds=(1, 2))) if cell.peer == MLVPND]
    assert len(found) == len(set(found))
    counts = Counter(cell.profile for cell in found)
    for name, profile in PROFILES.items():
        each = 2 if profile.outage is not None else (len(profile.lines) + 1) * 4
        assert counts[name] == each * 2
    four = [
        cell for cell in found if cell.profile == "four" and (cell.congestion, cell.flows, cell.seed) == ("bbr", 8, 2)
    ]
    assert [cell.lines for cell in four] == [(1,), (2,), (3,), (4,), (1, 2, 3, 4)]
    assert {cell.seconds for cell in found if cell.profile == "dsl+sat"} == {30.0}


def test_each_different_line_is_run_once_without_a_tunnel_by_each_load() -> None:
    raw = [cell for cell in cells(Plan()) if cell.peer == RAW]
    assert {cell.seed for cell in raw} == {1}
    assert Counter((cell.congestion, cell.flows) for cell in raw) == {
        (congestion, flows): len(distinct_lines()) for congestion in ("bbr", "cubic") for flows in (1, 8)
    }
    found = [
        PROFILES[cell.profile].lines[cell.lines[0] - 1] for cell in raw if (cell.congestion, cell.flows) == ("bbr", 8)
    ]
    assert len(found) == len(set(found))
    # A plan of one profile alone has the raw runs, too, under the names by which they are judged.
    some = cells(Plan(profiles=("lossy",), flows=(8,), congestions=("bbr",), peers=(RAW,)))
    assert [(cell.profile, cell.lines) for cell in some] == [("equal", (1,)), ("lossy", (2,))]


def test_the_striping_server_has_one_flow_over_equal_lines() -> None:
    found = [cell for cell in cells(Plan()) if cell.peer == STRIPER]
    assert {(cell.profile, cell.flows, cell.lines) for cell in found} == {("equal", 1, (1, 2))}
    assert len(found) == 6
    assert [cell for cell in cells(Plan(profiles=("rates",))) if cell.peer == STRIPER] == []


def test_a_quick_plan_is_short_but_leaves_time_for_an_outage() -> None:
    found = cells(Plan().quick())
    assert {cell.seconds for cell in found if cell.profile != "blackhole"} == {QUICK_SECONDS}
    assert {cell.seconds for cell in found if cell.profile == "blackhole"} == {SHORTEST_OUTAGE}
    assert {cell.seconds for cell in cells(Plan(seconds=3.0, profiles=("equal",)).quick())} == {3.0}


def test_only_some_of_the_lines() -> None:
    assert {cell.lines for cell in cells(Plan(profiles=("equal",), alone=False, peers=(MLVPND,)))} == {(1, 2)}
    alone = Plan(profiles=("equal", "blackhole"), together=False, peers=(MLVPND,))
    assert {cell.lines for cell in cells(alone)} == {(1,), (2,)}
