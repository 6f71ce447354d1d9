"""A host behind the tunnel, or beside it: hands packets to its flows, and counts what leaves and comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import packets
from .clock import Clock
from .packets import PORT, number_of

Transport = Callable[[list[bytes]], None]
"""Takes a burst of packets for the other host."""


class Host:
    """`other` is the one that it talks to."""

    other: Host

    def __init__(self, clock: Clock, addresses: bytes) -> None:
        """`addresses`: source and destination of what it sends."""
        self.clock, self.addresses = clock, addresses
        self.transport: Transport = self.lose
        self.out: list[bytes] = []
        """Packets that leave with the next `flush`."""
        self.lost = 0
        """Packets that no way could take."""
        self._takers: dict[bytes, Callable[[bytes], None]] = {}
        self._numbers = 0
        self._come = bytearray()
        """For each packet of the other host, whether it has come."""
        self.received = 0
        self.twice = 0
        """Packets that came once more."""

    @property
    def sent(self) -> int:
        """Packets that have left."""
        return self._numbers

    def lose(self, burst: Sequence[bytes]) -> None:
        """The transport of a host without any way."""
        self.lost += len(burst)

    def listen(self, port: int, take: Callable[[bytes], None]) -> None:
        """Packets to this port are for `take`; port 0: echoes."""
        self._takers[port.to_bytes(2, "big")] = take

    def number(self) -> int:
        """A number for a packet that is about to leave."""
        self._numbers += 1
        return self._numbers - 1

    def flush(self) -> None:
        """Sends what flows have left in `out`."""
        if self.out:
            burst, self.out = self.out, []
            self.transport(burst)

    def take(self, burst: Sequence[bytes]) -> None:
        """Packets have come."""
        takers, come = self._takers, self._come
        self.received += len(burst)
        for packet in burst:
            number = number_of(packet)
            if number >= len(come):
                come.extend(bytes(max(4096, number + 1 - len(come))))
            if come[number]:
                self.twice += 1
            come[number] = 1
            takers[packet[PORT]](packet)
        self.flush()

    def take_one(self, packet: bytes) -> None:
        """One packet has come."""
        self.take((packet,))

    def answer_pings(self) -> None:
        """Echo requests are answered from now on."""
        self.listen(0, self._answer)

    def _answer(self, packet: bytes) -> None:
        sent_at = packets.read_time(packet)
        self.out.append(packets.echo(self.number(), self.addresses, request=False, sent_at=sent_at))
