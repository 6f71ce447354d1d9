"""Time that the machine gave to others: to its neighbours, by the hypervisor, and to other programs on it.

A limit in seconds is a claim about the program. But the machine may be away for half a second in every two, or may have
other work on each processor. Then a limit that includes this time is a claim about the neighbours.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PRESSURE = Path("/proc/pressure/cpu")
"""File since Linux 4.20. It is missing, or cannot be read, if the kernel was built or started without it."""


def taken() -> float:
    """Seconds since the start of the machine in which a program wanted to run and could not.

    It is the sum of two times. `steal` of proc(5), of all cores, is the hypervisor's. `some` of /proc/pressure/cpu is
    the time in which a program was ready and waited for another to leave the processor.
    """
    with Path("/proc/stat").open() as stat:
        stolen = int(stat.readline().split()[8]) / _TICKS_A_SECOND
    return stolen + waited()


def waited() -> float:
    """The seconds of /proc/pressure/cpu alone; 0 if the kernel does not tell them."""
    try:
        text = _PRESSURE.read_text()
    except OSError:
        return 0.0
    return int(text.splitlines()[0].rpartition("total=")[2]) / 1e6


class Noise:
    """Counts from its creation on."""

    def __init__(self) -> None:
        self._begin = taken()

    @property
    def seconds(self) -> float:
        """Seconds taken since the creation: about the most that a single chain of work can have lost."""
        return taken() - self._begin


class Stopwatch:
    """Runs from its creation on."""

    def __init__(self) -> None:
        self._begin, self._noise = time.monotonic(), Noise()

    @property
    def elapsed(self) -> float:
        """Seconds by the clock."""
        return time.monotonic() - self._begin

    @property
    def taken(self) -> float:
        """Seconds that others took of them."""
        return self._noise.seconds

    @property
    def taken_share(self) -> float:
        """The share of the elapsed time that others took, at most 1."""
        return min(self.taken / max(self.elapsed, 0.001), 1.0)

    @property
    def own(self) -> float:
        """The elapsed seconds without the taken ones: the program is responsible for these."""
        return self.elapsed - self.taken


MOST_PATIENCE = 6
"""Factor by which a deadline can move at most. With enough other work, no time is our own, and a wait would not end."""


class Patience:
    """A deadline in seconds of our own. Time that others take meanwhile moves it."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._watch = seconds, Stopwatch()

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 or less when it is over."""
        elapsed = self._watch.elapsed
        if elapsed < self._seconds:
            return self._seconds - elapsed
        return min(self._seconds - self._watch.own, MOST_PATIENCE * self._seconds - elapsed)
