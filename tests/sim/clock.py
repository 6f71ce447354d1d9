"""Simulated time: what happens when, in the order of time. Nothing reads a real clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

START = 1000.0
"""Seconds that the clock shows when the load begins: a session's time is that of a clock which has run for a while."""
IDLE = 3.0
"""Seconds before that, in which links come up and echo requests show the round trip without a load."""


class Clock:
    """Events of the same time happen in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now = START - IDLE
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def at(self, when: float, act: Callable[[Any], None], argument: Any = None) -> None:
        """Calls `act(argument)` at `when`, which is not before now."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, act, argument))

    def run(self, until: float) -> None:
        """Lets time pass."""
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= until:
            self.now, _, act, argument = pop(events)
            act(argument)
        self.now = until
