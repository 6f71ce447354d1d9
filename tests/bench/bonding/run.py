"""One run: some lines of a profile, a tunnel over them, flows through it, and what came of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.lab import Direction, Host, Lab, LabError
from tests.support.linkemu import Counters
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4, Tunnel, TunnelSpec, link_name

from .echo import Added, Pinger
from .load import Received
from .machine import Meter
from .outcome import Cell, LineUse, Outcome
from .profiles import INNER_MTU, PROFILES, Profile, goodput_of

SETTLE = 1.0
"""Seconds in which a new tunnel measures its links before anything is measured."""
IDLE_SECONDS = 2.5
"""Of echo requests without load."""
SAMPLE_INTERVAL = 0.25
REORDER_BUFFER = 1024
SOCKET_BUFFER = 64 << 20
"""Bytes that TCP may use at most, so that no buffer is what limits a flow over 600 ms."""
TRIES = 3
"""Of a run, until the machine is quiet."""
_PATIENCE = 30.0
_LOAD = (sys.executable, "-m", "tests.bench.bonding.load")


@dataclass(frozen=True, slots=True)
class Setting:
    """What differs from the bench's own configuration, for a developer's trials."""

    general: Mapping[str, object] = field(default_factory=dict)
    links: Mapping[str, object] = field(default_factory=dict)
    """Of every link."""
    keep_log: bool = False
    """Show the daemons' logs after a run."""


class Flows:
    """A load at work between two hosts."""

    def __init__(
        self, sender: Host, receiver: Host, address: str, *, flows: int, seconds: float, congestion: str
    ) -> None:
        """For `seconds` from the first byte on that comes at `address` of `receiver`."""
        many = ("--flows", str(flows))
        self.receiver = receiver.start(
            *_LOAD, "receive", address, *many, "--seconds", str(seconds), stdout=subprocess.PIPE
        )
        port = self._report(self.receiver)["port"]
        # The receiver ends it; should its word be lost, this does.
        words = ("send", address, str(port), *many, "--seconds", str(seconds + 5), "--congestion", congestion)
        self.sender = sender.start(*_LOAD, *words, stdout=subprocess.PIPE)

    @staticmethod
    def _report(process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise LabError(f"the load ended without a word: {process.args!r}")
        report: dict[str, Any] = json.loads(line)
        return report

    def wait(self) -> tuple[Received, int]:
        """The end of it: what came, and how many segments were sent again."""
        received = self._report(self.receiver)
        self.receiver.wait(_PATIENCE)
        again = self._report(self.sender)["again"]
        self.sender.wait(_PATIENCE)
        return Received(**received), again


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters towards the receiver, line by line, at a time."""

    at: float
    counters: tuple[Counters, ...]


class Bench:
    """The lines of a profile, up, for any number of runs."""

    def __init__(self, profile: str, seed: int, setting: Setting) -> None:
        self.profile: Profile = PROFILES[profile]
        self.lab = Lab(self.profile.lines, seed=seed)
        self._setting = setting
        self._runs = 0

    @contextlib.contextmanager
    def up(self) -> Iterator[Bench]:
        """Inside, there are lines."""
        with self.lab:
            for host in (self.lab.client, self.lab.server):
                for name in ("rmem", "wmem"):
                    host.run("sysctl", "-q", "-w", f"net.ipv4.tcp_{name}=4096 131072 {SOCKET_BUFFER}")
            yield self

    def tunnel(self, lines: Sequence[int]) -> Tunnel:
        """A tunnel over these lines, not yet started."""
        general: dict[str, object] = {"mtu": INNER_MTU, "reorder_buffer_size": REORDER_BUFFER}
        if self.profile.loss_tolerance is not None:
            general["loss_tolerance"] = self.profile.loss_tolerance
        links = {link_name(number): self._setting.links for number in lines}
        return Tunnel(self.lab, TunnelSpec(general=general | dict(self._setting.general), links=links, lines=lines))

    def sample(self, lines: Sequence[int]) -> Sample:
        """The counters of these lines now."""
        counters = tuple(self.lab.line(number).stats()[Direction.TO_CLIENT] for number in lines)
        return Sample(time.monotonic(), counters)

    def run(self, cell: Cell) -> Outcome:
        """One run, again while the machine is not quiet; the least unquiet one counts then."""
        outcomes = []
        for count in range(1, TRIES + 1):
            outcomes.append(replace(self._run(cell), tries=count))
            if outcomes[-1].quiet:
                return outcomes[-1]
        return max(outcomes, key=lambda outcome: (outcome.idle, -outcome.late_p99_us))

    def _run(self, cell: Cell) -> Outcome:
        tunnel = self.tunnel(cell.lines)
        tunnel.start()
        time.sleep(SETTLE)
        self._runs += 1
        pinger = Pinger(self.lab.client, SERVER_INNER_IPV4, self.lab.directory / f"ping{self._runs}")
        begin = time.monotonic()
        time.sleep(IDLE_SECONDS)
        loaded_from = time.monotonic()
        flows = Flows(
            self.lab.server,
            self.lab.client,
            CLIENT_INNER_IPV4,
            flows=cell.flows,
            seconds=cell.warmup + cell.seconds + SAMPLE_INTERVAL,
            congestion=cell.congestion,
        )
        samples = self._watch(cell.lines, time.monotonic() + cell.warmup)
        # Sampled apart: what is measured is between two samples.
        for number in cell.lines:
            self.lab.line(number).reset_stats()
        meter = Meter(
            {
                "server": tunnel.server.child_pid,
                "client": tunnel.client.child_pid,
                "sender": flows.sender.pid,
                "receiver": flows.receiver.pid,
            }
            | {f"line{number}": self.lab.line(number).pid for number in cell.lines}
        )
        measured = [self.sample(cell.lines)]
        measured += self._watch(cell.lines, measured[0].at + cell.seconds)
        idle, stolen, cpu = meter.read()
        late = max(counters.late_p99_us for number in cell.lines for counters in self.lab.line(number).stats().values())
        received, again = flows.wait()
        answers = pinger.stop()
        tunnel.stop()
        if self._setting.keep_log:
            print(tunnel.server.log(), tunnel.client.log(), sep="\n---\n")
        window = (measured[0].at, measured[-1].at)
        ping = Added.of(answers, (begin, loaded_from), window)
        goodput = received.mbit(*window)
        return Outcome(
            cell=cell,
            goodput=goodput,
            share_of_sum=goodput / goodput_of(sum(self.profile.lines[number - 1].rate for number in cell.lines)),
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
                "warmup": round(window[0] - received.start, 3),
                "bytes": [(round(at - received.start, 3), count) for at, count in received.samples],
                "ping": [
                    (round(answer.sent_at - received.start, 3), round(answer.milliseconds, 2)) for answer in answers
                ],
                "lines": [
                    (round(sample.at - received.start, 3), [counters.tx_bytes for counters in sample.counters])
                    for sample in [*samples, *measured]
                ],
            },
        )

    def _watch(self, lines: Sequence[int], until: float) -> list[Sample]:
        samples = []
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(SAMPLE_INTERVAL, left))
            samples.append(self.sample(lines))
        return samples

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
