"""Finds when a line that was dead carries its full share again, from its counter over time."""

from __future__ import annotations

from collections.abc import Sequence

FULL = 0.9
"""Share of what the line carried before it died. It counts as the full share of a load that finds its speed itself."""
WINDOW = 1.0
"""Seconds over which the line must carry this share."""

Series = Sequence[tuple[float, float]]
"""Times in seconds, and the bytes that the line had carried at each."""


def at(series: Series, when: float) -> float:
    """The counter at `when`: between samples in proportion; constant before the first and after the last."""
    before = series[0]
    for sample in series:
        if sample[0] >= when:
            span = sample[0] - before[0]
            share = (when - before[0]) / span if span > 0 else 1.0
            return before[1] + max(share, 0.0) * (sample[1] - before[1])
        before = sample
    return before[1]


def back_after(series: Series, died_at: float, back_at: float) -> float:
    """Seconds from `back_at` to the begin of a window in which the line carries FULL of its earlier rate; inf: none."""
    first, last = series[0][0], series[-1][0]
    before = (at(series, died_at) - series[0][1]) / max(died_at - first, 1e-9)
    for when, _ in series:
        if when < back_at or when + WINDOW > last:
            continue
        if at(series, when + WINDOW) - at(series, when) >= FULL * before * WINDOW:
            return when - back_at
    return float("inf")
