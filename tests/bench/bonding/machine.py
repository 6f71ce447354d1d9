"""What a run cost the machine, and whether the machine let it be one."""

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
        """Since the machine was started."""
        with Path("/proc/stat").open() as stat:
            # user nice system idle iowait irq softirq steal; what follows is counted in user and nice too
            ticks = [int(word) for word in stat.readline().split()[1:9]]
        return cls(ticks[3] + ticks[4], ticks[7], sum(ticks))

    def idle_share(self, since: Processors) -> float:
        """Share of the time since then in which they had nothing to do."""
        return (self.idle - since.idle) / max(self.total - since.total, 1)

    def stolen_share(self, since: Processors) -> float:
        """Share of the time since then that the machine's other guests took."""
        return (self.stolen - since.stolen) / max(self.total - since.total, 1)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    # After the program's name, which may hold spaces and brackets; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


class Meter:
    """Counts from its making on, for the processes named."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._processors = Processors.now()
        self._cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def read(self) -> tuple[float, float, dict[str, float]]:
        """Shares idle and stolen, and the CPU seconds of each process."""
        now = Processors.now()
        cpu = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._pids.items()}
        return now.idle_share(self._processors), now.stolen_share(self._processors), cpu


def describe() -> str:
    """The machine in a line, and what runs on it."""
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
    """Its version as `major.minor`: what comes after that names a build of one machine."""
    return ".".join(platform.release().split(".")[:2])


def _commit() -> str:
    """The commit that is checked out, and whether something differs from it; empty where there is none."""
    words = ("git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*")
    try:
        done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""
