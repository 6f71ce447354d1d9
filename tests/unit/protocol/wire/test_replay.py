"""Windows of numbers, for authentic packets and for clear ones, and the table of flows."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.wire.constants import CLEAR_WINDOW_SIZE, MAX_FLOWS, REPLAY_WINDOW_SIZE
from mlvpnd.protocol.wire.replay import ClearWindow, FlowTable, PeerFlow, ReplayWindow

FIRST = 10_000
NOBODY: frozenset[int] = frozenset()


def window_after(*seqs: int) -> ReplayWindow:
    window = ReplayWindow(FIRST)
    for seq in seqs:
        assert window.accept(seq)
    return window


def test_the_twin_that_a_test_names_is_the_one_under_test(twin: str) -> None:
    assert (ReplayWindow.__module__ == "tests.support.native_parts") is (twin == "native")


def test_the_first_number_is_seen() -> None:
    assert not window_after().accept(FIRST)


def test_nothing_from_before_the_first_number_counts() -> None:
    """A receiver that was started anew must not take the last 2047 packets before its start from a recording."""
    window = window_after()
    assert not window.may_accept(FIRST - 1)
    assert not window.accept(FIRST - 1)
    assert window_after(FIRST + 5).may_accept(FIRST + 1)
    assert not window_after(FIRST + 5).may_accept(FIRST - 1)


@pytest.mark.parametrize("ahead", [1, 2, REPLAY_WINDOW_SIZE - 1, REPLAY_WINDOW_SIZE, REPLAY_WINDOW_SIZE + 1, 1 << 40])
def test_each_number_once(ahead: int) -> None:
    window = window_after(FIRST + ahead)
    assert window.newest == FIRST + ahead
    assert not window.accept(FIRST + ahead)
    assert not window.accept(FIRST)
    for between in {FIRST + ahead - 1, FIRST + ahead - REPLAY_WINDOW_SIZE + 1}:
        if between > FIRST:
            assert window.accept(between)
            assert not window.accept(between)
    assert window.newest == FIRST + ahead


def test_late_by_less_than_the_window() -> None:
    window = window_after(FIRST + 5000)
    assert window.may_accept(FIRST + 5000 - REPLAY_WINDOW_SIZE + 1)
    assert not window.may_accept(FIRST + 5000 - REPLAY_WINDOW_SIZE)
    assert not window.accept(FIRST + 5000 - REPLAY_WINDOW_SIZE)


def test_a_look_changes_nothing() -> None:
    window = window_after()
    assert window.may_accept(FIRST + 1)
    assert window.may_accept(FIRST + 1)
    assert window.newest == FIRST
    assert window.accept(FIRST + 1)


def test_the_window_is_as_large_as_promised() -> None:
    assert REPLAY_WINDOW_SIZE >= 2048


def test_clear_numbers_count_once() -> None:
    window = ClearWindow(FIRST)
    assert window.accept(FIRST + 1)
    assert not window.accept(FIRST + 1)


def test_clear_numbers_are_not_taken_from_far_away() -> None:
    window = ClearWindow(FIRST)
    assert window.accept(FIRST - REPLAY_WINDOW_SIZE + 1)
    assert not window.accept(FIRST - REPLAY_WINDOW_SIZE - 8)
    assert not window.accept(FIRST + CLEAR_WINDOW_SIZE)
    assert not window.accept((1 << 64) - 1)
    assert window.accept(FIRST + 1)


def test_a_clear_window_of_a_peer_that_counts_from_0() -> None:
    window = ClearWindow(0)
    assert window.accept(0)
    assert window.accept(CLEAR_WINDOW_SIZE - 1)
    assert not window.accept(CLEAR_WINDOW_SIZE)


def test_clear_numbers_do_not_move_the_window() -> None:
    window = ClearWindow(FIRST)
    for seq in range(FIRST + 10, FIRST + CLEAR_WINDOW_SIZE // 2, 1000):
        assert window.accept(seq)
    assert window.accept(FIRST + 1)


@pytest.mark.parametrize("ahead", [1, 7, 8, 9, 3000, CLEAR_WINDOW_SIZE - 1, CLEAR_WINDOW_SIZE, 10 * CLEAR_WINDOW_SIZE])
def test_an_authentic_packet_moves_the_range(ahead: int) -> None:
    window = ClearWindow(FIRST)
    window.accept(FIRST + 1)
    window.anchor(FIRST + ahead)
    assert window.accept(FIRST + 1) is False
    assert window.accept(FIRST + ahead + 1)
    assert window.accept(FIRST + ahead + CLEAR_WINDOW_SIZE - REPLAY_WINDOW_SIZE - 8)
    assert not window.accept(FIRST + ahead + CLEAR_WINDOW_SIZE)


def test_the_range_never_goes_back() -> None:
    window = ClearWindow(FIRST + 100_000)
    window.anchor(FIRST)
    assert not window.accept(FIRST)


def test_what_a_clear_window_has_seen() -> None:
    window = ClearWindow(FIRST)
    window.accept(FIRST + 3)
    assert [seq for seq in range(FIRST - 70_000, FIRST + 200_000) if window.count(seq, seq + 1)] == [FIRST + 3]
    assert window.count(0, 1 << 64) == 1
    assert window.count(FIRST + 4, FIRST + 3) == 0


def test_a_flow_is_found_again() -> None:
    table = FlowTable()
    assert table.get(7) is None
    flow = table.add(7, "adsl", FIRST, NOBODY)
    assert table.get(7) is flow
    assert (flow.link, flow.window.newest) == ("adsl", FIRST)


def test_memory_is_bounded_and_the_least_used_goes() -> None:
    table = FlowTable()
    for number in range(MAX_FLOWS):
        table.add(number, "adsl", 0, NOBODY)
    first = table.get(0)
    assert first is not None
    table.touch(first)
    table.add(MAX_FLOWS, "adsl", 0, NOBODY)
    assert len(table) == MAX_FLOWS
    assert table.get(0) is first
    assert table.get(1) is None


def test_flows_that_links_live_on_stay() -> None:
    table = FlowTable(limit=3)
    for number in range(10):
        table.add(number, "adsl", 0, frozenset({0, 1}))
    assert len(table) == 3
    assert [number for number in range(10) if table.get(number)] == [0, 1, 9]


def test_links_come_before_the_limit() -> None:
    table = FlowTable(limit=2)
    for number in range(3):
        table.add(number, "adsl", 0, frozenset({0, 1, 2}))
    assert len(table) == 3


def test_a_clear_window_goes_on_where_another_was() -> None:
    window = ClearWindow(FIRST)
    taken = [FIRST - 100, FIRST, FIRST + 1, FIRST + 70_000, FIRST + CLEAR_WINDOW_SIZE // 2]
    for seq in taken:
        assert window.accept(seq)
    window.anchor(FIRST + 5000)
    again = ClearWindow.restored(window.base, window.seen.rstrip(b"\0"))
    assert (again.base, again.seen) == (window.base, window.seen)
    for seq in taken:
        assert not again.accept(seq)
    assert again.accept(FIRST + 70_001)
    again.anchor(FIRST + 60_000)
    assert not again.accept(FIRST + 70_000)


def test_a_clear_window_goes_on_at_the_highest_numbers() -> None:
    last = (1 << 64) - 1
    window = ClearWindow(last - 10)
    assert window.accept(last)
    again = ClearWindow.restored(window.base, window.seen)
    assert (again.base, again.accept(last), again.accept(last - 1)) == (window.base, False, True)


@pytest.mark.parametrize("octets", [b"", bytes(CLEAR_WINDOW_SIZE // 8 + 1)])
def test_a_clear_window_that_cannot_be(octets: bytes) -> None:
    with pytest.raises(ValueError, match="window"):
        ClearWindow.restored(0 if octets else 7, octets)


@pytest.mark.parametrize("first", [0, 5, 2047, 2048, 3000, FIRST])
@pytest.mark.parametrize("ahead", [0, 1, 100, 2047, 3000])
def test_a_clear_window_begins_with_its_flow(first: int, ahead: int) -> None:
    """What was recorded before the flow came is a replay, as with authentic packets."""
    flow = PeerFlow(1, "adsl", first)
    flow.window.accept(first + ahead)
    oldest = max(0, first + ahead - REPLAY_WINDOW_SIZE - 8)
    taken = [seq for seq in range(oldest, first + ahead + 10) if flow.accept_clear(seq)]
    start = max(first + 1, first + ahead - REPLAY_WINDOW_SIZE + 1)
    assert taken == [seq for seq in range(start, first + ahead + 10) if seq != first + ahead]
