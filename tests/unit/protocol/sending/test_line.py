"""What leaves a line, in what order, and when."""

from __future__ import annotations

from mlvpnd.protocol.sending.line import CREDIT, SECOND, Item, Line

RATE = 1_000_000
MS = 1_000_000


def item(name: bytes, size: int = 1000, data_seq: int = 0) -> Item:
    return Item(name, size, data_seq, reorder=True)


def test_packets_leave_at_the_rate() -> None:
    line = Line(RATE, 0, 0)
    line.commit(item(b"a"))
    line.commit(item(b"b"))
    assert line.free_at == 2 * MS
    first = line.take(0)
    assert first is not None
    assert first.packet == b"a"
    assert line.take(MS - 1) is None
    assert line.take(MS) is not None
    assert not line.busy


def test_express_goes_first_and_own_takes_turns() -> None:
    line = Line(RATE, 0, 0)
    for _ in range(2):
        line.commit(item(b"common"))
        line.own.push(1, b"own", 1000)
    line.push_first(item(b"express", 100))
    assert line.express_at() == 100_000
    left = [line.take(SECOND) for _ in range(5)]
    assert [one.packet for one in left if one] == [b"express", b"common", b"own", b"common", b"own"]
    assert line.take(SECOND) is None


def test_a_late_timer_is_made_up_for_and_idleness_is_not() -> None:
    line = Line(RATE, 0, 0)
    line.advance(5 * SECOND)
    assert line.ready_at == 5 * SECOND
    line.commit(item(b"a"))
    line.advance(6 * SECOND)
    assert line.ready_at == 6 * SECOND - CREDIT


def test_what_may_not_leave_yet_keeps_what_comes_behind_it_and_nothing_else() -> None:
    line = Line(RATE, 0, 0)
    line.higher = True
    line.commit(item(b"a")._replace(after=10 * MS))
    line.commit(item(b"b"))
    assert line.free_at == 12 * MS
    assert line.due == 10 * MS
    assert line.take(MS) is None
    line.own.push(1, b"own", 1000)
    line.push_first(item(b"express"))
    assert line.due == 0
    left = [(now, taken.packet) for now in range(0, 20 * MS, MS) if (taken := line.take(now)) is not None]
    assert left == [(0, b"express"), (MS, b"own"), (10 * MS, b"a"), (11 * MS, b"b")]
    assert not line.busy
