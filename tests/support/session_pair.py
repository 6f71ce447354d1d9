"""Two sessions and the lines between them, driven by a fake clock. The seed decides everything.

    pair = SessionPair(lines=[Line(delay=0.02), Line(delay=0.04)])
    pair.connect()
    pair.client.send([packet_of(1)])
    pair.run(1)
    assert pair.server.delivered == [packet_of(1)]

A line loses, delays, duplicates and damages datagrams. An attacker may read, keep and inject them. The client is behind
a NAT whose mapping may change (`rebind`). Either side may start anew (`restart`).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mlvpnd.protocol.links.events import DownReason, Event, PathDown, PathUnanswered
from mlvpnd.protocol.links.path import Address, PathParameters
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.wire.box import derive_key

KEY = derive_key(b"pleasechangeme!")
FIRST_SEQ_PER_SECOND = 1_000_000


def packet_of(number: int, size: int = 60) -> bytes:
    """An IPv4 packet that is different for each number."""
    header = b"\x45\x00" + size.to_bytes(2, "big") + bytes(4) + b"\x40\xfd\x00\x00" + bytes(8)
    return header + number.to_bytes(8, "big") + bytes(size - 28)


def frame_of(number: int) -> bytes:
    """An Ethernet frame that is different for each number."""
    return b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00" + number.to_bytes(8, "big")


@dataclass
class Line:
    """What a line does to datagrams, in both directions. Times are seconds; the rest are probabilities."""

    delay: float = 0.01
    jitter: float = 0.0
    """If it is more than the distance of two datagrams, they overtake each other."""
    loss: float = 0.0
    loss_to_client: float | None = None
    """None: as `loss`. Otherwise `loss` is only the loss to the server."""
    duplicate: float = 0.0
    damage: float = 0.0
    reflect: float = 0.0
    cut: bool = False


class Flight(NamedTuple):
    """A datagram on a line, or in an attacker's recording."""

    line: int
    to_server: bool
    datagram: bytes
    source: Address
    destination: Address


@dataclass
class End:
    """One side: its session, and what has come out of the session since it was made."""

    pair: SessionPair
    is_server: bool
    session: Session
    delivered: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def send(self, packets: Sequence[bytes]) -> None:
        """Sends packets of the interface."""
        self.session.send(packets, self.pair.now)
        self.pair.drain(self)

    @property
    def up(self) -> list[int]:
        """Numbers of the links that are up."""
        return [path.number for path in self.session.paths if path.up]


class SessionPair:
    """See the module's docstring. Links are numbered from 0, as the lines."""

    def __init__(
        self,
        lines: Sequence[Line] | None = None,
        *,
        seed: int = 0,
        timeout: float = 5.0,
        cleartext_data: bool = False,
        layer2: bool = False,
        reorder_size: int = 64,
        bandwidths: Sequence[int] | None = None,
        loss_tolerance: int = 100,
        latency_tolerance: int = 1000,
        session_type: type[Session] | None = None,
    ) -> None:
        self._session_type = session_type or Session
        self.random = random.Random(seed)
        self.now = 1000.0
        self.lines = list(lines) if lines is not None else [Line(), Line()]
        self.recording: list[Flight] = []
        """Every datagram ever sent, also damaged and lost ones."""
        self._timeout = timeout
        self._cleartext_data = cleartext_data
        self._layer2 = layer2
        self._reorder_size = reorder_size
        self._tolerances = loss_tolerance, latency_tolerance
        self._bandwidths = list(bandwidths) if bandwidths is not None else [0] * len(self.lines)
        self._flights: list[tuple[float, int, Flight]] = []
        self._order = itertools.count()
        self._ports = [40000 + number for number in range(len(self.lines))]
        self.server = self._make_end(is_server=True)
        self.client = self._make_end(is_server=False)

    # Addresses.

    def server_address(self, line: int) -> Address:
        """The address of the server's socket."""
        return (f"198.51.100.{line + 1}", 5080 + line)

    def client_address(self, line: int) -> Address:
        """The present source address of the client's packets."""
        return (f"192.0.2.{line + 1}", self._ports[line])

    def rebind(self, line: int) -> None:
        """The NAT forgets its mapping: datagrams to the old address are lost."""
        self._ports[line] += 1000

    # Ends.

    def _make_end(self, *, is_server: bool, first_seq: int | None = None) -> End:
        parameters = SessionParameters(
            KEY,
            is_server=is_server,
            layer2=self._layer2,
            cleartext_data=self._cleartext_data,
            reorder_size=self._reorder_size,
        )
        first_seq = int(self.now * FIRST_SEQ_PER_SECOND) if first_seq is None else first_seq
        session = self._session_type(parameters, first_seq, lambda: self.random.getrandbits(32))
        for number, bandwidth in enumerate(self._bandwidths):
            link = PathParameters(f"link{number}", self._timeout, *self._tolerances, bandwidth=bandwidth)
            session.add_path(number, link, first_seq)
            session.path_ready(number, None if is_server else self.server_address(number), self.now)
        return End(self, is_server, session)

    def stop(self, end: End) -> None:
        """The process ends cleanly."""
        end.session.close(self.now)
        self.drain(end)
        for path in end.session.paths:
            end.session.path_unready(path.number, self.now)

    def restart(self, end: End, *, first_seq: int | None = None) -> End:
        """The process dies without a word. A new one takes its place, and its clock may differ."""
        new = self._make_end(is_server=end.is_server, first_seq=first_seq)
        if end.is_server:
            self.server = new
        else:
            self.client = new
        return new

    # The network.

    def drain(self, end: End) -> None:
        """Puts the datagrams that a session wants to send on its lines."""
        events = end.session.events()
        end.events += events
        for event in events:
            if isinstance(event, PathUnanswered) or (
                isinstance(event, PathDown)
                and event.reason in (DownReason.TIMEOUT, DownReason.UNHEARD)
                and not end.is_server
            ):
                # As in the driver: a new socket, and the server's address from the configuration again.
                end.session.path_unready(event.path, self.now)
                end.session.path_ready(event.path, self.server_address(event.path), self.now)
        for transmit in end.session.transmits():
            source = self.server_address(transmit.path) if end.is_server else self.client_address(transmit.path)
            for datagram in transmit.datagrams:
                flight = Flight(transmit.path, not end.is_server, datagram, source, transmit.address)
                self.recording.append(flight)
                self._fly(flight)

    def _fly(self, flight: Flight) -> None:
        line, chance = self.lines[flight.line], self.random.random
        loss = line.loss if flight.to_server or line.loss_to_client is None else line.loss_to_client
        if line.cut or chance() < loss:
            return
        copies = 2 if chance() < line.duplicate else 1
        for _ in range(copies):
            datagram = flight.datagram
            if chance() < line.damage:
                damaged = bytearray(datagram)
                damaged[self.random.randrange(len(damaged))] ^= 1 << self.random.randrange(8)
                datagram = bytes(damaged)
            delay = line.delay + chance() * line.jitter
            self.inject(flight._replace(datagram=datagram), delay)
        if chance() < line.reflect:
            back = flight._replace(to_server=not flight.to_server, source=flight.destination, destination=flight.source)
            self.inject(back, line.delay)

    def inject(self, flight: Flight, delay: float = 0.0) -> None:
        """A datagram arrives after `delay`, whoever sent it."""
        heapq.heappush(self._flights, (self.now + delay, next(self._order), flight))

    def _arrive(self, flight: Flight) -> None:
        """Hands a datagram over if it is addressed to the present address of its receiver."""
        here = self.server_address if flight.to_server else self.client_address
        if flight.destination != here(flight.line):
            return
        end = self.server if flight.to_server else self.client
        end.delivered += end.session.receive(flight.line, [(flight.datagram, flight.source)], self.now)
        self.drain(end)

    # Time.

    def run(self, seconds: float) -> None:
        """Lets time pass: datagrams arrive, timers fire."""
        until = self.now + seconds
        while True:
            timers = [(at, end) for end in (self.client, self.server) if (at := end.session.get_timer()) is not None]
            due, end = min(timers, key=lambda timer: timer[0], default=(float("inf"), self.client))
            if self._flights and self._flights[0][0] <= min(due, until):
                at, _, flight = heapq.heappop(self._flights)
                self.now = max(self.now, at)
                self._arrive(flight)
            elif due <= until:
                self.now = max(self.now, due)
                self._fire(end)
            else:
                self.now = until
                return

    def _fire(self, end: End) -> None:
        for _ in range(3):
            end.delivered += end.session.handle_timer(self.now)
            self.drain(end)
            due = end.session.get_timer()
            if due is None or due > self.now:
                return
        raise AssertionError("a timer that stays due spins the driver")

    def connect(self) -> None:
        """Runs until every link is up at both ends."""
        self.run(1)
        everything = list(range(len(self.lines)))
        assert self.client.up == self.server.up == everything

    def transfer(self, numbers: Iterable[int], *, interval: float = 0.001, from_server: bool = False) -> list[bytes]:
        """Sends the packets of `numbers`, one each `interval`; returns them."""
        packets = [frame_of(n) if self._layer2 else packet_of(n) for n in numbers]
        for packet in packets:
            (self.server if from_server else self.client).send([packet])
            self.run(interval)
        return packets
