"""The status command's queue: one run at a time, in order, and never in the packet loop's way.

What an event would undo before it was run is not run: a link that flaps while a script is slow
leaves two runs, not two hundred.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .errors import MlvpndError
from .helper.client import HelperClient
from .journal import fields
from .log import logger
from .tasks import watched

_OPPOSITE = {
    "rtun_up": "rtun_down",
    "rtun_down": "rtun_up",
    "tuntap_up": "tuntap_down",
    "tuntap_down": "tuntap_up",
}

Run = tuple[str, str | None]
"""Event, and the link that it is about."""

_privsep = logger("privsep")


class ScriptQueue:
    """Asks the helper for the runs."""

    def __init__(self, helper: HelperClient) -> None:
        self._helper = helper
        self._waiting: deque[Run] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._refused = ""

    def put(self, event: str, link: str | None = None) -> None:
        """Queues a run, unless it cancels one that waits."""
        opposite = (_OPPOSITE[event], link)
        if opposite in self._waiting:
            self._waiting.remove(opposite)
            return
        if (event, link) in self._waiting:
            return
        self._waiting.append((event, link))
        if self._worker is None or self._worker.done():
            self._worker = watched(asyncio.get_running_loop().create_task(self._work(), name="status command"))

    async def drain(self, limit: float) -> None:
        """Waits until all is run, `limit` seconds at the most."""
        if self._worker is not None:
            await asyncio.wait([self._worker], timeout=limit)
            self._worker.cancel()

    async def _work(self) -> None:
        while self._waiting:
            event, link = self._waiting.popleft()
            try:
                await self._helper.run_script(event, link)
            except MlvpndError as error:
                if str(error) != self._refused:  # a missing script is said once, not at every event
                    self._refused = str(error)
                    _privsep.warning(
                        "error from priv server: %s", error, extra=fields("script-failed", link or "", reason=error)
                    )
            else:
                self._refused = ""
