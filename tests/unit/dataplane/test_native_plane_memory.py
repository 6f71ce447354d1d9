"""The memory that the native twin keeps after use."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support import failing
from tests.support.linkemu import PROJECT

KEPT = 1024
HELD = 3000
"""Packets at a time: more than the free buffers that are kept."""
PROGRAM = """
import errno
from pathlib import Path
from mlvpnd.dataplane import _native
from mlvpnd.protocol.wire.inner import Kind
from tests.support.native_parts import PacedScheduler
from mlvpnd.protocol.sending.paced import LineParameters
from tests.support.failing import Failing, Kind as Failure

lines = {{0: LineParameters(1_000_000_000, 1_000_000)}}
scheduler = PacedScheduler(0)
failing = Failing(Path(_native.__file__))
scheduler.set_lines(lines, 0)
for _ in range({held}):
    scheduler.put(Kind.BULK, 1, bytes(100), 100, 0)
assert scheduler.dropped == 0, scheduler.dropped
scheduler.set_lines({{}}, 0)  # all of it is free again
scheduler.set_lines(lines, 0)
failing.arm(Failure.MEMORY, errno.ENOMEM)
count = 0
try:
    while count < {held}:
        scheduler.put(Kind.BULK, 1, bytes(100), 100, 0)
        count += 1
except MemoryError:
    pass
failing.disarm()
print(count)
"""


def test_no_more_free_buffers_are_kept_than_two_megabytes() -> None:
    """Where the system has no more memory, only the kept buffers are left. This test counts them."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(held=HELD)],
        cwd=PROJECT,
        env={**os.environ, "LD_PRELOAD": failing.in_front()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == (HELD if failing.SANITIZED else KEPT)
