"""What a simulation shows, in figures of its measured time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.bench.bonding.profiles import goodput_of

from .capacity import Capacity
from .line import Course
from .scenario import Scenario
from .sparse import Sparse
from .world import Sample, World

MBIT = 125_000.0


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """One TCP flow."""

    name: str
    goodput: float
    """Mbit/s of payload to the application."""
    retransmitted: int
    undone: int
    """Losses that it found, and that were none; of the whole run."""
    longest_gap: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class LineFigures:
    """One line, to the client."""

    text: str
    offered: float
    """Mbit/s that the line could carry, as goodput of TCP in a tunnel."""
    carried: float
    """Mbit/s of frames that arrived."""
    overflow: int
    policed: int
    lost: int
    queue_ms: float
    """Mean time that a packet waits in its buffer."""
    under_way: int
    """Bytes in its buffer and on the line: mean."""
    most_under_way: int


@dataclass(frozen=True, slots=True)
class SparseFigures:
    """A sparse flow under the load; times are milliseconds."""

    idle: float
    """Median before the load."""
    median: float
    p95: float
    p99: float
    lost: int
    longest_gap: float
    """Seconds between two that came."""

    @property
    def added(self) -> float:
        """What the load adds to the median."""
        return self.median - self.idle


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one run."""

    flows: tuple[FlowFigures, ...]
    lines: tuple[LineFigures, ...]
    pings: SparseFigures
    stream: SparseFigures
    goodput: float
    """Mbit/s of all flows through the tunnel to the client; to the server, if there are none."""
    share_of_sum: float
    """Of what all lines offered."""
    share_of_better: float
    """Of what the better line offered alone."""
    dropped: int
    """Packets that the sessions dropped, of the whole run."""
    twice: int
    """Packets that were delivered twice."""

    def to_json(self) -> str:
        """A line for a file of results."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        ping, stream = self.pings, self.stream
        lines = [
            f"{self.goodput:.2f} Mbit/s: {self.share_of_sum:.3f} of the sum, "
            f"{self.share_of_better:.3f} of the better line",
            f"ping {ping.idle:.1f} ms idle, {ping.added:+.1f} median, {ping.p95 - ping.idle:+.1f} p95, "
            f"{ping.p99 - ping.idle:+.1f} p99, lost {ping.lost}; "
            f"stream lost {stream.lost}, longest gap {stream.longest_gap:.2f} s; "
            f"dropped by sessions {self.dropped}, delivered twice {self.twice}",
        ]
        lines += [
            f"  line {number}: {one.text}: offered {one.offered:.2f}, carried {one.carried:.2f} Mbit/s, "
            f"queue {one.queue_ms:.1f} ms, under way {one.under_way / 1000:.0f} kB, most "
            f"{one.most_under_way / 1000:.0f}, overflow {one.overflow}, policed {one.policed}, lost {one.lost}"
            for number, one in enumerate(self.lines, start=1)
        ]
        lines += [
            f"  flow {one.name}: {one.goodput:.2f} Mbit/s, again {one.retransmitted}, undone {one.undone}, "
            f"longest gap {one.longest_gap:.2f} s"
            for one in self.flows
        ]
        return "\n".join(lines)


def offered(course: Course, begin: float, end: float) -> float:
    """Mbit/s of frames that one direction could carry between two times, without what it loses at random."""
    capacity: Capacity = course.capacity
    rate = (capacity.work(end) - capacity.work(begin)) / (end - begin)
    polices = [step.police for _, step in course.steps if step.police]
    return min([rate, *polices]) / MBIT


def _sparse(flow: Sparse, begin: float, end: float) -> SparseFigures:
    idle = [took for at, took in flow.came if at < 0]
    under = [(at, took) for at, took in flow.came if begin <= at < end]
    took = sorted(one for _, one in under)
    moments = sorted(at + one for at, one in under)
    gaps = [later - earlier for earlier, later in zip([begin, *moments], [*moments, end], strict=True)]
    # What was sent within the last second may still be under way.
    came = {at for at, _ in flow.came}
    lost = sum(1 for at in flow.sent if begin <= at < end - 1 and at not in came)
    return SparseFigures(
        statistics.median(idle) * 1e3 if idle else float("nan"),
        _quantile(took, 0.5) * 1e3,
        _quantile(took, 0.95) * 1e3,
        _quantile(took, 0.99) * 1e3,
        lost,
        max(gaps),
    )


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("inf")


def of(world: World) -> Figures:
    """The figures of a world that has run."""
    scenario = world.scenario
    begin, end = scenario.warmup, scenario.end
    within = [sample for sample in world.samples if begin - 1e-6 <= sample.at]
    first, last = within[0], within[-1]
    flows = _flows(world, first, last)
    inside = [(one, flow) for one, flow in zip(flows, scenario.flows, strict=True) if flow.outside is None]
    up = bool(inside) and all(flow.up for _, flow in inside)
    goodput = sum(one.goodput for one, flow in inside if flow.up == up)
    could = [goodput_of(offered(courses[up], begin, end)) for courses in world.courses]
    return Figures(
        flows=flows,
        lines=_lines(world, scenario, within, up=up),
        pings=_sparse(world.pings, begin, end),
        stream=_sparse(world.stream, begin, end),
        goodput=goodput,
        share_of_sum=goodput / sum(could),
        share_of_better=goodput / max(could),
        dropped=world.server.drops + world.client.drops,
        twice=world.server_host.twice + world.client_host.twice,
    )


def _flows(world: World, first: Sample, last: Sample) -> tuple[FlowFigures, ...]:
    span = last.at - first.at
    return tuple(
        FlowFigures(
            str(one.flow),
            (last.delivered[number] - first.delivered[number]) / span / MBIT,
            last.retransmitted[number] - first.retransmitted[number],
            one.sender.undone,
            one.receiver.gap(),
        )
        for number, one in enumerate(world.flows)
    )


def _lines(world: World, scenario: Scenario, within: Sequence[Sample], *, up: bool) -> tuple[LineFigures, ...]:
    first, last = within[0], within[-1]
    out = []
    for number, (text, courses) in enumerate(zip(scenario.lines, world.courses, strict=True)):
        samples = [sample.lines[number][up] for sample in within]
        before, after = first.lines[number][up].counts, last.lines[number][up].counts
        under_way = [sample.under_way for sample in samples]
        queue = statistics.fmean(sample.queued for sample in samples) / courses[up].capacity.mean
        out.append(
            LineFigures(
                text,
                goodput_of(offered(courses[up], first.at, last.at)),
                (after.bytes - before.bytes) / (last.at - first.at) / MBIT,
                after.overflow - before.overflow,
                after.policed - before.policed,
                after.lost - before.lost,
                queue * 1e3,
                round(statistics.fmean(under_way)),
                max(under_way),
            )
        )
    return tuple(out)
