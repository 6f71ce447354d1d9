"""Replay windows against a plain set of the numbers seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.wire.constants import REPLAY_WINDOW_SIZE
from mlvpnd.protocol.wire.replay import ClearWindow, FlowTable, ReplayWindow

STEPS = st.one_of(
    st.integers(-5, 5),
    st.integers(-70, 70),
    st.integers(-5000, 5000),
    st.sampled_from([1 << 40, -REPLAY_WINDOW_SIZE - 1, -REPLAY_WINDOW_SIZE, 1 - REPLAY_WINDOW_SIZE])
    | st.integers(REPLAY_WINDOW_SIZE - 1, REPLAY_WINDOW_SIZE + 1),
)
FIRST = 1 << 20


def numbers_from(steps: list[int], first: int) -> list[int]:
    """A walk: each number is a step from the one before."""
    walk = [first]
    for step in steps:
        walk.append(max(0, walk[-1] + step))
    return walk[1:]


@given(st.lists(STEPS, max_size=300), st.sampled_from([0, 1, 100, FIRST]))
def test_replay_window_is_a_set(steps: list[int], first: int) -> None:
    window, seen, newest = ReplayWindow(first), {first}, first
    for seq in numbers_from(steps, first):
        fresh = seq > first and seq not in seen and seq > newest - REPLAY_WINDOW_SIZE
        assert window.may_accept(seq) is fresh
        assert window.accept(seq) is fresh
        if fresh:
            seen.add(seq)
            newest = max(newest, seq)
        assert window.newest == newest


CLEAR_SIZE = 4096
CLEAR_STEPS = st.lists(st.tuples(st.booleans(), STEPS), max_size=300)


@given(CLEAR_STEPS, st.sampled_from([0, 7, 3000, FIRST]))
def test_clear_window_is_a_set_and_authentic_numbers_move_it(steps: list[tuple[bool, int]], first: int) -> None:
    window, seen = ClearWindow(first, CLEAR_SIZE), set[int]()
    base = max(0, first - REPLAY_WINDOW_SIZE + 1) // 8 * 8
    numbers = numbers_from([step for _, step in steps], first)
    before = first
    for (authentic, _), seq in zip(steps, numbers, strict=True):
        if authentic:
            window.anchor(seq)
            base = max(base, max(0, seq - REPLAY_WINDOW_SIZE + 1) // 8 * 8)
        in_range = base <= seq < base + CLEAR_SIZE
        assert window.count(seq, seq + 1) == (in_range and seq in seen)
        first, end = min(before, seq), max(before, seq)
        assert window.count(first, end) == sum(max(first, base) <= number < end for number in seen)
        before = seq
        if not authentic:
            assert window.accept(seq) is (in_range and seq not in seen)
            if in_range:
                seen.add(seq)


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=100), st.lists(st.integers(1, 500), max_size=100, unique=True))
def test_a_forger_blocks_only_what_he_names(forged: list[int], honest: list[int]) -> None:
    window = ClearWindow(FIRST, CLEAR_SIZE)
    for seq in forged:
        window.accept(seq)
    for ahead in honest:
        assert window.accept(FIRST + ahead) is (FIRST + ahead not in forged)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=100), st.frozensets(st.integers(0, 9), max_size=3)
)
def test_the_table_keeps_who_was_used_last(uses: list[tuple[int, bool]], keep: frozenset[int]) -> None:
    limit = 4
    table, order = FlowTable(limit), list[int]()
    for number, touch in uses:
        flow = table.get(number)
        assert (flow is not None) is (number in order)
        if flow is None:
            while len(order) >= limit:
                order.remove(next(known for known in order if known not in keep))
            table.add(number, "adsl", 0, keep)
            order.append(number)
        elif touch:
            table.touch(flow)
            order.remove(number)
            order.append(number)
        assert len(table) == len(order) <= limit
