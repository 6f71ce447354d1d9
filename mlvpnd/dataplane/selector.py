"""An event loop whose selector lets another function do the waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

Events = list[tuple[selectors.SelectorKey, int]]


class TurnSelector(selectors.EpollSelector):
    """The standard library's selector, except that another function may wait."""

    def __init__(self) -> None:
        super().__init__()
        self._wait: Callable[[float | None], None] | None = None

    def take_turns(self, wait: Callable[[float | None], None] | None) -> None:
        """Has `wait(timeout)` called instead of epoll_wait(2); it may call the loop's `call_soon`.

        `wait` returns when the selector's descriptor is readable or after `timeout` seconds; None: no time limit.
        """
        self._wait = wait

    def select(self, timeout: float | None = None) -> Events:
        """The keys that are ready, see `selectors.BaseSelector.select`."""
        if self._wait is None:
            return super().select(timeout)
        self._wait(None if timeout is None else max(timeout, 0.0))
        return super().select(0)


class TurnLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on a `TurnSelector`."""

    def __init__(self) -> None:
        self.turns = TurnSelector()
        super().__init__(self.turns)
