"""Sparse flows beside the load: a stream of small UDP packets, and echo requests."""

from __future__ import annotations

from abc import ABC, abstractmethod

from . import packets
from .clock import START
from .host import Host

STREAM_INTERVAL = 0.02
PING_INTERVAL = 0.1
FIRST_PORT = 5000


class Sparse(ABC):
    """Sends a small packet each `interval`, and notes when it came back, or to the other host."""

    def __init__(self, host: Host, interval: float) -> None:
        self._host, self._clock, self._interval = host, host.clock, interval
        self.sent: list[float] = []
        """Seconds from the simulation's begin."""
        self.came: list[tuple[float, float]] = []
        """When each one that came was sent, and how long it took, in seconds."""
        self._until = float("inf")

    def start(self, until: float) -> None:
        """Sends from now until then."""
        self._until = until
        self._tick(None)

    def _tick(self, _: None) -> None:
        now = self._clock.now
        if now >= self._until:
            return
        self.sent.append(now - START)
        self._host.out.append(self._make(now - START))
        self._host.flush()
        self._clock.at(now + self._interval, self._tick)

    @abstractmethod
    def _make(self, at: float) -> bytes:
        """A packet that leaves `at` seconds after the start."""

    def _note(self, packet: bytes) -> None:
        sent_at = packets.read_time(packet)
        self.came.append((sent_at, self._clock.now - START - sent_at))


class Pings(Sparse):
    """Echo requests, which the other host answers."""

    def __init__(self, host: Host, interval: float = PING_INTERVAL) -> None:
        super().__init__(host, interval)
        host.listen(0, self._note)
        host.other.answer_pings()

    def _make(self, at: float) -> bytes:
        return packets.echo(self._host.number(), self._host.addresses, request=True, sent_at=at)


class Stream(Sparse):
    """Packets of a voice call, one way."""

    def __init__(self, host: Host, port: int = FIRST_PORT, interval: float = STREAM_INTERVAL) -> None:
        super().__init__(host, interval)
        self._port = port
        host.other.listen(port, self._note)

    def _make(self, at: float) -> bytes:
        return packets.datagram(self._host.number(), self._host.addresses, self._port, at)
