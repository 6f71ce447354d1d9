"""A line goes away. A small packet that comes then does not wait behind the packets of this line. On both twins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.sending import paced
from mlvpnd.protocol.sending.line import LEAST_LIMIT, SECOND, Item
from mlvpnd.protocol.sending.paced import QUEUE_TIME, LineParameters, PacedScheduler
from mlvpnd.protocol.wire.inner import Kind
from tests.support import native_parts as native

MS = 1_000_000
SIZE, PING = 1514, 126
SOON = 25 * MS
"""Nanoseconds in which a small packet leaves. On a slow line, the limit is twice its time for a packet."""
twins = pytest.mark.parametrize("twin", [paced, native], ids=["reference", "native"])


@dataclass(frozen=True)
class Cut:
    """Lines, their load, and the events."""

    lines: dict[int, LineParameters]
    left: dict[int, LineParameters]
    """The lines after the cut."""
    flows: int
    load: int
    """Milliseconds for which lines are loaded before the cut, with more than they carry."""
    smalls: int
    """Small packets a millisecond during the load: fewer than would fill a line that stays."""
    directed: list[int]
    """Lines that go away, to which rules send bulk, small packets and copies."""
    pauses: list[int]
    """Milliseconds before each small packet that comes after the cut."""


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    slowest = draw(st.sampled_from([16_000, 25_000, 100_000, 500_000]))
    ratios = st.one_of(st.integers(1, 500), st.sampled_from([1, 20, 500]))
    count = draw(st.integers(2, 5))
    lines = {
        number: LineParameters(
            min(slowest * draw(ratios), 8_000_000),
            draw(st.sampled_from([0, 5, 40, 300, 600])) * MS,
            priority=draw(st.sampled_from([0, 0, 0, 1])),
            spare=draw(st.sampled_from([False, False, True])),
        )
        for number in range(count)
    }
    left = {number: lines[number] for number in draw(st.sets(st.sampled_from(range(count)), min_size=1))}
    if draw(st.booleans()):  # a reload: the other lines stay, and are slower
        left |= {number: replace(line, rate=slowest) for number, line in lines.items() if number not in left}
    gone = [number for number in lines if left.get(number) != lines[number]]
    directed = draw(st.lists(st.sampled_from(gone), max_size=2)) if gone else []
    pauses = draw(st.lists(st.sampled_from([0, 1, 30, 200]), min_size=1, max_size=4))
    return Cut(
        lines,
        left,
        draw(st.integers(1, 8)),
        draw(st.sampled_from([1, 50, 150])),
        draw(st.integers(0, 2)) if slowest >= 500_000 else 0,
        directed,
        pauses,
    )


class World:
    """A scheduler under load, on either twin."""

    def __init__(self, twin: Any, cut: Cut) -> None:
        self.scheduler: PacedScheduler = twin.PacedScheduler(0)
        self.scheduler.set_lines(cut.lines, 0)
        self.now = self.count = self.left = 0
        self._sent = 0
        total = sum(line.rate for line in cut.lines.values())
        for now in range(0, cut.load * MS, MS):
            self.now = now
            while self._sent * SECOND < (now + 100 * MS) * total * 3 // 2:
                self.put(Kind.BULK, self._sent // SIZE % cut.flows, b"bulk", SIZE)
                self._sent += SIZE
            for number in cut.directed:
                for size, data_seq, first in ((SIZE, 0, False), (PING, 0, True), (SIZE, 7, True)):
                    item = Item(b"own", size, data_seq, reorder=False)
                    self.scheduler.put_on(number, item, 100, now, first=first)
                    self.count += 1
            for number in range(cut.smalls):
                self.put(Kind.SMALL, 200 + number, b"small", PING)
            self.take()

    def put(self, kind: Kind, flow: int, packet: bytes, size: int) -> None:
        self.scheduler.put(kind, flow, packet, size, self.now)
        self.count += 1

    def take(self) -> list[bytes]:
        taken = [item.packet for _, item in self.scheduler.take(self.now)]
        self.left += len(taken)
        return taken

    def run(self, milliseconds: int) -> None:
        """One flow goes on sending as much as possible."""
        until = self.now + milliseconds * MS
        while self.now < until:
            self.now = min(max(self.scheduler.due() or until, self.now + 1), until)
            self.put(Kind.BULK, 1, b"bulk", SIZE)
            self.take()

    def leaves(self, packet: bytes) -> int:
        """Nanoseconds until the packet leaves."""
        begun = self.now
        while packet not in self.take():
            due = self.scheduler.due()
            assert due is not None
            self.now = max(due, self.now)
        return self.now - begun


@given(cuts())
@twins
def test_a_small_packet_leaves_soon_after_a_cut(twin: Any, cut: Cut) -> None:
    world = World(twin, cut)
    world.scheduler.set_lines(cut.left, world.now)
    slowest = min(line.rate for line in cut.left.values())
    for number, pause in enumerate(cut.pauses):
        world.run(pause)
        packet = b"ping %d" % number
        world.put(Kind.SMALL, 300 + number, packet, PING)
        assert world.leaves(packet) <= max(SOON, 2 * SIZE * SECOND // slowest)


@given(cuts())
@twins
def test_what_waits_after_a_cut_is_bounded_by_the_lines_that_are_left_and_the_rest_is_counted(
    twin: Any, cut: Cut
) -> None:
    world = World(twin, cut)
    scheduler = world.scheduler
    scheduler.set_lines(cut.left, world.now)
    rate = sum(line.rate for line in cut.left.values())
    farthest = max(line.delay for line in cut.lines.values())
    bound = max(LEAST_LIMIT, rate * QUEUE_TIME // SECOND)
    for line in cut.left.values():
        # The bytes committed to the line, and the bytes that go first on it, with one packet above the limit.
        bound += line.rate * (farthest + 4 * MS + 20 * MS) // SECOND + 2 * SIZE
    assert scheduler.waiting_bytes <= bound
    world.left += len(scheduler.drain(world.now))
    assert world.left + scheduler.dropped == world.count
