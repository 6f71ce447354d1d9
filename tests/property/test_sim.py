"""Simulations over random lines: what enters a session comes out once, or is counted by whoever lost it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.random_lines import random_scenario
from tests.sim.world import World

pytestmark = pytest.mark.timeout(1800)  # with HYPOTHESIS_PROFILE=deep; else some seconds
SECONDS = 2.0
assert settings.default is not None


@settings(max_examples=max(5, settings.default.max_examples // 20))
@given(seed=st.integers(1, 1 << 32), rates=st.sampled_from([0.0, 1.0, 2.0]), reference=st.booleans())
def test_nothing_is_lost_uncounted_and_nothing_comes_twice(seed: int, rates: float, reference: bool) -> None:
    drawn = random_scenario(seed, fastest=10, seconds=SECONDS / 2, warmup=SECONDS / 2, flows="cubic,bbr:up")
    world = World(replace(drawn, rates=rates, reference=reference))
    world.run()
    world.settle()
    for sends, host, takes in (
        (world.server, world.server_host, world.client),
        (world.client, world.client_host, world.server),
    ):
        other = host.other
        refused = sum(takes.refused.values())
        missing = host.sent - other.received - sends.drops - sends.lost_on_lines
        # A refused datagram may have been one of control.
        assert 0 <= missing <= refused, (missing, takes.refused)
        assert other.twice == 0
    for lines in world.lines:
        for line in lines:
            under_way, counts = line.settle(), line.counts
            left = counts.offered - counts.arrived - counts.overflow - counts.policed - counts.lost
            assert (left > 0) == (under_way > 0), counts  # a KEEPALIVE may be
            assert 0 <= left <= 2
