"""What is open in this process, for tests of leaks."""

from __future__ import annotations

import os


def open_descriptors() -> dict[int, tuple[int, int]]:
    """Each open descriptor and the file behind it."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            continue  # the descriptor of the listing itself
        found[int(name)] = (status.st_dev, status.st_ino)
    return found
