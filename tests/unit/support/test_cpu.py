"""What processes cost, by each way to count the cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import cpu
from tests.support.cpu import Account, Pace, Processes, account

BURN = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); sys.stdin.read()"
V1 = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/acct cgroup rw,relatime,cpuacct 0 0\n"
V2 = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n"


def burnt(counted: Account) -> float:
    """The seconds that are counted of a process, once it has started; it uses 0.3 s."""
    process = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        counted.add(process.pid)
        assert process.stdout is not None
        process.stdout.readline()
        return counted.seconds()


def test_the_time_of_a_process_is_counted() -> None:
    for counted in (account("mlvpnd-test"), Processes()):
        try:
            assert 0.25 <= burnt(counted) < 0.8, counted.kind  # with what the start costs
        finally:
            counted.close()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/mlvpnd-test-{os.getpid()}"))


def test_hierarchies_are_found_by_their_mounts() -> None:
    for mounts in (V1 + V2, V2 + V1):
        assert [(str(path), kind.kind) for path, kind in cpu._hierarchies(mounts)] == [
            ("/sys/fs/cgroup/acct", "cgroup v1, cpuacct"),
            ("/sys/fs/cgroup/unified", "cgroup v2, cpu.stat"),
        ]
    assert cpu._hierarchies("proc /proc proc rw 0 0\n") == []


def test_groups_of_both_versions_are_read(tmp_path: Path) -> None:
    for kind, name, text in (
        (cpu._Version1, "cpuacct.usage", "1500000000\n"),
        (cpu._Version2, "cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
    ):
        group = kind(tmp_path, kind.__name__)
        (tmp_path / f"{kind.__name__}-{os.getpid()}" / name).write_text(text)
        assert group.seconds() == 1.5


def test_where_no_group_can_be_made_processes_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    monkeypatch.setattr(cpu, "_hierarchies", lambda _mounts: [(missing, cpu._Version1)])
    assert isinstance(account("x"), Processes)


def test_a_pace_is_the_median_and_never_quicker_than_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 2.0, 10.0, 10.5, 20.0, 29.0))  # looks of 2, 0.5 and 9 seconds
    monkeypatch.setattr(time, "thread_time", clock.__next__)
    monkeypatch.setattr(cpu, "_USUAL", 0.5)
    pace = Pace()
    for _ in range(3):
        pace.look()
    assert pace.slowness == 4.0
    monkeypatch.setattr(cpu, "_USUAL", 3.0)
    assert pace.slowness == 1.0
