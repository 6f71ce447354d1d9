"""A program on its own terminal, and the contents of the terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

LIMIT = 15.0
"""Seconds within which anything must appear, and the program must end."""


class Terminal:
    """A context manager: 80x24 at first. At the end the program is killed if it still runs."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self._argv = argv
        self._environment = {**environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self._directory = directory
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self.output = bytearray()
        """All output of the program."""

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        self._set_size(80, 24)
        self._process = subprocess.Popen(
            self._argv,
            env=self._environment,
            cwd=self._directory,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """The visible lines."""
        self._read()
        return [line.rstrip() for line in self._screen.display]

    async def until(self, text: str) -> None:
        """Returns as soon as the screen shows `text`; AssertionError if it does not in time."""
        end_at = time.monotonic() + LIMIT
        while text not in "\n".join(self.lines):
            assert time.monotonic() < end_at, f"no {text!r} on the screen:\n" + "\n".join(self.lines)
            await asyncio.sleep(0.02)

    def type(self, keys: str) -> None:
        """Types like a keyboard."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Resizes like a window."""
        self._read()
        self._screen.resize(rows, columns)
        self._set_size(columns, rows)
        os.kill(self._process.pid, signal.SIGWINCH)

    async def wait(self) -> int:
        """Waits for the end; returns the program's exit code."""
        end_at = time.monotonic() + LIMIT
        while self._process.poll() is None:
            assert time.monotonic() < end_at, "the program does not end"
            self._read()
            await asyncio.sleep(0.02)
        self._read()
        return self._process.returncode

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self.output += data
                self._stream.feed(data)
        except BlockingIOError:
            pass
        except OSError:  # EIO: nobody has the other end open
            pass
