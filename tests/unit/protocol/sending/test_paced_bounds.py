"""What may wait for paced lines, however much comes."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.sending.line import EXPRESS_LIMIT, LEAST_LIMIT, OWN_TIME, SECOND, Item
from mlvpnd.protocol.sending.paced import QUEUE_TIME, LineParameters, PacedScheduler
from mlvpnd.protocol.wire.inner import Kind

MS = 1_000_000
SIZE = 1514
PING = 126
MEGABIT = 125_000
COMMITTED = 4 * SIZE
"""Bytes that a line may have been given ahead, beside what waits for all lines."""


@pytest.mark.parametrize("rates", [(1, 1), (20, 5), (100, 30), (2, 400)])
def test_what_waits_for_all_lines_is_bounded_and_the_largest_flow_pays(rates: tuple[int, int]) -> None:
    scheduler = PacedScheduler(0)
    lines = {number: LineParameters(rate * MEGABIT, 10 * MS) for number, rate in enumerate(rates)}
    scheduler.set_lines(lines, 0)
    limit = max(LEAST_LIMIT, sum(rates) * MEGABIT * QUEUE_TIME // SECOND)
    offered = 3 * limit // SIZE
    for number in range(offered):
        scheduler.put(Kind.BULK, 1, b"large", SIZE, 0)
        if number % 100 == 0:
            scheduler.put(Kind.BULK, 2, b"light", SIZE, 0)
        assert scheduler.waiting_bytes <= limit + len(rates) * COMMITTED
    light = -(-offered // 100)
    assert scheduler.dropped >= offered + light - limit // SIZE - len(rates) * COMMITTED // SIZE
    # All of the light flow is still there.
    passed = [item.packet for now in range(0, 2 * SECOND, MS) for _, item in scheduler.take(now)]
    assert passed.count(b"light") == light
    assert len(passed) + scheduler.dropped == offered + light


@pytest.mark.parametrize("rate", [1, 10, 100])
def test_what_waits_for_one_line_is_bounded(rate: int) -> None:
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: LineParameters(rate * MEGABIT, 10 * MS), 1: LineParameters(1000 * MEGABIT, 10 * MS)}, 0)
    limit = max(LEAST_LIMIT, rate * MEGABIT * OWN_TIME // SECOND)
    offered = 3 * limit // SIZE
    for _ in range(offered):
        scheduler.put_on(0, Item(b"own", SIZE, 0, reorder=False), 1, 0, first=False)
        assert scheduler.waiting_bytes <= limit
    assert scheduler.dropped == offered - limit // SIZE


@pytest.mark.parametrize("rate", [1, 10, 100])
def test_what_goes_first_is_bounded(rate: int) -> None:
    """More small packets queue behind what waits already."""
    scheduler = PacedScheduler(0)
    scheduler.set_lines({0: LineParameters(rate * MEGABIT, 10 * MS)}, 0)
    express = rate * MEGABIT * EXPRESS_LIMIT // SECOND
    offered = min(3 * express, LEAST_LIMIT - SIZE) // PING
    scheduler.put_on(0, Item(b"bulk", SIZE, 0, reorder=False), 1, 0, first=False)
    for _ in range(offered):
        scheduler.put_on(0, Item(b"first", PING, 0, reorder=False), 2, 0, first=True)
    passed = [item.packet for now in range(0, 2 * SECOND, MS) for _, item in scheduler.take(now)]
    assert len(passed) + scheduler.dropped == offered + 1
    assert passed.index(b"bulk") <= express // PING + 2
