"""The status command's queue: one run at a time, in order. The packet loop never waits for it.

If an event undoes one that still waits, neither is run: a link that flaps during a slow script leaves two runs, not two
hundred. A link has `RUN_BURST` runs at once, then one each `RUN_INTERVAL` seconds: the command runs as root and a peer
can cause it. While an event waits for its time, events of other links pass it. The last state is always run.
"""

from __future__ import annotations

import asyncio

from mlvpnd.base.allowance import Allowances
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperClient
from mlvpnd.logs.journal import fields
from mlvpnd.logs.log import logger
from mlvpnd.logs.tasks import watched

RUN_BURST = 10
"""Runs for one link, or for the interface, at once: five times down and up."""
RUN_INTERVAL = 2.0
"""Seconds between two runs for the same link, or for the interface, after `RUN_BURST`."""
_OPPOSITE = {
    "rtun_up": "rtun_down",
    "rtun_down": "rtun_up",
    "tuntap_up": "tuntap_down",
    "tuntap_down": "tuntap_up",
}

Run = tuple[str, str | None]
"""An event and its link; None: the interface."""

_privsep = logger("privsep")


class ScriptQueue:
    """Asks the helper for the runs."""

    def __init__(self, helper: HelperClient) -> None:
        self._helper = helper
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Run] = []
        self._allowed = Allowances(RUN_BURST, RUN_INTERVAL)
        self._changed = asyncio.Event()
        self._draining = False
        self._worker: asyncio.Task[None] | None = None
        self._refused = ""

    def put(self, event: str, link: str | None = None) -> None:
        """Queues a run. If its opposite waits, removes that one instead."""
        opposite = (_OPPOSITE[event], link)
        if opposite in self._waiting:
            self._waiting.remove(opposite)
            return
        if (event, link) in self._waiting:
            return
        self._waiting.append((event, link))
        self._changed.set()
        if self._worker is None or self._worker.done():
            self._worker = watched(self._loop.create_task(self._work(), name="status command"))

    async def drain(self, limit: float) -> None:
        """Waits until all runs are done, `limit` seconds at most. From now on runs are not paced."""
        self._draining = True
        self._changed.set()
        if self._worker is not None:
            await asyncio.wait([self._worker], timeout=limit)
            self._worker.cancel()

    async def _work(self) -> None:
        while self._waiting:
            now = self._loop.time()
            run = next((run for run in self._waiting if self._draining or self._allowed.take(run[1], now)), None)
            if run is None:
                await self._pause(min(self._allowed.at(link, now) for _, link in self._waiting) - now)
                continue
            self._waiting.remove(run)
            event, link = run
            try:
                await self._helper.run_script(event, link)
            except MlvpndError as error:
                if str(error) != self._refused:  # a missing script is logged once, not at every event
                    self._refused = str(error)
                    _privsep.warning(
                        "error from priv server: %s", error, extra=fields("script-failed", link or "", reason=error)
                    )
            else:
                self._refused = ""

    async def _pause(self, seconds: float) -> None:
        """Returns after `seconds`, or when a run is queued or `drain` is called."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
