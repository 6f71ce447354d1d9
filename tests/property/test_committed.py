"""Rates bound what is committed to lines, whatever the peer says of their delays. On both twins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.sending import paced
from mlvpnd.protocol.sending.line import LEAST_LIMIT, SECOND
from mlvpnd.protocol.sending.paced import LineParameters, PacedScheduler
from mlvpnd.protocol.wire.inner import Kind
from tests.support import native_parts as native

MS = 1_000_000
SIZE = 30_000
HALF_A_SECOND = SECOND // 2
IN_ALL = 32_000_000
"""Bytes that may be committed to all lines together."""
twins = pytest.mark.parametrize("twin", [paced, native], ids=["reference", "native"])
lines = st.lists(
    st.builds(
        LineParameters,
        st.sampled_from([100_000, 2_500_000, 60_000_000, 125_000_000]),
        st.sampled_from([0, 5 * MS, 300 * MS, 600 * MS, 2450 * MS]),
        priority=st.sampled_from([0, 0, 1]),
        spare=st.booleans(),
        least_delay=st.sampled_from([0, 0, 5 * MS, 2450 * MS]),
    ),
    min_size=1,
    max_size=5,
)


@given(lines)
@twins
def test_what_is_committed_is_bounded(twin: Any, given_lines: list[LineParameters]) -> None:
    scheduler: PacedScheduler = twin.PacedScheduler(0)
    scheduler.set_lines(dict(enumerate(given_lines)), 0)
    rate = sum(line.rate for line in given_lines)
    queued = max(LEAST_LIMIT, rate // 10)
    # For each line: its bytes of half a second and until its next turn, and one packet.
    ahead = min(sum(line.rate * (HALF_A_SECOND + 5 * MS) // SECOND + SIZE for line in given_lines), IN_ALL)
    now = 0
    for _ in range(60):
        for _ in range(queued // SIZE + 1):
            scheduler.put(Kind.BULK, 1, b"", SIZE, now)
        scheduler.take(now)
        assert scheduler.waiting_bytes <= queued + ahead
        now += MS
    assert scheduler.drain(now)
    assert scheduler.waiting_bytes == 0


@twins
def test_a_line_that_is_said_to_be_seconds_away_does_not_keep_others_from_carrying(twin: Any) -> None:
    scheduler: PacedScheduler = twin.PacedScheduler(0)
    rate = 60_000_000
    scheduler.set_lines({0: LineParameters(rate, 5 * MS), 1: LineParameters(rate, 2450 * MS)}, 0)
    carried = [0, 0]
    for now in range(0, SECOND, MS):
        for _ in range(6):
            scheduler.put(Kind.BULK, 1, b"", SIZE, now)
        for number, item in scheduler.take(now):
            carried[number] += item.size
    assert carried[0] >= 0.97 * rate
