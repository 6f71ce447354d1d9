"""Both ends of a tunnel over simulated lines, driven as a daemon drives its session."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from mlvpnd.protocol.links.events import DownReason, PathDown, PathUnanswered
from mlvpnd.protocol.links.path import Address, PathParameters
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.sending.sender import OUTER_IPV4
from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType

from .clock import Clock
from .host import Host
from .line import Line

FIRST_SEQ_PER_SECOND = 1_000_000
Link = tuple[PathParameters, Line]
"""A link's configuration at one end, and the direction of its line in which this end sends."""


class End:
    """One session, the host behind it, and the lines that it sends by."""

    other: End

    def __init__(
        self,
        clock: Clock,
        host: Host,
        session_type: type[Session],
        parameters: SessionParameters,
        links: Sequence[Link],
        random: Random,
    ) -> None:
        self._clock, self._host, self._is_server = clock, host, parameters.is_server
        self._lines = [line for _, line in links]
        first_seq = int(clock.now * FIRST_SEQ_PER_SECOND)
        self.session = session_type(parameters, first_seq, lambda: random.getrandbits(32))
        self._parameters = [link for link, _ in links]
        self.lost_on_lines = 0
        """Packets of the host that a line has lost, for whatever reason."""
        self._wakes_at = float("inf")
        self._due: float | None = None
        self._is_settled = True
        self._takers = [partial(self._take, number) for number in range(len(links))]
        host.transport = self.send

    def start(self) -> None:
        """Gives each link its socket; both ends must have been made."""
        self._sources = [self.other._address(number) for number in range(len(self._lines))]
        now, first_seq = self._clock.now, int(self._clock.now * FIRST_SEQ_PER_SECOND)
        for number, parameters in enumerate(self._parameters):
            self.session.add_path(number, parameters, first_seq)
            self.session.path_ready(number, self._remote(number), now)
        self._settle()

    def _address(self, number: int) -> Address:
        return (f"198.51.100.{number + 1}", 5080) if self._is_server else (f"192.0.2.{number + 1}", 40000)

    def _remote(self, number: int) -> Address | None:
        return None if self._is_server else self.other._address(number)

    @property
    def drops(self) -> int:
        """Packets of the host that its session has dropped."""
        return sum(self.session.drops.values())

    @property
    def refused(self) -> dict[DropReason, int]:
        """Datagrams of the other end that did not pass, by reason."""
        refused: dict[DropReason, int] = {}
        for path in self.session.paths:
            for reason, count in path.drops.items():
                refused[reason] = refused.get(reason, 0) + count
        return refused

    def send(self, burst: Sequence[bytes]) -> None:
        """Takes packets of the host."""
        self.session.send(burst, self._clock.now)
        self._settle()

    def _take(self, number: int, datagram: bytes) -> None:
        """A datagram has come by a line."""
        self._deliver(self.session.receive(number, ((datagram, self._sources[number]),), self._clock.now))

    def _deliver(self, packets: list[bytes]) -> None:
        """Packets have come out of the session: the host may answer, and then all is settled by that."""
        self._is_settled = False
        if packets:
            self._host.take(packets)
        if not self._is_settled:
            self._settle()

    def _settle(self) -> None:
        """Does what a driver does after each input: datagrams, events, the timer."""
        self._is_settled = True
        session, now = self.session, self._clock.now
        for number, _, datagrams in session.transmits():
            put, take = self._lines[number].put, self.other._takers[number]
            for datagram in datagrams:
                if not put(len(datagram) + OUTER_IPV4, take, datagram):
                    self._count_lost(datagram)
        if events := session.events():
            for event in events:
                if isinstance(event, PathUnanswered) or (
                    isinstance(event, PathDown)
                    and event.reason in (DownReason.TIMEOUT, DownReason.UNHEARD)
                    and not self._is_server
                ):
                    # As the daemon: a new socket, and the server's address from the configuration again.
                    session.path_unready(event.path, now)
                    session.path_ready(event.path, self._remote(event.path), now)
            self._settle()
            return
        self._due = due = session.get_timer()
        if due is not None and due < self._wakes_at:
            self._wakes_at = due
            self._clock.at(max(due, now), self._wake)

    def _count_lost(self, datagram: bytes) -> None:
        header = wire.parse(datagram)
        assert not isinstance(header, DropReason)
        self.lost_on_lines += header.type == PacketType.DATA

    def _wake(self, _: None) -> None:
        now = self._clock.now
        if now < self._wakes_at:
            return  # an earlier time was asked for after this one
        self._wakes_at = float("inf")
        if self._due is not None and self._due <= now:
            self._deliver(self.session.handle_timer(now))
        else:
            self._settle()


def join(server: End, client: End) -> None:
    """Makes them each other's peers, and starts both."""
    server.other, client.other = client, server
    server.start()
    client.start()
