"""Echo requests beside a load: ten a second, small, each with the time at which it was sent."""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.lab import Host

INTERVAL = 0.1
_ANSWER = re.compile(r"^\[([\d.]+)\] .*icmp_seq=(\d+) .*time=([\d.]+) ms", re.M)


@dataclass(frozen=True, slots=True)
class Answer:
    """An echo request that was answered."""

    sent_at: float
    """Monotonic."""
    milliseconds: float
    number: int
    """Of the request, from 1."""


class Pinger:
    """ping(8) at work from one host to an address of another."""

    def __init__(self, host: Host, address: str, log: Path) -> None:
        self._log = log
        # What ping's stamps are ahead of the monotonic clock.
        self._ahead = time.time() - time.monotonic()
        with log.open("wb") as output:
            self._process: subprocess.Popen[bytes] = host.start(
                "ping", "-n", "-D", "-i", str(INTERVAL), "-s", "56", address, stdout=output, stderr=output
            )

    def stop(self) -> list[Answer]:
        """Ends it; the answers that have come, in that order."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=10)
        found = _ANSWER.findall(self._log.read_text())
        return [
            Answer(float(at) - self._ahead - float(rtt) / 1e3, float(rtt), int(number)) for at, number, rtt in found
        ]


def within(answers: Sequence[Answer], begin: float, end: float) -> list[Answer]:
    """Those to the requests that were sent between two times."""
    return [answer for answer in answers if begin <= answer.sent_at < end]


@dataclass(frozen=True, slots=True)
class Added:
    """What a load added to the round trip."""

    idle: float
    """Median without the load, ms."""
    loaded: float
    """Mean under the load, ms."""
    worst: float
    """ms."""
    lost: float
    """Share of the requests between two answered ones under the load that was not answered itself."""

    @property
    def mean(self) -> float:
        """Mean under the load less the median without it, ms."""
        return self.loaded - self.idle

    @classmethod
    def of(cls, answers: Sequence[Answer], idle: tuple[float, float], loaded: tuple[float, float]) -> Added:
        """From what was measured between the times of `idle` and those of `loaded`; inf: there was no answer."""
        before, under = ([answer.milliseconds for answer in within(answers, *times)] for times in (idle, loaded))
        infinite = float("inf")
        numbers = {answer.number for answer in within(answers, *loaded)}
        return cls(
            statistics.median(before) if before else infinite,
            statistics.fmean(under) if under else infinite,
            max(under, default=infinite),
            1 - len(numbers) / (max(numbers) - min(numbers) + 1) if numbers else 1.0,
        )
