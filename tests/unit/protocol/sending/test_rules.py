"""Rules and pins."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlvpnd.protocol.sending.rules import MAX_PINNED_FLOWS, PIN_IDLE, Action, PinTable, Rule, RuleTable


class Starts:
    """Matches packets that begin with `start`, and counts how often it was asked."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self.asked = 0

    def matches(self, packet: bytes, _plain: bytes | None = None, /) -> bool:
        self.asked += 1
        return packet.startswith(self._start)


def test_the_first_match_counts() -> None:
    first, second = Rule(Starts(b"ab"), Action.DROP), Rule(Starts(b"a"), Action.PREFER, (2, 1))
    table = RuleTable([first, second])
    assert table.match(b"abc") is first
    assert table.match(b"ac") is second
    assert table.match(b"") is None
    assert RuleTable([second, first]).match(b"abc") is second
    assert RuleTable().match(b"abc") is None


def test_nobody_is_asked_after_a_match() -> None:
    late = Starts(b"a")
    RuleTable([Rule(Starts(b"a"), Action.PIN), Rule(late, Action.DROP)]).match(b"a")
    assert late.asked == 0


def always(link: int) -> Callable[[], int]:
    return lambda: link


def never() -> int:
    raise LookupError("a link was chosen where one is known")


def test_a_flow_stays_on_its_link() -> None:
    pins = PinTable()
    assert pins.link_of(7, (1, 2), always(2), 0.0) == 2
    assert [pins.link_of(7, (1, 2), never, float(now)) for now in range(1, 5)] == [2, 2, 2, 2]
    assert pins.link_of(8, (1, 2), always(1), 5.0) == 1
    assert pins.link_of(7, (1, 2), never, 6.0) == 2
    assert len(pins) == 2


def test_a_flow_moves_once_when_its_link_goes_and_does_not_come_back() -> None:
    pins = PinTable()
    pins.link_of(7, (1, 2), always(2), 0.0)
    assert pins.link_of(7, (1, 3), always(3), 1.0) == 3
    assert pins.link_of(7, (1, 2, 3), never, 2.0) == 3


def test_a_choice_that_fails_changes_nothing() -> None:
    pins = PinTable()
    with pytest.raises(LookupError):
        pins.link_of(7, (), never, 0.0)
    assert len(pins) == 0
    pins.link_of(7, (1,), always(1), 1.0)
    with pytest.raises(LookupError):
        pins.link_of(7, (), never, 2.0)
    assert pins.link_of(7, (1,), never, 3.0) == 1


def test_a_flow_may_begin_anew_after_a_long_silence() -> None:
    pins = PinTable()
    pins.link_of(7, (1, 2), always(1), 0.0)
    assert pins.link_of(7, (1, 2), never, PIN_IDLE - 1) == 1
    assert pins.link_of(7, (1, 2), never, 2 * PIN_IDLE - 2) == 1
    assert pins.link_of(7, (1, 2), always(2), 3 * PIN_IDLE) == 2
    assert pins.link_of(7, (1, 2), never, 3 * PIN_IDLE + 1) == 2


def test_silent_flows_are_forgotten_when_others_come() -> None:
    pins = PinTable()
    for key in range(10):
        pins.link_of(key, (1,), always(1), float(key))
    pins.link_of(5, (1,), never, PIN_IDLE)
    pins.link_of(99, (1,), always(1), PIN_IDLE + 8)
    assert len(pins) == 3  # 5, 9 and the new one
    assert pins.link_of(5, (1,), never, PIN_IDLE + 9) == 1


def test_the_flow_that_was_silent_for_the_longest_makes_room() -> None:
    pins = PinTable(3)
    for now, key in enumerate((1, 2, 3, 1, 4)):
        pins.link_of(key, (9,), always(9), float(now))
    assert len(pins) == 3
    for key in (3, 1, 4):
        assert pins.link_of(key, (9,), never, 5.0) == 9
    assert pins.link_of(2, (8, 9), always(8), 6.0) == 8


def test_the_table_is_bounded() -> None:
    pins = PinTable()
    for key in range(2 * MAX_PINNED_FLOWS):
        pins.link_of(key, (1,), always(1), 0.0)
    assert len(pins) == MAX_PINNED_FLOWS == 4096
