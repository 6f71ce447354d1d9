"""A simulation from its begin to its end: lines, two sessions, the hosts behind them, what they did over time."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from mlvpnd.dataplane.native_session import NativeSession
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.wire.box import derive_key

from .clock import IDLE, START, Clock
from .host import Host
from .line import Counts, Course, Line
from .scenario import CONTROLS, Flow, Scenario
from .sparse import Pings, Stream
from .tcp_receiver import TcpReceiver
from .tcp_sender import TcpSender
from .tunnel import End, Link, join

SAMPLE_INTERVAL = 0.1
FIRST_PORT = 40001
STAGGER = 0.01
"""Seconds within which the flows begin."""
TIMEOUT = 60.0
"""Seconds of silence after which a link is down, unless the scenario says otherwise: the default of the file."""
FRAME = 14
"""Bytes of an Ethernet header, around packets that go beside the tunnel."""
SETTLE = 5.0
"""Seconds after which, once all flows have ended, nothing is under way on usual lines."""
_SERVER, _CLIENT = b"\x0a\x2a\x00\x01", b"\x0a\x2a\x00\x02"


@dataclass(frozen=True, slots=True)
class LineSample:
    """One direction of a line at a time."""

    counts: Counts
    queued: float
    """Bytes that wait for the line's rate."""
    under_way: int
    """Bytes in its queue and on the line."""


@dataclass(slots=True)
class Sample:
    """All at a time."""

    at: float
    """Seconds from the load's begin."""
    delivered: list[int]
    """Bytes that each flow has brought to its application."""
    retransmitted: list[int]
    lines: list[tuple[LineSample, LineSample]]
    """Each line's way to the client, and to the server."""


@dataclass(slots=True)
class TcpFlow:
    """Both ends of a flow."""

    flow: Flow
    sender: TcpSender
    receiver: TcpReceiver


@dataclass(slots=True)
class World:
    """Run it once."""

    scenario: Scenario
    clock: Clock = field(default_factory=Clock)
    samples: list[Sample] = field(default_factory=list)
    courses: list[tuple[Course, Course]] = field(default_factory=list)
    lines: list[tuple[Line, Line]] = field(default_factory=list)
    flows: list[TcpFlow] = field(default_factory=list)
    outside: dict[int, Host] = field(default_factory=dict)
    """For each line with flows beside the tunnel, the server's host of these."""
    server_host: Host = field(init=False)
    client_host: Host = field(init=False)
    server: End = field(init=False)
    client: End = field(init=False)
    pings: Pings = field(init=False)
    stream: Stream = field(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for lines or settings that there are not."""
        scenario, horizon = self.scenario, self.scenario.end + SETTLE
        for number, spec in enumerate(scenario.specs(), start=scenario.first):
            down, up = (self._random(f"{way} {number}") for way in ("down", "up"))
            courses = (
                spec.course(up=False, random=down, horizon=horizon),
                spec.course(up=True, random=up, horizon=horizon),
            )
            self.courses.append(courses)
            self.lines.append((Line(self.clock, courses[0], down), Line(self.clock, courses[1], up)))
        self.server_host, self.client_host = self._hosts()
        self.server, self.client = self._end(is_server=True), self._end(is_server=False)
        self.pings, self.stream = Pings(self.client_host), Stream(self.server_host)
        random = self._random("flows")
        for number, flow in enumerate(scenario.flows):
            self._add(flow, FIRST_PORT + number, START + random.uniform(0, STAGGER))

    def _random(self, name: str) -> Random:
        return Random(f"{self.scenario.seed} {name}")

    def _hosts(self) -> tuple[Host, Host]:
        server, client = Host(self.clock, _SERVER + _CLIENT), Host(self.clock, _CLIENT + _SERVER)
        server.other, client.other = client, server
        return server, client

    def _end(self, *, is_server: bool) -> End:
        scenario = self.scenario
        session: dict[str, Any] = {"pacing": True, "peer_takes_first": True, **scenario.session}
        parameters = SessionParameters(derive_key(b"simulated"), is_server=is_server, **session)
        links: list[Link] = []
        for number, (courses, lines) in enumerate(zip(self.courses, self.lines, strict=True)):
            rate = int(courses[not is_server].capacity.mean * scenario.rates)
            link: dict[str, Any] = {"timeout": TIMEOUT, "bandwidth": rate, **scenario.link}
            links.append((PathParameters(f"link{number + 1}", **link), lines[not is_server]))
        host = self.server_host if is_server else self.client_host
        kind = Session if scenario.reference else NativeSession
        return End(self.clock, host, kind, parameters, links, self._random(f"ids {is_server}"))

    def _add(self, flow: Flow, port: int, begin: float) -> None:
        server = self.server_host if flow.outside is None else self._beside(flow.outside)
        sends, takes = (server.other, server) if flow.up else (server, server.other)
        sender = TcpSender(sends, port, CONTROLS[flow.congestion]())
        self.flows.append(TcpFlow(flow, sender, TcpReceiver(takes, port)))
        self.clock.at(begin, sender.start)

    def _beside(self, number: int) -> Host:
        """The server's host of flows that go on a line beside the tunnel."""
        if not 1 <= number <= len(self.lines):
            raise ValueError(f"there is no line {number}")
        if number not in self.outside:
            server, client = self._hosts()
            for host, line in zip((server, client), self.lines[number - 1], strict=True):
                host.transport = partial(_put, line, host.other)
            self.outside[number] = server
        return self.outside[number]

    # Time.

    def run(self) -> None:
        """Runs to the end of the measurement."""
        clock, end = self.clock, self.scenario.end
        gc.collect()
        gc.disable()  # there is hardly a cycle among all these objects
        try:
            self._run(clock, end)
        finally:
            gc.enable()

    def _run(self, clock: Clock, end: float) -> None:
        join(self.server, self.client)
        clock.at(START - IDLE / 2, lambda _: self.pings.start(START + end))
        clock.at(START - IDLE / 2, lambda _: self.stream.start(START + end))
        clock.run(START)
        for step in range(round(end / SAMPLE_INTERVAL) + 1):
            clock.run(START + step * SAMPLE_INTERVAL)
            if clock.now - START <= self.scenario.warmup:
                for one in self.flows:
                    one.receiver.watch()
            self.samples.append(self._sample())

    def settle(self) -> None:
        """Ends all flows, and waits until nothing is under way."""
        for one in self.flows:
            one.sender.stop()
        self.clock.run(self.clock.now + SETTLE)

    def _sample(self) -> Sample:
        return Sample(
            self.clock.now - START,
            [one.receiver.delivered for one in self.flows],
            [one.sender.retransmitted for one in self.flows],
            [(_line_sample(down), _line_sample(up)) for down, up in self.lines],
        )


def _line_sample(line: Line) -> LineSample:
    under_way, counts = line.settle(), line.counts
    return LineSample(
        replace(counts),
        line.queued,
        under_way,
    )


def _put(line: Line, other: Host, burst: list[bytes]) -> None:
    for packet in burst:
        line.put(len(packet) + FRAME, other.take_one, packet)
