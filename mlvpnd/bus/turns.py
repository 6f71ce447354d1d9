"""Fairness: callers take turns, and no number of calls takes more than a small part of the process's time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from .message import Message

PAUSE_FACTOR = 9
"""A pause after work lasts this many times as long as the work: the bus gets a tenth of the time at most."""
SLICE = 0.001
"""Seconds of work, about, after which a pause comes."""
MAX_PAUSE = 0.2
"""Seconds. The longest pause."""

MAX_WAITING = 64
"""Waiting calls of one caller."""
MAX_WAITING_IN_ALL = 512
FLOOD_RATE = 200
"""Calls of one caller in a second, served or not, from which on the caller is reported."""


class Pace:
    """Spreads work of unknown amount over time."""

    def __init__(self) -> None:
        self._used = 0.0

    async def rest(self, used: float) -> None:
        """To be awaited after each piece of work, with its seconds."""
        self._used += used
        if self._used >= SLICE:
            pause, self._used = min(self._used * PAUSE_FACTOR, MAX_PAUSE), 0.0
            await asyncio.sleep(pause)


class Turns:
    """Calls that wait to be served, from each sender in turn. `on_flood` is called with a sender that has too many."""

    def __init__(
        self, on_flood: Callable[[str], None] = lambda sender: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_flood = on_flood
        self._clock = clock
        self._second = float("-inf")
        self._counts: Counter[str] = Counter()
        """Calls of each sender in the second that began at `_second`."""
        self._waiting: OrderedDict[str, deque[Message]] = OrderedDict()
        self._size = 0
        self._changed = asyncio.Event()

    def put(self, call: Message) -> bool:
        """Takes a call; False: too many of its sender's calls wait, and it was not taken."""
        self._count(call.sender)
        calls = self._waiting.setdefault(call.sender, deque())
        if len(calls) >= MAX_WAITING:
            self._on_flood(call.sender)
            return False
        calls.append(call)
        self._size += 1
        self._changed.set()
        return True

    def _count(self, sender: str) -> None:
        now = self._clock()
        if now - self._second >= 1:
            self._second = now
            self._counts.clear()
        self._counts[sender] += 1
        if self._counts[sender] == FLOOD_RATE:
            self._on_flood(sender)

    async def has_room(self) -> None:
        """Returns when fewer than `MAX_WAITING_IN_ALL` calls wait."""
        while self._size >= MAX_WAITING_IN_ALL:
            await self._wait()

    async def get(self) -> Message:
        """The next call."""
        while not self._waiting:
            await self._wait()
        sender, calls = self._waiting.popitem(last=False)
        call = calls.popleft()
        self._size -= 1
        if calls:
            self._waiting[sender] = calls
        self._changed.set()
        return call

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
