"""Echo requests beside a load: ten small ones a second, each with the time of its sending."""

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
    """Monotonic seconds."""
    milliseconds: float
    number: int
    """Number of the request, from 1."""


class Pinger:
    """A ping(8) that runs on one host and asks an address of another."""

    def __init__(self, host: Host, address: str, log: Path) -> None:
        self._log = log
        # Seconds by which ping's stamps are ahead of the monotonic clock.
        self._ahead = time.time() - time.monotonic()
        with log.open("wb") as output:
            self._process: subprocess.Popen[bytes] = host.start(
                "ping", "-n", "-D", "-i", str(INTERVAL), "-s", "56", address, stdout=output, stderr=output
            )

    def stop(self) -> list[Answer]:
        """Ends ping; returns the answers in the order in which they came."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=10)
        found = _ANSWER.findall(self._log.read_text())
        return [
            Answer(float(at) - self._ahead - float(rtt) / 1e3, float(rtt), int(number)) for at, number, rtt in found
        ]


def within(answers: Sequence[Answer], begin: float, end: float) -> list[Answer]:
    """The answers to the requests that were sent between two times."""
    return [answer for answer in answers if begin <= answer.sent_at < end]


@dataclass(frozen=True, slots=True)
class Added:
    """The effect of a load on the round trip."""

    idle: float
    """ms; median without the load."""
    loaded: float
    """ms; mean under the load."""
    worst: float
    """ms; the worst round trip under the load."""
    lost: float
    """Share of the requests without an answer, among the requests between two answered ones under the load."""

    @property
    def mean(self) -> float:
        """The mean under the load less the median without it, ms."""
        return self.loaded - self.idle

    @classmethod
    def of(cls, answers: Sequence[Answer], idle: tuple[float, float], loaded: tuple[float, float]) -> Added:
        """From the answers between the times of `idle` and between the times of `loaded`; inf: there was no answer."""
        before, under = ([answer.milliseconds for answer in within(answers, *times)] for times in (idle, loaded))
        infinite = float("inf")
        numbers = {answer.number for answer in within(answers, *loaded)}
        return cls(
            statistics.median(before) if before else infinite,
            statistics.fmean(under) if under else infinite,
            max(under, default=infinite),
            1 - len(numbers) / (max(numbers) - min(numbers) + 1) if numbers else 1.0,
        )
