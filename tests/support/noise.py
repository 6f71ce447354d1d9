"""What the machine's other guests took: a virtual machine stands still then, and its clock goes on.

A limit in seconds is a claim about the program. On a machine that is taken away for half of a second in every two, a
limit without that time is a claim about the neighbours.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def stolen() -> float:
    """Seconds since the start that the machine wanted to run and could not, of all cores: `steal` of proc(5)."""
    with Path("/proc/stat").open() as stat:
        return int(stat.readline().split()[8]) / _TICKS_A_SECOND


class Noise:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._begin = stolen()

    @property
    def seconds(self) -> float:
        """Seconds stolen since then, of all cores together: no single chain of work can have lost more."""
        return stolen() - self._begin


class Stopwatch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._begin, self._noise = time.monotonic(), Noise()

    @property
    def elapsed(self) -> float:
        """Seconds by the clock."""
        return time.monotonic() - self._begin

    @property
    def own(self) -> float:
        """Those without what was stolen of them: what the program has to answer for."""
        return self.elapsed - self._noise.seconds
