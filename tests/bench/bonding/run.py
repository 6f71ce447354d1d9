"""One run: some lines of a profile, a tunnel over them, flows through the tunnel, and the outcome."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tests.support.lab import Direction, Lab
from tests.support.linkemu import Counters
from tests.support.traffic import UdpStream
from tests.support.tunnels import TunnelSpec, link_name

from .echo import Added, Pinger
from .flows import Flows
from .machine import Meter
from .outcome import RAW, STRIPER, Cell, LineUse, Outcome, Recovery
from .profiles import INNER_MTU, PROFILES, Profile, goodput_of, raw_goodput_of
from .recovery import back_after
from .ways import Bonded, Raw, Striped, Way

SETTLE = 1.0
"""Seconds in which a new tunnel measures its links, before the bench measures anything."""
SAMPLE_INTERVAL = 0.25
REORDER_BUFFER = 1024
SOCKET_BUFFER = 64 << 20
"""Bytes that TCP may use at most: so no buffer limits a flow over 600 ms."""
STREAM_RATE = 50.0
"""Packets a second of the stream that shows the effect of an outage on small packets."""

Event = tuple[float, Callable[[], None]]
"""A monotonic time, and the action at this time."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Differences from the bench's own configuration, for a developer's trials."""

    general: Mapping[str, object] = field(default_factory=dict)
    links: Mapping[str, object] = field(default_factory=dict)
    """Keys of every link."""
    keep_log: bool = False
    """Shows the daemons' logs after a run."""
    idle_seconds: float = 2.5
    """Seconds of echo requests without load, before the load."""
    tries: int = 3
    """Runs of one cell at most, until the machine is quiet."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters of each line towards the receiver, at one time."""

    at: float
    counters: tuple[Counters, ...]


class Bench:
    """The lines of a profile, up, for any number of runs."""

    def __init__(self, profile: str, seed: int, setting: Setting) -> None:
        self.name = profile
        self.profile: Profile = PROFILES[profile]
        self.lab = Lab(self.profile.lines, seed=seed)
        self._setting = setting
        self._runs = 0

    @contextlib.contextmanager
    def up(self) -> Iterator[Bench]:
        """Inside, the lines exist."""
        with self.lab:
            for host in (self.lab.client, self.lab.server):
                for name in ("rmem", "wmem"):
                    host.run("sysctl", "-q", "-w", f"net.ipv4.tcp_{name}=4096 131072 {SOCKET_BUFFER}")
            yield self

    def way(self, cell: Cell) -> Way:
        """The way for the flows of a cell, up."""
        if cell.peer == RAW:
            return Raw(self.lab, *cell.lines)
        return (Striped if cell.peer == STRIPER else Bonded)(self.lab, self._spec(cell.lines))

    def _spec(self, lines: Sequence[int]) -> TunnelSpec:
        general: dict[str, object] = {"mtu": INNER_MTU, "reorder_buffer_size": REORDER_BUFFER}
        if self.profile.loss_tolerance is not None:
            general["loss_tolerance"] = self.profile.loss_tolerance
        links = {link_name(number): self._setting.links for number in lines}
        return TunnelSpec(general=general | dict(self._setting.general), links=links, lines=lines)

    def computed(self, cell: Cell) -> float:
        """The computed goodput in Mbit/s, the base of an outcome's share."""
        lines = [self.profile.lines[number - 1] for number in cell.lines]
        if cell.peer == RAW:
            return sum(map(raw_goodput_of, lines))
        return goodput_of(sum(line.rate for line in lines))

    def sample(self, lines: Sequence[int]) -> Sample:
        """The counters of these lines now."""
        counters = tuple(self.lab.line(number).stats()[Direction.TO_CLIENT] for number in lines)
        return Sample(time.monotonic(), counters)

    def run(self, cell: Cell) -> Outcome:
        """One run. It is repeated while the machine is not quiet, and then the least disturbed run counts."""
        outcomes = []
        for count in range(1, self._setting.tries + 1):
            outcomes.append(replace(self._run(cell), tries=count))
            if outcomes[-1].quiet:
                return outcomes[-1]
        return max(outcomes, key=lambda outcome: (outcome.idle, -outcome.late_p99_us))

    def _run(self, cell: Cell) -> Outcome:
        way = self.way(cell)
        time.sleep(SETTLE)
        self._runs += 1
        pinger = Pinger(self.lab.client, way.server, self.lab.directory / f"ping{self._runs}")
        begin = time.monotonic()
        time.sleep(self._setting.idle_seconds)
        loaded_from = time.monotonic()
        seconds = cell.warmup + cell.seconds + SAMPLE_INTERVAL
        hosts = (self.lab.server, self.lab.client, way.client)
        flows = Flows(*hosts, flows=cell.flows, seconds=seconds, congestion=cell.congestion)
        stream = UdpStream(*hosts, seconds=seconds, rate=STREAM_RATE) if self._has_outage(cell) else None
        samples = self._watch(cell.lines, time.monotonic() + cell.warmup)
        # Warm-up and measurement are sampled apart: the measurement lies between two samples.
        for number in cell.lines:
            self.lab.line(number).reset_stats()
        pids = {**way.pids(), "sender": flows.sender.pid, "receiver": flows.receiver.pid}
        meter = Meter(pids | {f"line{number}": self.lab.line(number).pid for number in cell.lines})
        measured = [self.sample(cell.lines)]
        start = measured[0].at
        measured += self._watch(cell.lines, start + cell.seconds, self._events(cell, start))
        idle, stolen, cpu = meter.read()
        late = max(counters.late_p99_us for number in cell.lines for counters in self.lab.line(number).stats().values())
        received, again = flows.wait()
        answers = pinger.stop()
        outage = None if stream is None else self._recovery(cell, stream, measured)
        way.stop()
        if self._setting.keep_log:
            print(way.log())
        window = (start, measured[-1].at)
        ping = Added.of(answers, (begin, loaded_from), window)
        goodput = received.mbit(*window)
        return Outcome(
            cell=cell,
            goodput=goodput,
            share_of_sum=goodput / self.computed(cell),
            ping_idle=ping.idle,
            ping_added=ping.mean,
            ping_worst=ping.worst,
            ping_lost=ping.lost,
            longest_gap=received.longest_gap,
            retransmitted=again,
            lines=tuple(self._use(index, number, measured) for index, number in enumerate(cell.lines)),
            late_p99_us=late,
            idle=idle,
            stolen=stolen,
            cpu={name: round(seconds, 2) for name, seconds in cpu.items()},
            series={
                "warmup": round(start - received.start, 3),
                "bytes": [(round(at - received.start, 3), count) for at, count in received.samples],
                "ping": [
                    (round(answer.sent_at - received.start, 3), round(answer.milliseconds, 2)) for answer in answers
                ],
                # The counters were set to zero between warm-up and measurement.
                "warmup lines": _counts(samples, received.start),
                "lines": _counts(measured, received.start),
            },
            outage=outage,
        )

    def _watch(self, lines: Sequence[int], until: float, events: Sequence[Event] = ()) -> list[Sample]:
        """Samples until `until`; the events, in order of time, happen in between."""
        samples, waiting = [], list(events)
        while (left := until - (now := time.monotonic())) > 0:
            if waiting and waiting[0][0] <= now:
                waiting.pop(0)[1]()
                continue
            time.sleep(min(SAMPLE_INTERVAL, left, *(at - now for at, _ in waiting[:1])))
            samples.append(self.sample(lines))
        return samples

    def _has_outage(self, cell: Cell) -> bool:
        outage = self.profile.outage
        return outage is not None and len(cell.lines) > 1 and outage.line in cell.lines

    def _outage_times(self, cell: Cell, start: float) -> tuple[float, float]:
        assert self.profile.outage is not None
        return start + self.profile.outage.begin * cell.seconds, start + self.profile.outage.end * cell.seconds

    def _events(self, cell: Cell, start: float) -> list[Event]:
        if not self._has_outage(cell):
            return []
        assert self.profile.outage is not None
        line = self.lab.line(self.profile.outage.line)
        begin, end = self._outage_times(cell, start)
        return [(begin, partial(line.set, up=False)), (end, partial(line.set, up=True))]

    def _recovery(self, cell: Cell, stream: UdpStream, measured: Sequence[Sample]) -> Recovery:
        assert self.profile.outage is not None
        index = cell.lines.index(self.profile.outage.line)
        series = [(sample.at, sample.counters[index].tx_bytes) for sample in measured]
        result = stream.wait()
        return Recovery(
            gap=result.longest_gap,
            stolen=result.lost_in_gap,
            lost=result.lost,
            back_after=back_after(series, *self._outage_times(cell, measured[0].at)),
        )

    def _use(self, index: int, number: int, measured: Sequence[Sample]) -> LineUse:
        first, last = measured[0], measured[-1]
        before, after = first.counters[index], last.counters[index]
        return LineUse(
            rate=self.profile.lines[number - 1].rate,
            carried=(after.tx_bytes - before.tx_bytes) * 8 / (last.at - first.at) / 1e6,
            overflow=after.overflow - before.overflow,
            lost=after.lost - before.lost,
            queue_ms=sum(sample.counters[index].queue_us for sample in measured) / len(measured) / 1e3,
        )


def _counts(samples: Sequence[Sample], start: float) -> list[tuple[float, list[int]]]:
    """Seconds from the load's begin, and the bytes of each line."""
    return [(round(sample.at - start, 3), [counters.tx_bytes for counters in sample.counters]) for sample in samples]
