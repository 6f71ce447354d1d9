"""The plot of a run. Only this module needs matplotlib, and only when it draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.bonding.plots import BIN, DPI

from .figures import MBIT, offered
from .world import World


def _rates(times: Sequence[float], counts: Sequence[int]) -> tuple[list[float], list[float]]:
    """Ends of steps of `BIN` seconds, and the Mbit/s in each."""
    ends, rates, before = list[float](), list[float](), 0
    for index in range(1, len(times)):
        if times[index] - times[before] >= BIN - 0.01:
            ends.append(times[index])
            rates.append((counts[index] - counts[before]) / (times[index] - times[before]) / MBIT)
            before = index
    return ends, rates


def draw(world: World, path: Path, title: str) -> None:
    """Draws what each line could carry and carried, what each flow got, queues, and echo requests over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, (lines, flows, queues, pings) = pyplot.subplots(4, 1, figsize=(11, 13), sharex=True, layout="constrained")
    _draw_lines(lines, world)
    _draw_flows(flows, world)
    _draw_queues(queues, world)
    _draw_pings(pings, world)
    for axes in (lines, flows, queues, pings):
        axes.axvline(world.scenario.warmup, color="black", linewidth=0.8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper right")
    pings.set_xlabel("s of load; the measured time begins at the black line")
    picture.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, dpi=DPI, metadata={"Software": None})
    pyplot.close(picture)


def _up(world: World) -> bool:
    flows = world.scenario.flows
    return bool(flows) and all(flow.up for flow in flows)


def _draw_lines(axes: Any, world: World) -> None:
    up, times = _up(world), [sample.at for sample in world.samples]
    for number, courses in enumerate(world.courses):
        counts = [sample.lines[number][up].counts.bytes for sample in world.samples]
        ends, rates = _rates(times, counts)
        (drawn,) = axes.plot(ends, rates, label=f"line {number + 1} carries")
        could = [offered(courses[up], end - BIN, end) for end in ends]
        axes.plot(ends, could, linestyle=":", color=drawn.get_color(), label=f"line {number + 1} offers")
    axes.set_ylabel("Mbit/s of frames")


def _draw_flows(axes: Any, world: World) -> None:
    times = [sample.at for sample in world.samples]
    for number, one in enumerate(world.flows):
        ends, rates = _rates(times, [sample.delivered[number] for sample in world.samples])
        axes.plot(ends, rates, label=f"{number + 1}: {one.flow}")
    axes.set_ylabel("Mbit/s to the application")


def _draw_queues(axes: Any, world: World) -> None:
    up, times = _up(world), [sample.at for sample in world.samples]
    for number, courses in enumerate(world.courses):
        mean = courses[up].capacity.mean
        waits = [sample.lines[number][up].queued / mean * 1e3 for sample in world.samples]
        (drawn,) = axes.plot(times, waits, label=f"line {number + 1}: queue")
        way = [sample.lines[number][up].under_way / mean * 1e3 for sample in world.samples]
        axes.plot(times, way, linestyle=":", color=drawn.get_color(), label=f"line {number + 1}: under way")
    axes.set_ylabel("ms at the line's mean rate")


def _draw_pings(axes: Any, world: World) -> None:
    for flow, label in ((world.pings, "echo, both ways"), (world.stream, "stream, one way")):
        axes.plot([at for at, _ in flow.came], [took * 1e3 for _, took in flow.came], ".", markersize=3, label=label)
    axes.set_ylabel("ms")
