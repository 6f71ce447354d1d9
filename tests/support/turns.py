"""Who may run beside whom, over processes: many together, or one alone."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(directory: Path, *, alone: bool) -> Iterator[None]:
    """Waits until this may run, and holds others off while it does. The locks are files in `directory`.

    Who waits for the lock holds the door: so nobody overtakes one that waits to be alone.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "door.lock").open("w") as door, (directory / "run.lock").open("w") as run:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(run, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
