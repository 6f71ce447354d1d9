"""Measures the cost of a run to the machine, and whether the machine was quiet enough for the run."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nacl

import mlvpnd
from tests.support.linkemu import PROJECT

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Processors:
    """Ticks of all processors together, proc(5)."""

    idle: int
    stolen: int
    total: int

    @classmethod
    def now(cls) -> Processors:
        """The ticks since the machine was started."""
        with Path("/proc/stat").open() as stat:
            # user nice system idle iowait irq softirq steal; user and nice already include the fields after these
            ticks = [int(word) for word in stat.readline().split()[1:9]]
        return cls(ticks[3] + ticks[4], ticks[7], sum(ticks))

    def idle_share(self, since: Processors) -> float:
        """Share of the time since `since` in which the processors had nothing to do."""
        return (self.idle - since.idle) / max(self.total - since.total, 1)

    def stolen_share(self, since: Processors) -> float:
        """Share of the time since `since` that the machine's other guests took."""
        return (self.stolen - since.stolen) / max(self.total - since.total, 1)


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used so far."""
    # Split after the program's name, which may hold spaces and brackets. utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


class Meter:
    """Counts from its creation on, for the named processes."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._processors = Processors.now()
        self._cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def read(self) -> tuple[float, float, dict[str, float]]:
        """The idle share, the stolen share, and the CPU seconds of each process."""
        now = Processors.now()
        cpu = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._pids.items()}
        return now.idle_share(self._processors), now.stolen_share(self._processors), cpu


def describe() -> str:
    """One line about the machine and its software."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next(
        (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} processors ({model}), Linux {kernel()}, Python {platform.python_version()}, "
        f"PyNaCl {nacl.__version__}, mlvpnd {mlvpnd.__version__}{_commit()}"
    )


def kernel() -> str:
    """The kernel's version as `major.minor`: the rest names a build of one machine."""
    return ".".join(platform.release().split(".")[:2])


def _commit() -> str:
    """The commit that is checked out, and whether the tree differs from it; empty without a repository."""
    words = ("git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*")
    try:
        done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""
