"""The line emulator `linkemu.c`: builds it once, starts it on two interfaces, and tells it the conditions."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("linkemu.c")
HEADER = Path(__file__).with_name("linkemu_trace.h")
BUILD_DIR = PROJECT / "build"
COMPILE = ("gcc", "-O2", "-Wall", "-Wextra", "-Werror")

REALTIME_MBIT = 200
"""Mbit/s; below this rate an emulator runs under SCHED_FIFO. It is on time then, and surely leaves time to others."""


class EmulatorError(Exception):
    """The emulator could not be built, did not start, or refused a command."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one direction of a line."""

    rate: float = 0
    """Mbit/s of Ethernet frames; 0: unlimited. If there is a trace, this is only the rate that others assume."""
    delay: float = 0
    """Milliseconds, one way."""
    jitter: float = 0
    """Milliseconds by which the delay varies at most, either way."""
    order: bool = True
    """Frames keep their order under jitter. False: each has a delay of its own and may overtake others."""
    loss: float = 0
    """Share of frames lost, 0 to 1. Each frame is decided by itself, also for the shares below."""
    queue: float = 100
    """Milliseconds of traffic that may wait for the rate. The emulator drops what comes on top."""
    reorder: float = 0
    """Share of frames that skip the delay."""
    duplicate: float = 0
    corrupt: float = 0
    """Share of frames with a flipped bit, behind the Ethernet header."""
    burst_in: float = 0
    """Chance of a frame to begin a burst of loss, in which all frames are lost."""
    burst_out: float = 1
    """Chance of a frame to end a burst of loss."""
    up: bool = True
    """False: nothing passes, and frames under way are lost; the carrier stays."""
    trace: Path | None = None
    """File with a trace that the rate follows, from `write_trace`."""

    def spec(self) -> str:
        """The conditions in linkemu's words."""
        values = {field.name: float(getattr(self, field.name)) for field in fields(self) if field.name != "trace"}
        values["rate"] *= 1e6
        for name in ("delay", "jitter", "queue"):
            values[name] *= 1e3
        return ",".join([*(f"{name}={value:.9g}" for name, value in values.items()), f"trace={self.trace or ''}"])


def write_trace(path: Path, steps: Iterable[tuple[float, float]]) -> Path:
    """Writes a trace: milliseconds, and the Mbit/s during them. After the last step the first one comes again."""
    path.write_text("".join(f"{milliseconds:g} {rate * 1e6:.9g}\n" for milliseconds, rate in steps))
    return path


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of one direction of a line: in frames, unless the name says bytes or us."""

    rx: int
    rx_bytes: int
    tx: int
    tx_bytes: int
    lost: int
    overflow: int
    """Frames dropped before the rate, because the queue was full."""
    down: int
    """Frames that met a dead line."""
    reordered: int
    duplicated: int
    corrupted: int
    oversize: int
    """Frames longer than the MTU: an offload is on at the far end."""
    kernel_drops: int
    """Frames that the kernel dropped, because the emulator itself was too slow."""
    send_errors: int
    on_line: int
    queue_us: int
    late_max_us: int
    late_mean_us: int
    late_p99_us: int
    """Microseconds after the due time. One frame in a hundred was sent later."""


def build() -> Path:
    """The emulator's binary; compiles it unless this source is compiled already."""
    key = hashlib.sha256(SOURCE.read_bytes() + HEADER.read_bytes() + " ".join(COMPILE).encode()).hexdigest()[:16]
    binary = BUILD_DIR / f"linkemu-{key}"
    if binary.exists():
        return binary
    BUILD_DIR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD_DIR) as scratch:
        fresh = Path(scratch) / "linkemu"
        done = subprocess.run(
            [*COMPILE, "-o", str(fresh), str(SOURCE), "-lm"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise EmulatorError(f"{SOURCE.name} does not compile:\n{done.stderr}")
        os.replace(fresh, binary)
    return binary


class Emulator:
    """A running linkemu between interfaces `a` and `b` of a network namespace."""

    def __init__(self, enter: Sequence[str], a: str, b: str, *, ab: Conditions, ba: Conditions, seed: int) -> None:
        """`enter` are the words that run a program in the namespace. Returns as soon as frames pass."""
        self._conditions = {"ab": ab, "ba": ba}
        self._lock = threading.Lock()
        slow = all(0 < conditions.rate < REALTIME_MBIT for conditions in (ab, ba))
        options = ["--ab", ab.spec(), "--ba", ba.spec(), "--seed", str(seed), *(["--fifo", "1"] if slow else [])]
        self._process = subprocess.Popen(
            [*enter, str(build()), *options, a, b],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        if self._answer() != "ready":
            self.stop()
            raise EmulatorError(f"linkemu did not start between {a} and {b}")

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def _ask(self, command: str) -> str:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(command + "\n")
            answer = self._answer()
        if not answer or answer.startswith("error"):
            raise EmulatorError(f"linkemu: {command}: {answer or 'it has ended'}")
        return answer

    @property
    def pid(self) -> int:
        """The emulator's process id."""
        return self._process.pid

    def conditions(self, direction: str) -> Conditions:
        """The present conditions from a to b (`ab`) or back (`ba`)."""
        return self._conditions[direction]

    def apply(self, direction: str, conditions: Conditions) -> None:
        """Sets the conditions of `ab` or `ba` from now on. Frames on the line keep their times."""
        self._ask(f"set {direction} {conditions.spec()}")
        self._conditions[direction] = conditions

    def stats(self) -> dict[str, Counters]:
        """The counters of `ab` and `ba`."""
        return {direction: Counters(**values) for direction, values in json.loads(self._ask("stats")).items()}

    def reset_stats(self) -> None:
        """Sets the counters to zero."""
        self._ask("reset")

    def stop(self) -> None:
        """Ends the emulator. It also ends by itself when this process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
