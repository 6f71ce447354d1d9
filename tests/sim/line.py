"""One direction of a line: policer, queue, rate, loss, delay.

A packet's fate is known when it is put on the line, because what the line's rate will be is known. The order of the
stages, and what has room in the queue, are those of the emulator (`tests/support/linkemu.c`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from .capacity import Capacity
from .clock import START, Clock

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a line does, but for its rate."""

    delay: float = 0.0
    """Seconds, one way."""
    jitter: float = 0.0
    """Seconds by which each packet's delay varies at most, either way."""
    reorders: bool = False
    """Whether jitter lets packets overtake each other."""
    loss: float = 0.0
    """Share of packets lost at random behind the queue."""
    queue: float = 0.1
    """Seconds of traffic at the mean rate that may wait; what comes on top is dropped."""
    police: float = 0.0
    """Bytes per second that a policer in front of the queue lets pass; 0: there is none."""
    burst: float = 0.1
    """Seconds of that rate which the policer lets pass at once."""


@dataclass(frozen=True, slots=True)
class Course:
    """A line's conditions over time."""

    capacity: Capacity
    steps: Sequence[tuple[float, Conditions]]
    """Seconds from the load's begin, and the conditions from then on; those of the first, at 0, hold before too."""
    period: float = NEVER
    """Seconds after which the steps come again."""


@dataclass(slots=True)
class Counts:
    """Packets, but for `bytes`."""

    offered: int = 0
    overflow: int = 0
    """Found no room in the queue."""
    policed: int = 0
    lost: int = 0
    """Lost at random."""
    arrived: int = 0
    bytes: int = 0
    """Bytes that arrived."""


class Line:
    """Carries packets to whoever they are for."""

    def __init__(self, clock: Clock, course: Course, random: Random) -> None:
        self._clock, self._course, self._random = clock, course, random.random
        self._capacity = course.capacity
        self.counts = Counts()
        self._done = -NEVER
        """The line's work, as `Capacity` counts it, when all that waits has passed."""
        self._last = 0.0
        """Arrival of the last packet."""
        self._tokens, self._tokens_at = NEVER, 0.0
        self._flight: deque[tuple[float, int]] = deque()
        self._under_way = 0
        self._step = -1
        self._change_at = 0.0
        self._next_step()

    def _next_step(self) -> None:
        steps, period = self._course.steps, self._course.period
        self._step += 1
        cycle, index = divmod(self._step, len(steps))
        self._now = steps[index][1]
        self._room = self._now.queue * self._capacity.mean
        following = steps[index + 1][0] if index + 1 < len(steps) else period
        base = cycle * period if cycle else 0.0
        self._change_at = base + following

    def put(self, size: int, deliver: Callable[[Any], None], packet: Any) -> bool:
        """Takes a packet of so many bytes on the line. False: it does not arrive; else `deliver` gets it."""
        counts, now = self.counts, self._clock.now
        at = now - START
        while at >= self._change_at:
            self._next_step()
        conditions = self._now
        counts.offered += 1
        if conditions.police and not self._passes(size, at):
            counts.policed += 1
            return False
        work = self._capacity.work(at)
        waiting = self._done - work
        if waiting <= 0:
            self._done = work
        elif waiting > self._room and waiting > size:
            counts.overflow += 1
            return False
        self._done += size
        if conditions.loss and self._random() < conditions.loss:
            counts.lost += 1
            return False
        due = START + self._capacity.when(self._done) + conditions.delay
        if conditions.jitter:
            due = max(now, due + conditions.jitter * (2 * self._random() - 1))
        if not conditions.reorders:
            self._last = due = max(due, self._last)
        self._flight.append((due, size))
        self._under_way += size
        self._clock.at(due, deliver, packet)
        return True

    def _passes(self, size: int, at: float) -> bool:
        rate = self._now.police
        self._tokens = min(self._tokens + (at - self._tokens_at) * rate, self._now.burst * rate)
        self._tokens_at = at
        if self._tokens < size:
            return False
        self._tokens -= size
        return True

    @property
    def queued(self) -> float:
        """Bytes that wait for the line's rate now."""
        return max(0.0, self._done - self._capacity.work(self._clock.now - START))

    def settle(self) -> int:
        """Counts what has arrived by now; returns the bytes under way, in the queue and on the line."""
        flight, now = self._flight, self._clock.now
        while flight and flight[0][0] <= now:
            size = flight.popleft()[1]
            self._under_way -= size
            self.counts.arrived += 1
            self.counts.bytes += size
        return self._under_way
