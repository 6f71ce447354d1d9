"""An event loop that lets somebody else wait in the place of its selector."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

Events = list[tuple[selectors.SelectorKey, int]]


class TurnSelector(selectors.EpollSelector):
    """That of the standard library, but for who waits."""

    def __init__(self) -> None:
        super().__init__()
        self._wait: Callable[[float | None], None] | None = None

    def take_turns(self, wait: Callable[[float | None], None] | None) -> None:
        """`wait(timeout)` is called instead of epoll_wait(2), and may call the loop's `call_soon`.

        It returns when the selector's descriptor is readable, or `timeout` seconds have passed; None: never.
        """
        self._wait = wait

    def select(self, timeout: float | None = None) -> Events:
        """What is ready. See `selectors.BaseSelector.select`."""
        if self._wait is None:
            return super().select(timeout)
        self._wait(None if timeout is None else max(timeout, 0.0))
        return super().select(0)


class TurnLoop(asyncio.SelectorEventLoop):
    """That of asyncio, on a `TurnSelector`."""

    def __init__(self) -> None:
        self.turns = TurnSelector()
        super().__init__(self.turns)
