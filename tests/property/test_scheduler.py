"""Shares follow weights, whatever the packets, and no link carries traffic if it should not."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.protocol.sending.scheduler import WeightedScheduler

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=8)
PACKET = st.one_of(st.integers(44, 1544), st.sampled_from([44, 1544, 65507]))
BIGGEST = 65507


@given(WEIGHTS, st.lists(PACKET, min_size=1, max_size=40))
@example([40, 30, 20, 10], [1000])
@example([1, 1000], [44, 65507])
def test_bytes_follow_weights(weights: list[int], sizes: list[int]) -> None:
    scheduler = WeightedScheduler()
    scheduler.set_links(dict(enumerate(weights)))
    carried: Counter[int | None] = Counter()
    total = 0
    for turn in range(400):
        size = sizes[turn % len(sizes)]
        carried[scheduler.pick(size)] += size
        total += size
        biggest = max(sizes)
        for link, weight in enumerate(weights):
            share = total * weight / sum(weights)
            # A link is behind by at most one packet. It is ahead by at most one for each other link that may be behind.
            assert share - carried[link] <= biggest * (1 + len(weights) * weight / sum(weights)) + total * 1e-3
            assert carried[link] - share <= biggest * len(weights) + total * 1e-3


@given(WEIGHTS, st.lists(st.lists(PACKET, min_size=1, max_size=48), min_size=1, max_size=10))
def test_bytes_follow_weights_over_bursts(weights: list[int], bursts: list[list[int]]) -> None:
    """The bytes may differ from the weights by one burst and one packet."""
    scheduler = WeightedScheduler()
    scheduler.set_links(dict(enumerate(weights)))
    carried: Counter[int | None] = Counter()
    biggest = max(map(sum, bursts)) + max(map(max, bursts))
    for turn in range(100):
        burst = bursts[turn % len(bursts)]
        scheduler.begin_burst(len(burst))
        for size in burst:
            carried[scheduler.pick(size)] += size
        total = sum(carried.values())
        for link, weight in enumerate(weights):
            share = total * weight / sum(weights)
            assert share - carried[link] <= biggest * (1 + len(weights) * weight / sum(weights)) + total * 1e-3
            assert carried[link] - share <= biggest * len(weights) + total * 1e-3


ROUNDS = st.lists(
    st.tuples(st.dictionaries(st.integers(0, 5), st.integers(1, 1 << 32)), st.lists(PACKET, max_size=20)), max_size=20
)


@given(ROUNDS)
def test_only_links_of_the_round_are_picked(rounds: list[tuple[dict[int, int], list[int]]]) -> None:
    scheduler = WeightedScheduler()
    for weights, sizes in rounds:
        scheduler.set_links(weights)
        assert set(scheduler.links) == set(weights)
        for size in sizes:
            picked = scheduler.pick(size)
            assert picked in weights if weights else picked is None


@given(WEIGHTS, st.lists(st.frozensets(st.integers(0, 7), min_size=1), max_size=10), st.integers(0, 300))
def test_coming_and_going_starves_nobody(weights: list[int], sets: list[frozenset[int]], warm: int) -> None:
    """After any history each link has its share of the next rounds, except for a packet or two."""
    scheduler, size = WeightedScheduler(), 1000
    by_link = dict(enumerate(weights))
    for chosen in sets:
        scheduler.set_links({link: weight for link, weight in by_link.items() if link in chosen})
        for _ in range(warm):
            scheduler.pick(size)
    scheduler.set_links(by_link)
    turns = min(2 * sum(weights), 2000)
    carried = Counter(scheduler.pick(size) for _ in range(turns))
    for link, weight in by_link.items():
        assert abs(carried[link] - turns * weight / sum(weights)) <= 2 + len(weights)
