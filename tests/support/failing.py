"""Failures of system calls and of memory on demand, by the library from `failing.c`, which goes in front of libc.

A program starts with the `LD_PRELOAD` of `in_front`, and asks for failures by a `Failing`.
"""

from __future__ import annotations

import ctypes
import enum
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from .linkemu import BUILD_DIR

SOURCE = Path(__file__).with_name("failing.c")
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
"""Whether AddressSanitizer is in front. Then all allocations are its own, and none can be made to fail."""
COMPILE = ("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


class Kind(enum.IntEnum):
    """What fails, in the order of the source."""

    SEND = 0
    RECEIVE = 1
    WAIT = 2
    SOCKET = 3
    MEMORY = 4


def in_front() -> str:
    """The value of LD_PRELOAD for a program. The library stands behind the present value: sanitizers come first."""
    return " ".join(filter(None, (os.environ.get("LD_PRELOAD"), str(build()))))


def build() -> Path:
    """The library; compiles it unless this source is compiled already."""
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join(COMPILE).encode()).hexdigest()[:16]
    library = BUILD_DIR / f"failing-{key}.so"
    if not library.exists():
        BUILD_DIR.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD_DIR) as scratch:
            fresh = Path(scratch) / "failing.so"
            clean = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
            subprocess.run([*COMPILE, "-o", str(fresh), str(SOURCE), "-ldl"], env=clean, check=True)
            os.replace(fresh, library)
    return library


class Failing:
    """Controls the failures, in a program that has the library in front."""

    def __init__(self, module: Path) -> None:
        """`module` is the extension whose allocations can fail. It must be loaded already."""
        self._library = ctypes.CDLL(None)
        initialise = f"PyInit_{module.name.partition('.')[0]}"
        address = ctypes.cast(getattr(ctypes.CDLL(str(module)), initialise), ctypes.c_void_p)
        if not self._library.failing_module(address):
            raise RuntimeError(f"{module} is not loaded")

    def arm(self, kind: Kind, error: int, *, every: int = 1, descriptor: int = -1) -> None:
        """From now on each `every`th call of the kind, only on `descriptor` if given, fails with this errno."""
        self._library.failing_arm(int(kind), descriptor, error, every)

    def disarm(self) -> int:
        """Ends the failures; returns how many calls have failed."""
        return int(self._library.failing_disarm())
