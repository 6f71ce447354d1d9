"""Notices when the system's clock was set, and when the process or the whole machine stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from mlvpnd.logs.journal import fields
from mlvpnd.logs.log import logger

INTERVAL = 1.0
"""Seconds between looks."""
STEP = 10.0
"""Seconds. A step of the clock by this much is logged; NTP makes smaller ones silently."""
STILL = 5.0
"""Seconds. A standstill of the loop this long is logged; less than the watchdog allows."""

_log = logger()


class Clocks(NamedTuple):
    """Two clocks at one moment, in seconds."""

    boot: float
    """CLOCK_BOOTTIME: nobody can set it, and it goes on while the machine sleeps."""
    unix: float
    """The clock that `date` shows."""


def read() -> Clocks:
    """Reads both clocks."""
    return Clocks(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


class ClockWatch:
    """Writes a line for each step of the clock and each standstill, from `start` to `stop`."""

    def __init__(self, read: Callable[[], Clocks] = read) -> None:
        self._read = read
        self._before = read()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watches from now on."""
        self._before = self._read()
        self._wait()

    def stop(self) -> None:
        """Stops watching."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def _look(self) -> None:
        before, self._before = self._before, self._read()
        passed = self._before.boot - before.boot
        still, stepped = passed - INTERVAL, self._before.unix - before.unix - passed
        if still >= STILL:
            extra = fields("stood-still", seconds=round(still))
            _log.warning("the daemon did not run for %.0f s", still, extra=extra)
        if abs(stepped) >= STEP:
            extra = fields("clock-stepped", seconds=round(stepped))
            _log.warning("the clock was set by %+.0f s", stepped, extra=extra)
        self._wait()
