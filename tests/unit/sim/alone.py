"""TCP flows on one simulated line, without a tunnel."""

from __future__ import annotations

from random import Random

from tests.sim.capacity import Capacity, Constant
from tests.sim.clock import START, Clock
from tests.sim.control import Control
from tests.sim.host import Host
from tests.sim.line import Conditions, Course, Line
from tests.sim.tcp_receiver import TcpReceiver
from tests.sim.tcp_sender import TcpSender

MBIT = 125_000.0
FRAME = 14


class Alone:
    """Two hosts joined by one line, both ways alike."""

    def __init__(self, rate: float, conditions: Conditions, *, capacity: Capacity | None = None, seed: int = 1) -> None:
        self.clock = Clock()
        course = Course(capacity or Constant(rate * MBIT), [(0.0, conditions)])
        self.down, self.up = (Line(self.clock, course, Random(seed + way)) for way in (0, 1))
        self.server, self.client = Host(self.clock, bytes(7) + b"\1"), Host(self.clock, bytes(3) + b"\1" + bytes(4))
        self.server.other, self.client.other = self.client, self.server
        self.server.transport = lambda burst: self._put(self.down, self.client, burst)
        self.client.transport = lambda burst: self._put(self.up, self.server, burst)

    def _put(self, line: Line, other: Host, burst: list[bytes]) -> None:
        for packet in burst:
            line.put(len(packet) + FRAME, other.take_one, packet)

    def flow(self, control: Control, port: int = 40001) -> tuple[TcpSender, TcpReceiver]:
        """A flow that begins with the load."""
        sender, receiver = TcpSender(self.server, port, control), TcpReceiver(self.client, port)
        self.clock.at(START, sender.start)
        return sender, receiver

    def run(self, until: float) -> None:
        """Runs to so many seconds after the load's begin."""
        self.clock.run(START + until)
