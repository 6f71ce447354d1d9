"""The standard streams of a program that anybody may start."""

from __future__ import annotations

import os
import sys


def ensure_standard() -> None:
    """Opens those of the three streams that the caller closed: nothing else may get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None or sys.stderr is None:
        sys.stdout = sys.stdout or open(1, "w", closefd=False)
        sys.stderr = sys.stderr or open(2, "w", closefd=False)
