"""The line emulator `linkemu.c`: built once, started on two interfaces, told what to do with the frames."""

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
"""Below this rate an emulator runs under SCHED_FIFO: sure to leave the machine to others, and on time."""


class EmulatorError(Exception):
    """The emulator could not be built, did not start, or refused a command."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """One direction of a line."""

    rate: float = 0
    """Mbit/s of Ethernet frames; 0: unlimited. Beside a trace it is only what others take the line for."""
    delay: float = 0
    """Milliseconds, one way."""
    jitter: float = 0
    """The delay varies by up to so many milliseconds either way."""
    order: bool = True
    """Frames keep their order under jitter; False: each has a delay of its own and may overtake others."""
    loss: float = 0
    """Share of frames lost, 0 to 1, each for itself; so too the shares below."""
    queue: float = 100
    """Milliseconds of traffic that may wait for the rate; what comes on top is dropped."""
    reorder: float = 0
    """Share of frames that skip the delay."""
    duplicate: float = 0
    corrupt: float = 0
    """Share of frames with a bit flipped, past the Ethernet header."""
    burst_in: float = 0
    """Bursty loss: chance of a frame to begin a time in which all is lost …"""
    burst_out: float = 1
    """… and to end it."""
    up: bool = True
    """False: nothing passes, and what is on the way is lost; the carrier stays."""
    trace: Path | None = None
    """A file that the rate follows, as `write_trace` makes it."""

    def spec(self) -> str:
        """As linkemu reads it."""
        values = {field.name: float(getattr(self, field.name)) for field in fields(self) if field.name != "trace"}
        values["rate"] *= 1e6
        for name in ("delay", "jitter", "queue"):
            values[name] *= 1e3
        return ",".join([*(f"{name}={value:.9g}" for name, value in values.items()), f"trace={self.trace or ''}"])


def write_trace(path: Path, steps: Iterable[tuple[float, float]]) -> Path:
    """A trace of milliseconds and the Mbit/s in them; after the last step comes the first again."""
    path.write_text("".join(f"{milliseconds:g} {rate * 1e6:.9g}\n" for milliseconds, rate in steps))
    return path


@dataclass(frozen=True, slots=True)
class Counters:
    """What one direction of a line has seen, in frames unless it says bytes or us."""

    rx: int
    rx_bytes: int
    tx: int
    tx_bytes: int
    lost: int
    overflow: int
    """Dropped before the rate: the queue was full."""
    down: int
    """Met a dead line."""
    reordered: int
    duplicated: int
    corrupted: int
    oversize: int
    """Longer than the MTU: an offload is on at the far end."""
    kernel_drops: int
    """The emulator itself was too slow."""
    send_errors: int
    on_line: int
    queue_us: int
    late_max_us: int
    late_mean_us: int
    late_p99_us: int
    """One frame of a hundred was sent later than that after it was due."""


def build() -> Path:
    """The emulator's binary, compiled unless that was done for this source before."""
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
        """`enter` are the words that run a program in the namespace. Returns when frames pass."""
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
        """Its process."""
        return self._process.pid

    def conditions(self, direction: str) -> Conditions:
        """What holds now, from a to b (`ab`) or back (`ba`)."""
        return self._conditions[direction]

    def apply(self, direction: str, conditions: Conditions) -> None:
        """From now on these hold for `ab` or `ba`; frames on the line keep their times."""
        self._ask(f"set {direction} {conditions.spec()}")
        self._conditions[direction] = conditions

    def stats(self) -> dict[str, Counters]:
        """The counters of `ab` and `ba`."""
        return {direction: Counters(**values) for direction, values in json.loads(self._ask("stats")).items()}

    def reset_stats(self) -> None:
        """Sets the counters to zero."""
        self._ask("reset")

    def stop(self) -> None:
        """Ends the emulator; it also ends by itself when this process is gone."""
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
