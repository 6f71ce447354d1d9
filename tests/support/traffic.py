"""Starts `transfer.py` on two hosts of a lab and reads its reports; also runs ping."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .lab import Host, LabError
from .noise import Stopwatch
from .transfer import TcpResult, UdpResult

_TRANSFER = (sys.executable, "-m", "tests.support.transfer")
_SPARE = 10.0
"""Seconds that programs may take to start and end, besides their work."""


class _Reports:
    """The JSON lines that a program writes, as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self._descriptor = process.stdout.fileno()
        self._pending = b""
        self.ended = False

    def lines(self, until: float) -> Iterator[dict[str, Any]]:
        """The lines that come before the monotonic time `until`, or before the end of the output."""
        while not self.ended and (wait := until - time.monotonic()) > 0:
            if not select.select([self._descriptor], [], [], wait)[0]:
                return
            data = os.read(self._descriptor, 65536)
            self.ended = not data
            *complete, self._pending = (self._pending + data).split(b"\n")
            for line in complete:
                yield json.loads(line)

    def first(self, until: float) -> dict[str, Any]:
        """The next line; LabError if none comes."""
        for line in self.lines(until):
            return line
        raise LabError(f"no report from process {self._process.pid}: {self._process.args!r}")


class _Traffic:
    """A working receiver and sender."""

    def __init__(self, sender: Host, receiver: Host, receive: list[str], send: list[str], port_at: int) -> None:
        """`port_at` is the place for the receiver's port in the words of `send`."""
        self._receiver = receiver.start(*_TRANSFER, *receive, stdout=subprocess.PIPE)
        self._reports = _Reports(self._receiver)
        port = self._reports.first(time.monotonic() + _SPARE)["port"]
        send = [*send[:port_at], str(port), *send[port_at:]]
        self._sender = sender.start(*_TRANSFER, *send, stdout=subprocess.DEVNULL)

    def _finish(self) -> None:
        for process in (self._sender, self._receiver):
            try:
                process.wait(timeout=_SPARE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class TcpTransfer(_Traffic):
    """A running TCP transfer. The receiver verifies every byte."""

    def __init__(
        self,
        sender: Host,
        receiver: Host,
        address: str,
        *,
        seconds: float = 5.0,
        size: int | None = None,
        congestion: str = "cubic",
        seed: int = 1,
        patience: float = 15.0,
        settle: float = 0.0,
    ) -> None:
        """Sends from `sender` to `address` of `receiver`: `size` bytes, or for `seconds`.

        `congestion` is a TCP congestion control. The default is that of a fresh Debian, so that this machine's setting
        has no effect. The transfer fails after `patience` seconds without a byte. Its settled goodput leaves out the
        first `settle` seconds.
        """
        common = ["--seed", str(seed), "--patience", str(patience)]
        amount = ["--seconds", str(seconds)] if size is None else ["--bytes", str(size)]
        super().__init__(
            sender,
            receiver,
            ["tcp-receive", address, *common, "--settle", str(settle)],
            ["tcp-send", address, *common, *amount, "--congestion", congestion],
            port_at=2,
        )
        self._progress = (0.0, 0)
        self._result: TcpResult | None = None

    def watch(self, seconds: float) -> Iterator[tuple[float, int]]:
        """Yields the receiver's reports for at most `seconds`: seconds since the first byte, and bytes so far."""
        for line in self._reports.lines(time.monotonic() + seconds):
            if "at" in line:
                yield line["at"], line["bytes"]
            else:
                self._result = TcpResult(**line)

    def wait(self, timeout: float = 60.0) -> TcpResult:
        """Waits for the end; LabError if it does not come in time."""
        for _ in self.watch(timeout):
            pass
        self._finish()
        if self._result is None:
            raise LabError(f"the transfer did not end within {timeout} s")
        return self._result


class UdpStream(_Traffic):
    """A running stream of numbered datagrams."""

    def __init__(
        self, sender: Host, receiver: Host, address: str, *, seconds: float, rate: float = 50.0, size: int = 200
    ) -> None:
        """Sends from `sender` to `address` of `receiver`: `rate` datagrams a second of `size` bytes."""
        count = round(seconds * rate)
        self._wait = seconds + _SPARE
        receive = ["udp-receive", address, "--count", str(count), "--seconds", str(seconds + 3.0)]
        send = ["udp-send", address, "--count", str(count), "--rate", str(rate), "--size", str(size)]
        super().__init__(sender, receiver, receive, send, port_at=2)

    def wait(self) -> UdpResult:
        """Waits for the end: all datagrams came, or three seconds have passed after the time that they needed."""
        result = self._reports.first(time.monotonic() + self._wait)
        self._finish()
        return UdpResult(**result)


@dataclass(frozen=True, slots=True)
class PingResult:
    """The number of answered echo requests, and their round-trip times in ms (0 if there was no answer)."""

    sent: int
    received: int
    minimum: float
    average: float
    maximum: float


def ping(
    host: Host, address: str, *, source: str = "", count: int = 5, interval: float = 0.05, size: int = 56
) -> PingResult:
    """Sends `count` echo requests from the address `source`, and waits 2 s for the answer to each.

    It is not iputils' ping, which waits too short for the last answers: twice the longest round trip before them.
    """
    words = ["fping", "-q", "-c", str(count), "-p", str(round(interval * 1000)), "-t", "2000", "-b", str(size)]
    words += [*(["-S", source] if source else []), address]
    # The program reports on standard error.
    text = host.run("sh", "-c", 'exec "$@" 2>&1', "sh", *words, check=False, timeout=count * interval + _SPARE)
    counts = re.search(r"= (\d+)/(\d+)/", text)
    if counts is None:
        raise LabError(f"fping {address} on {host.name} says: {text or 'nothing'}")
    times = re.search(r"max = ([\d.]+)/([\d.]+)/([\d.]+)", text)
    minimum, average, maximum = (float(value) for value in times.groups()) if times else (0.0, 0.0, 0.0)
    return PingResult(int(counts[1]), int(counts[2]), minimum, average, maximum)


def wait_for_answer(host: Host, address: str, timeout: float, *, source: str = "") -> float:
    """Sends echo requests until one is answered, from `source` if given; LabError after `timeout` seconds of our own.

    Returns the seconds until then, without those that the machine's other work took.
    """
    words = ["ping", "-n", "-c", "1", "-W", "0.2", *(["-I", source] if source else []), address]
    watch = Stopwatch()
    while (taken := watch.own) < timeout:
        if host.run(*words, check=False).count(" 1 received"):
            return taken
    raise LabError(f"{address} does not answer {host.name} within {timeout} s")
