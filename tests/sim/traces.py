"""Rates that move: documented generators, and files in Mahimahi's format.

A trace is the rate in each of many equal intervals. Their figures are those of published measurements:

- LTE while driving (T-Mobile, Mahimahi's traces): mean 12.8 Mbit/s, 5 % 2.9, 95 % 30.5, gaps of 0.7 to 1.7 s.
- The middle half of the ratios of one second's rate to the last one's is 0.77 to 1.23 (CoNEXT'23, drives in the USA).
- Starlink down: 45, 218 and 395 Mbit/s (5, 50, 95 %); all links are given anew each 15 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .capacity import Steps

MAHIMAHI_BYTES = 1500
"""Bytes that may pass at an opportunity of a Mahimahi file."""
SLOT = 15.0
"""Seconds after which Starlink gives all links anew."""
PERIOD = 120.0
"""Seconds of a generated trace; then it begins anew."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Bytes per second in each interval, and seconds that the delay is longer from some times on."""

    interval: float
    rates: Sequence[float]
    shifts: Sequence[tuple[float, float]] = ((0.0, 0.0),)

    @property
    def period(self) -> float:
        """Seconds after which it begins anew."""
        return self.interval * len(self.rates)

    def capacity(self) -> Steps:
        """What a line with these rates can carry."""
        times = [number * self.interval for number in range(len(self.rates))]
        return Steps(times, self.rates, self.period)


def read_mahimahi(path: Path) -> Trace:
    """A file in which a line is the millisecond of an opportunity to send. It comes again after its last line.

    Raises ValueError if the lines are no rising numbers.
    """
    moments = [int(word) for word in path.read_text().split()]
    if not moments or moments != sorted(moments) or moments[0] < 0 or moments[-1] == 0:
        raise ValueError(f"{path}: no rising milliseconds")
    rates = [0.0] * moments[-1]
    for moment in moments:
        rates[max(0, moment - 1)] += MAHIMAHI_BYTES * 1000
    return Trace(0.001, rates)


def _wandering(random: Random, count: int, sigma: float, memory: float) -> list[float]:
    """Factors with a log-normal spread of `sigma` that forget themselves within `memory` steps; their mean is 1."""
    keep = math.exp(-1 / memory)
    fresh = sigma * math.sqrt(1 - keep * keep)
    value, out = random.gauss(0, sigma), list[float]()
    for _ in range(count):
        value = keep * value + fresh * random.gauss(0, 1)
        out.append(math.exp(value - sigma * sigma / 2))
    return out


def _still(random: Random, rates: list[float], interval: float, every: float, spans: tuple[float, float]) -> None:
    """Lets the line stand still, each `every` seconds on average, for a time within `spans`."""
    at = random.expovariate(1 / every)
    while at < len(rates) * interval:
        span = random.uniform(*spans)
        for index in range(int(at / interval), min(len(rates), int((at + span) / interval))):
            rates[index] = 0.0
        at += span + random.expovariate(1 / every)


def lte(mean: float, random: Random) -> Trace:
    """LTE while driving: intervals of 5 ms, a log-normal rate (0.7) that forgets itself in 8 s, fast fading, gaps."""
    interval = 0.005
    count = int(PERIOD / interval)
    slow = _wandering(random, count, 0.7, 8 / interval)
    fast = _wandering(random, count, 0.3, 0.02 / interval)
    rates = [mean * one * other for one, other in zip(slow, fast, strict=True)]
    _still(random, rates, interval, 40.0, (0.7, 1.7))
    return Trace(interval, _scaled(rates, mean))


def starlink(mean: float, random: Random) -> Trace:
    """Starlink: each 15 s another rate (log-normal, 0.4) and delay (up to 8 ms more), between them an outage often."""
    interval = 0.01
    within = _wandering(random, int(PERIOD / interval), 0.2, 1 / interval)
    slots = [min(math.exp(random.gauss(0, 0.4)), 2.0) for _ in range(int(PERIOD / SLOT))]
    per_slot = int(SLOT / interval)
    rates = [mean * slots[index // per_slot] * factor for index, factor in enumerate(within)]
    for begin in range(0, len(rates), per_slot):
        if random.random() < 0.5:
            for index in range(begin, begin + int(random.uniform(0.05, 0.2) / interval)):
                rates[index] = 0.0
    shifts = [(number * SLOT, random.uniform(0, 0.008)) for number in range(len(slots))]
    return Trace(interval, _scaled(rates, mean), shifts)


def wifi(mean: float, random: Random) -> Trace:
    """Wi-Fi: bursts of 2 ms, as stations take turns by chance; a neighbour takes half of them for 0.2 to 2 s."""
    interval = 0.002
    count = int(PERIOD / interval)
    quality = _wandering(random, count, 0.25, 3 / interval)
    busy, changes = False, 0.0
    rates = []
    for index, factor in enumerate(quality):
        if index * interval >= changes:
            busy = not busy
            changes = index * interval + (random.uniform(0.2, 2) if busy else random.expovariate(1 / 4))
        ours = random.random() < (0.4 if busy else 0.8)
        rates.append(mean * factor if ours else 0.0)
    return Trace(interval, _scaled(rates, mean))


def cable(mean: float, random: Random) -> Trace:
    """DOCSIS: grants each 2 ms at nearly the booked rate; neighbours take up to a third of it for some seconds."""
    interval = 0.002
    count = int(PERIOD / interval)
    rates, share, changes = [], 1.0, 0.0
    for index in range(count):
        if index * interval >= changes:
            share = 1.0 if random.random() < 0.6 else random.uniform(0.67, 1.0)
            changes = index * interval + random.expovariate(1 / 5)
        rates.append(mean * share * random.uniform(0.8, 1.2))
    return Trace(interval, _scaled(rates, mean))


def _scaled(rates: Sequence[float], mean: float) -> list[float]:
    factor = mean * len(rates) / sum(rates)
    return [rate * factor for rate in rates]


GENERATORS: Mapping[str, Callable[[float, Random], Trace]] = {
    "lte": lte,
    "starlink": starlink,
    "wifi": wifi,
    "cable": cable,
}
"""Each takes the mean rate in bytes per second. The same random numbers give the same trace."""
