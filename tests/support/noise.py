"""What the machine did for others: its neighbours' share, by the hypervisor, and that of other programs on it.

A limit in seconds is a claim about the program. On a machine that is taken away for half of a second in every two, or
that has other work on each processor, a limit without that time is a claim about the neighbours.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PRESSURE = Path("/proc/pressure/cpu")
"""Since Linux 4.20. It is missing, or refuses to be read, where the kernel was built or started without it."""


def taken() -> float:
    """Seconds since the start of the machine in which somebody wanted to run and could not.

    It is `steal` of proc(5), of all cores, which is the hypervisor's; and `some` of /proc/pressure/cpu, which is the
    time in which a program was ready and waited for another to leave the processor.
    """
    with Path("/proc/stat").open() as stat:
        stolen = int(stat.readline().split()[8]) / _TICKS_A_SECOND
    return stolen + waited()


def waited() -> float:
    """The second of the two alone; 0 where the kernel does not tell."""
    try:
        text = _PRESSURE.read_text()
    except OSError:
        return 0.0
    return int(text.splitlines()[0].rpartition("total=")[2]) / 1e6


class Noise:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._begin = taken()

    @property
    def seconds(self) -> float:
        """Seconds taken since then: about the most that a single chain of work can have lost."""
        return taken() - self._begin


class Stopwatch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._begin, self._noise = time.monotonic(), Noise()

    @property
    def elapsed(self) -> float:
        """Seconds by the clock."""
        return time.monotonic() - self._begin

    @property
    def taken(self) -> float:
        """Seconds that were taken of them."""
        return self._noise.seconds

    @property
    def taken_share(self) -> float:
        """The part of them that was taken, 1 at most."""
        return min(self.taken / max(self.elapsed, 0.001), 1.0)

    @property
    def own(self) -> float:
        """Those without what was taken of them: what the program has to answer for."""
        return self.elapsed - self.taken


MOST_PATIENCE = 6
"""Times as far that a deadline can move: beside enough other work nothing would be our own, and a wait without end."""


class Patience:
    """A deadline so many seconds of our own away: what is taken meanwhile moves it."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._watch = seconds, Stopwatch()

    @property
    def left(self) -> float:
        """Seconds to it; 0 or less when it is over."""
        elapsed = self._watch.elapsed
        if elapsed < self._seconds:
            return self._seconds - elapsed
        return min(self._seconds - self._watch.own, MOST_PATIENCE * self._seconds - elapsed)
