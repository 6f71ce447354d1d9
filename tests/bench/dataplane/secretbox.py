"""Measures the cipher alone: the least cost of a data plane on this wire format, by libsodium and the native twin."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.linkemu import BUILD_DIR

SOURCE = Path(__file__).with_name("secretbox.c")
NATIVE = Path(__file__).parents[3] / "mlvpnd/native"
PAYLOAD = 1348
"""Bytes of TCP in a full packet of MTU 1400. One box seals this many."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds per GB (1e9 bytes)."""

    seal: float
    open: float
    version: str
    """Version of libsodium."""


@functools.cache
def program() -> Path:
    """The measuring program, compiled against the machine's libsodium."""
    BUILD_DIR.mkdir(exist_ok=True)
    binary = BUILD_DIR / SOURCE.stem
    done = subprocess.run(
        [
            "gcc",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-I",
            str(NATIVE),
            "-o",
            str(binary),
            str(SOURCE),
            str(NATIVE / "wire/box.c"),
            "-lsodium",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{SOURCE.name} does not compile: {done.stderr}")
    return binary


def measure(seconds: float, *, native: bool = False) -> Cost:
    """Seals and opens for `seconds` of CPU time."""
    way = "native" if native else "libsodium"
    done = subprocess.run([str(program()), way, str(PAYLOAD), str(seconds)], capture_output=True, text=True, check=True)
    seal, opened, version = done.stdout.split()
    packets = 1e9 / PAYLOAD
    return Cost(float(seal) * packets, float(opened) * packets, version)
