"""Weighted round robin by bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from mlvpnd.protocol.sending.scheduler import WeightedScheduler, effective_weights


def scheduler_of(weights: Mapping[int, int]) -> WeightedScheduler:
    scheduler = WeightedScheduler()
    scheduler.set_links(weights)
    return scheduler


def picks(scheduler: WeightedScheduler, count: int, size: int = 1000) -> list[int | None]:
    return [scheduler.pick(size) for _ in range(count)]


def test_nobody_carries_when_there_is_no_link() -> None:
    assert WeightedScheduler().pick(1000) is None
    assert scheduler_of({}).pick(1000) is None


def test_like_links_take_turns() -> None:
    assert picks(scheduler_of({1: 1, 2: 1}), 6) == [1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(
    "weights", [(50, 50), (75, 25), (90, 10), (60, 30, 10), (40, 30, 20, 10), (1, 1, 1, 1), (4000000, 1000000)]
)
def test_shares_are_exact_within_a_packet(weights: tuple[int, ...]) -> None:
    scheduler = scheduler_of(dict(enumerate(weights)))
    count: Counter[int | None] = Counter()
    for sent in range(1, 10_001):
        count[scheduler.pick(1000)] += 1
        if sent % 100 == 0:
            for link, weight in enumerate(weights):
                assert abs(count[link] - sent * weight / sum(weights)) <= 1


def test_packets_alternate_as_finely_as_the_weights_allow() -> None:
    turns = picks(scheduler_of({1: 75, 2: 25}), 400)
    assert all(turns[start : start + 4].count(2) == 1 for start in range(0, 400, 4))


def test_bytes_count_not_packets() -> None:
    """Every second packet is small: taking turns by packets would give one link all the big ones."""
    scheduler = scheduler_of({1: 1, 2: 1})
    carried: Counter[int | None] = Counter()
    for number in range(1000):
        size = 1400 if number % 2 else 60
        carried[scheduler.pick(size)] += size
    assert abs(carried[1] - carried[2]) <= 1400


def burst(scheduler: WeightedScheduler, count: int) -> list[int | None]:
    scheduler.begin_burst(count)
    return picks(scheduler, count)


def test_a_large_burst_goes_over_two_links_and_the_next_over_others() -> None:
    scheduler = scheduler_of(dict.fromkeys(range(1, 9), 1))
    bursts = [burst(scheduler, 44) for _ in range(8)]
    assert bursts == [[first, first + 1] * 22 for first in (1, 3, 5, 7)] * 2


def test_a_large_burst_goes_over_both_of_two_links() -> None:
    scheduler = scheduler_of({1: 1, 2: 1})
    assert burst(scheduler, 44) == burst(scheduler, 44) == [1, 2] * 22


@pytest.mark.parametrize("count", [1, 6, 30])
def test_what_is_no_large_burst_alternates_over_all_links(count: int) -> None:
    scheduler = scheduler_of(dict.fromkeys(range(1, 7), 1))
    turns = [link for _ in range(60 // count) for link in burst(scheduler, count)]
    assert turns == [1, 2, 3, 4, 5, 6] * 10


def test_a_large_burst_alternates_over_links_of_unlike_weights() -> None:
    """A slow line must not get a burst as large as a fast line's."""
    weights = {1: 1, 2: 1, 3: 10, 4: 1, 5: 1}
    assert burst(scheduler_of(weights), 44) == picks(scheduler_of(weights), 44)


def test_more_links_share_a_large_burst_where_there_are_many() -> None:
    assert set(burst(scheduler_of(dict.fromkeys(range(16), 1)), 44)) == {0, 1, 2, 3}


def test_a_burst_ends_where_links_change() -> None:
    scheduler = scheduler_of(dict.fromkeys(range(1, 7), 1))
    burst(scheduler, 40)
    scheduler.set_links(dict.fromkeys(range(1, 8), 1))
    assert set(picks(scheduler, 140)) == set(range(1, 8))


def test_a_link_that_stays_keeps_its_place() -> None:
    scheduler = scheduler_of({1: 1, 2: 1})
    assert picks(scheduler, 1) == [1]
    scheduler.set_links({1: 1, 2: 1, 3: 1})
    assert picks(scheduler, 1) == [2]


def test_a_link_that_joins_owes_nothing_and_is_owed_nothing() -> None:
    scheduler = scheduler_of({1: 1})
    picks(scheduler, 1000)
    scheduler.set_links({1: 1, 2: 1})
    assert Counter(picks(scheduler, 100)) == {1: 50, 2: 50}


def test_a_link_that_left_is_not_picked() -> None:
    scheduler = scheduler_of({1: 1, 2: 1})
    picks(scheduler, 3)
    scheduler.set_links({2: 1})
    assert picks(scheduler, 3) == [2, 2, 2]
    assert scheduler.links == (2,)


def test_links_that_leave_with_their_weight_do_not_starve_who_stays() -> None:
    """The heaviest link takes the unit of virtual time with it.

    A link that was a packet ahead must not be thousands ahead.
    """
    scheduler = scheduler_of({1: 1, 2: 1, 3: 10_000})
    picks(scheduler, 10)
    while scheduler.pick(1000) != 1:
        pass
    scheduler.set_links({1: 1, 2: 1})
    assert Counter(picks(scheduler, 10)) == {1: 5, 2: 5}


def test_new_weights_begin_anew() -> None:
    scheduler = scheduler_of({1: 1, 2: 1000})
    picks(scheduler, 500)
    scheduler.set_links({1: 1, 2: 1})
    assert Counter(picks(scheduler, 10)) == {1: 5, 2: 5}


def test_weights_count_only_if_each_link_has_one() -> None:
    assert effective_weights([40, 30, 20]) == [40, 30, 20]
    assert effective_weights([40, 0, 20]) == [1, 1, 1]
    assert effective_weights([]) == []
