"""The cost of processes: CPU time of a control group of v1 or v2, or of the processes if there are no groups."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from .lab import wait_until

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PATIENCE = 5.0
"""Seconds in which a group becomes empty after its processes have gone."""


_WORK = 100_000
_USUAL = 0.0032
"""Seconds for `_WORK` steps on the machine where the limits of CPU time were set, without other work."""


class Pace:
    """The present speed of processors. Two may share a core and its caches, so that a second of CPU time does less."""

    def __init__(self) -> None:
        self._looks: list[float] = []

    def look(self) -> None:
        """Takes a sample, which lasts some milliseconds."""
        began, total = time.thread_time(), 0
        for number in range(_WORK):
            total += number
        assert total == _WORK * (_WORK - 1) // 2
        self._looks.append(time.thread_time() - began)

    @property
    def slowness(self) -> float:
        """Factor by which the work took longer than usual, by the median sample; at least 1."""
        return max(sorted(self._looks)[len(self._looks) // 2] / _USUAL, 1.0)


class Account(Protocol):
    """Processes whose CPU time is counted together, with all processes that they start later."""

    kind: str
    """What the account counts by, in words."""

    def add(self, pid: int) -> None:
        """From now on counts this process."""

    def seconds(self) -> float:
        """Seconds that the processes have used so far, in user and kernel mode."""

    def close(self) -> None:
        """Ends the account; the processes are gone."""


class _Group:
    """A control group of its own below a hierarchy's root."""

    def __init__(self, root: Path, name: str) -> None:
        self._directory = root / f"{name}-{os.getpid()}"
        self._directory.mkdir()

    def add(self, pid: int) -> None:
        (self._directory / "cgroup.procs").write_text(str(pid))

    def _read(self, name: str) -> str:
        return (self._directory / name).read_text()

    def close(self) -> None:
        def gone() -> bool:
            try:
                self._directory.rmdir()
            except OSError:
                return False
            return True

        wait_until(gone, _PATIENCE)


class _Version1(_Group):
    kind = "cgroup v1, cpuacct"

    def seconds(self) -> float:
        return int(self._read("cpuacct.usage")) / 1e9


class _Version2(_Group):
    kind = "cgroup v2, cpu.stat"

    def seconds(self) -> float:
        usage = next(line for line in self._read("cpu.stat").splitlines() if line.startswith("usage_usec"))
        return int(usage.split()[1]) / 1e6


class Processes:
    """An account without groups: the times of the processes and their children, all threads of each, in clock ticks."""

    kind = "/proc/PID/stat"

    def __init__(self) -> None:
        self._pids: list[int] = []

    def add(self, pid: int) -> None:
        self._pids.append(pid)

    def seconds(self) -> float:
        return sum(map(_process_seconds, {found for pid in self._pids for found in _family(pid)}))

    def close(self) -> None:
        return


def account(name: str) -> Account:
    """A new account. This process's number makes `name` unique."""
    for root, kind in _hierarchies(Path("/proc/mounts").read_text()):
        try:
            return kind(root, name)
        except OSError:
            continue  # we may not make a group in it, as in most containers
    return Processes()


def _hierarchies(mounts: str) -> list[tuple[Path, type[_Version1] | type[_Version2]]]:
    """Directories for groups that count CPU time, from proc(5)'s mounts. v1 comes first: it counts nanoseconds."""
    found: list[tuple[Path, type[_Version1] | type[_Version2]]] = []
    for line in mounts.splitlines():
        _, path, kind, options = line.split()[:4]
        if kind == "cgroup" and "cpuacct" in options.split(","):
            found.insert(0, (Path(path), _Version1))
        elif kind == "cgroup2":
            found.append((Path(path), _Version2))
    return found


def _family(pid: int) -> set[int]:
    """The process and all processes below it; empty if it is gone."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return set()
    return {pid}.union(*(_family(int(child)) for child in children))


def _process_seconds(pid: int) -> float:
    # Split after the program's name, which may hold spaces and brackets. utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
