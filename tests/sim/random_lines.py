"""Random sets of lines, each from its seed: what a person may have at home, on a boat, or in a train."""

from __future__ import annotations

import math
from random import Random

from .scenario import Flow, Scenario, parse_flows
from .traces import GENERATORS

LEAST_LINES, MOST_LINES = 2, 4
LOADS = ("cubic", "8xcubic", "bbr", "4xcubic,2xbbr")


def _between(random: Random, least: float, most: float) -> float:
    """A number of which each doubling between the two is as likely."""
    return math.exp(random.uniform(math.log(least), math.log(most)))


def random_line(random: Random, fastest: float) -> str:
    """A line of 1 Mbit/s to `fastest`, 3 to 300 ms, 20 ms to 1 s of buffer; half of them lose, jitter, or move."""
    rate, delay = _between(random, 1, fastest), _between(random, 3, 300)
    words = [f"{rate:.3g}mbit", f"{delay:.3g}ms", f"queue={_between(random, 20, 1000):.0f}ms"]
    if random.random() < 0.3:
        words.append(f"loss={_between(random, 0.01, 3):.2g}%")
    if random.random() < 0.3:
        words.append(f"jitter={_between(random, 0.5, max(0.6, delay / 3)):.2g}ms")
        words += ["reorder"] * (random.random() < 0.2)
    kind = random.random()
    if kind < 0.2:
        words.append(f"trace={random.choice(tuple(GENERATORS))}")
    elif kind < 0.27:
        words.append(f"police={rate * random.uniform(0.3, 0.8):.3g}mbit")
    text = ",".join(words)
    if 0.27 <= kind < 0.42:
        span = _between(random, 2, 12)
        text += (
            f"@{span:.2g}s:{rate * random.choice((0.0, 0.2, 0.5)):.3g}mbit,loop={span * random.uniform(1.2, 2):.3g}s"
        )
    return text


def random_scenario(seed: int, *, fastest: float, seconds: float, warmup: float, flows: str | None = None) -> Scenario:
    """The lines and the load of a seed. `flows`: None for a load by chance."""
    random = Random(f"lines {seed}")
    count = random.choice((LEAST_LINES, LEAST_LINES, LEAST_LINES + 1, MOST_LINES))
    lines = tuple(random_line(random, fastest) for _ in range(count))
    chosen = random.choice(LOADS)
    load: tuple[Flow, ...] = parse_flows(flows if flows is not None else chosen)
    return Scenario(lines, load, seconds=seconds, warmup=warmup, seed=seed)
