"""Random line sets: each from its seed, the worst of them, progress and interruption."""

from __future__ import annotations

from random import Random

import pytest

from tests.sim import search
from tests.sim.figures import Figures, SparseFigures
from tests.sim.random_lines import MOST_LINES, random_line, random_scenario
from tests.sim.scenario import Scenario
from tests.sim.search import Found, worst
from tests.sim.spec import parse

SPARSE = SparseFigures(30.0, 31.0, 32.0, 33.0, 0, 0.02)


def found(seed: int, goodput: float, alone: tuple[float, ...] = (10.0, 5.0), share: float = 0.5) -> Found:
    made = Figures((), (), SPARSE, SPARSE, goodput, share, 1.0, 0, 0)
    return Found(Scenario(("10mbit,5ms", "5mbit,5ms"), seed=seed), made, alone)


def test_random_lines_are_lines_and_their_seed_decides() -> None:
    texts = [random_line(Random(seed), 300) for seed in range(500)]
    assert all(1 <= parse(text).steps[0][1].rate / 125_000 <= 300 for text in texts)
    for word in ("loss=", "jitter=", "reorder", "trace=lte", "trace=starlink", "police=", ",loop="):
        assert any(word in text for text in texts), word
    one, again, other = (random_scenario(seed, fastest=50, seconds=5, warmup=2) for seed in (7, 7, 8))
    assert one == again != other
    assert 2 <= len(one.lines) <= MOST_LINES
    assert random_scenario(7, fastest=50, seconds=5, warmup=2, flows="bbr").lines == one.lines


def test_the_worst_come_first() -> None:
    many = [found(1, 9.0), found(2, 3.0), found(3, 12.0), found(4, 3.0)]
    assert [one.scenario.seed for one in worst(many, lambda one: one.of_better, 3)] == [2, 4, 1]
    assert many[0].of_better == 0.9
    assert "seed 1: 0.90 of the better line, 0.50 of the sum, ping +1 ms: 10mbit,5ms + 5mbit,5ms" in str(many[0])


def test_a_search_tells_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "look", lambda scenario: found(scenario.seed, 5.0))
    told: list[tuple[int, int]] = []
    scenarios = [Scenario(("1mbit,5ms",), seed=seed) for seed in (4, 5)]
    all_found, is_all = search.search(scenarios, 1, lambda one, count: told.append((one.scenario.seed, count)))
    assert is_all
    assert told == [(4, 1), (5, 2)]
    assert len(all_found) == 2


def test_an_interruption_leaves_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(scenario: Scenario) -> Found:
        if scenario.seed == 3:
            raise KeyboardInterrupt
        return found(scenario.seed, 5.0)

    monkeypatch.setattr(search, "look", look)
    scenarios = [Scenario(("1mbit,5ms",), seed=seed) for seed in range(1, 9)]
    all_found, is_all = search.search(scenarios, 1, lambda one, count: None)
    assert not is_all
    assert [one.scenario.seed for one in all_found] == [1, 2]


def test_several_at_a_time_find_the_same() -> None:
    scenarios = [random_scenario(seed, fastest=3, seconds=1, warmup=0.5, flows="cubic") for seed in (1, 2)]
    one, _ = search.search(scenarios, 1, lambda one, count: None)
    two, is_all = search.search(scenarios, 2, lambda one, count: None)
    assert is_all
    assert sorted(map(str, one)) == sorted(map(str, two))
    assert all(len(each.alone) == len(each.scenario.lines) for each in one)
