"""The plots of the report. Only this module needs matplotlib, and only when it draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .judge import CONGESTIONS, FLOWS
from .outcome import MLVPND, Outcome
from .profiles import PROFILES, Base, Profile
from .results import Figure, Results, several

THROUGHPUT, PING, SHARES = "bonding-throughput.png", "bonding-ping.png", "bonding-shares.png"
TITLES: Mapping[str, str] = {
    THROUGHPUT: "Throughput as a share of the sum of the lines",
    PING: "Milliseconds that the load adds to a ping",
    SHARES: "What each line carries over time",
}
BIN = 0.5
"""Seconds of one step in the plot over time."""
_BARS = [(congestion, flows) for congestion in CONGESTIONS for flows in FLOWS]
_COLOURS = dict(zip(_BARS, ("#1f5fa8", "#7fb2e5", "#b5551c", "#f0a878"), strict=True))
_WIDTH = 0.2
DPI = 110


def shares_over_time(outcome: Outcome) -> tuple[list[float], list[list[float]]]:
    """Ends of the steps in seconds from the measurement's begin, and the Mbit/s of each line in each step."""
    samples: Sequence[tuple[float, Sequence[int]]] = outcome.series.get("lines", ())
    times: list[float] = []
    rates: list[list[float]] = [[] for _ in outcome.lines]
    if not samples:
        return times, rates
    start, (before_at, before) = samples[0][0], samples[0]
    for at, counts in samples[1:]:
        if at - before_at < BIN - 0.01:
            continue
        times.append(at - start)
        for rate, count, count_before in zip(rates, counts, before, strict=True):
            rate.append((count - count_before) * 8 / (at - before_at) / 1e6)
        before_at, before = at, counts
    return times, rates


def draw(results: Results, directory: Path) -> None:
    """Draws all plots into files of `directory`; a run that was not made leaves a gap."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    profiles = {name: profile for name, profile in PROFILES.items() if profile.outage is None}
    for name, figure, label in (
        (THROUGHPUT, lambda outcome: outcome.share_of_sum, "share of the sum"),
        (PING, lambda outcome: outcome.ping_added, "ms added"),
    ):
        picture, axes = pyplot.subplots(figsize=(11, 4.5), layout="constrained")
        _bars(axes, results, profiles, figure)
        (_throughput_marks if name == THROUGHPUT else _ping_marks)(axes, profiles)
        axes.set_xticks(range(len(profiles)), list(profiles))
        axes.set_ylabel(label)
        axes.set_title(TITLES[name])
        axes.legend(fontsize=8, ncols=3)
        axes.grid(axis="y", alpha=0.3)
        picture.savefig(directory / name, dpi=DPI, metadata={"Software": None})
        pyplot.close(picture)
    picture, grid = pyplot.subplots(5, 2, figsize=(11, 14), layout="constrained")
    for axes, profile in zip(grid.flat, PROFILES, strict=True):
        _shares(axes, results, profile)
    picture.suptitle(TITLES[SHARES] + ", Mbit/s of frames")
    picture.savefig(directory / SHARES, dpi=DPI, metadata={"Software": None})
    pyplot.close(picture)


def _bars(axes: Any, results: Results, profiles: Mapping[str, Profile], figure: Figure) -> None:
    for number, (congestion, flows) in enumerate(_BARS):
        places, heights, errors = [], [], []
        for place, (name, profile) in enumerate(profiles.items()):
            found = several(results.find(name, congestion, flows, profile.numbers, MLVPND), figure)
            # Without any answer the ping is infinite and gets no bar.
            if found is not None and math.isfinite(found.highest):
                places.append(place + (number - 1.5) * _WIDTH)
                heights.append(found.median)
                errors.append((found.median - found.lowest, found.highest - found.median))
        label = f"{congestion}, {flows} flow{'s' * (flows > 1)}"
        spread = [list(side) for side in zip(*errors, strict=True)] if errors else None
        axes.bar(places, heights, _WIDTH, yerr=spread, capsize=2, label=label, color=_COLOURS[congestion, flows])


def _marks(axes: Any, points: Sequence[tuple[float, float]], marker: str, label: str) -> None:
    places, heights = zip(*points, strict=True)
    axes.scatter(places, heights, marker=marker, s=90 if marker == "_" else 22, color="black", label=label, zorder=3)


def _throughput_marks(axes: Any, profiles: Mapping[str, Profile]) -> None:
    limits, quoted = [], []
    for place, profile in enumerate(profiles.values()):
        for number, (congestion, flows) in enumerate(_BARS):
            x = place + (number - 1.5) * _WIDTH
            limit = profile.limit(congestion, flows)
            if limit.base is Base.SUM:
                limits.append((x, limit.share))
            figure = profile.upstream.get((congestion, flows))
            if figure is not None:
                # A share of the first line's rate is drawn as a share of the sum.
                scale = 1.0 if profile.upstream_base is Base.SUM else profile.lines[0].rate / profile.total_rate
                quoted.append((x, figure * scale))
    _marks(axes, limits, "_", "asked, of the sum")
    _marks(axes, quoted, "x", "C MLVPN, quoted")


def _ping_marks(axes: Any, profiles: Mapping[str, Profile]) -> None:
    limits, quoted = [], []
    for place, profile in enumerate(profiles.values()):
        limits += [(place + (number - 1.5) * _WIDTH, profile.ping_limit) for number in range(len(_BARS))]
        for number, congestion in enumerate(CONGESTIONS):
            if congestion in profile.upstream_ping:
                quoted.append((place + (2 * number - 1) * _WIDTH, profile.upstream_ping[congestion]))
    _marks(axes, limits, "_", "allowed")
    _marks(axes, quoted, "x", "C MLVPN, quoted")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(bottom=0)


def _shares(axes: Any, results: Results, name: str) -> None:
    profile = PROFILES[name]
    order = [_BARS[-1]] if profile.outage is not None else _BARS
    for congestion, flows in order:
        outcomes = results.find(name, congestion, flows, profile.numbers, MLVPND)
        if not outcomes:
            continue
        outcome = outcomes[0]
        times, rates = shares_over_time(outcome)
        axes.stackplot(times, *rates, labels=[f"line {number}" for number in profile.numbers], alpha=0.85)
        axes.axhline(profile.total_rate, color="black", linewidth=0.8, linestyle=":")
        if profile.outage is not None:
            for share in (profile.outage.begin, profile.outage.end):
                axes.axvline(share * outcome.cell.seconds, color="black", linewidth=0.8)
        axes.set_title(f"{name}: {congestion}, {flows} flow{'s' * (flows > 1)}, seed {outcome.cell.seed}", fontsize=9)
        axes.set_xlabel("s", fontsize=8)
        axes.legend(fontsize=7, loc="lower right")
        return
    axes.set_title(f"{name}: not run", fontsize=9)
    axes.set_axis_off()
