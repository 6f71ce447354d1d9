"""Numbers and seals what a session has to send, and gathers the datagrams to a burst for each link."""

from __future__ import annotations

from typing import NamedTuple

from mlvpnd.protocol.links.gate import Gate
from mlvpnd.protocol.links.path import Address, Path
from mlvpnd.protocol.receiving.rtt import stamp
from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.constants import HEADER_SIZE
from mlvpnd.protocol.wire.wire import Header, PacketType


class Transmit(NamedTuple):
    """A burst for one link: send each datagram to `address`."""

    path: int
    address: Address
    datagrams: list[bytes]


class Outbox:
    """Datagrams to send, sealed by the box that the gate has at the time."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._bursts: dict[int, list[tuple[Address, list[bytes]]]] = {}

    def put(
        self,
        path: Path,
        packet_type: PacketType,
        plaintext: bytes,
        reorder: bool,  # noqa: FBT001
        data_seq: int,
        to: Address,
        now: float,
    ) -> None:
        """Adds one datagram for an address."""
        seq = path.next_seq
        path.next_seq = seq + 1
        if packet_type is PacketType.DATA and self._gate.cleartext_data:
            payload = plaintext
        else:
            payload = self._gate.box.seal(plaintext, path.flow_id, seq)
        header = wire.pack(
            Header(len(payload), packet_type, reorder, stamp(now), path.echo.take(now), path.flow_id, seq, data_seq)
        )
        self._burst(path, to).append(header + payload)
        path.sent_at = now
        path.packets_sent += 1
        path.bytes_sent += HEADER_SIZE + len(payload)

    def _burst(self, path: Path, to: Address) -> list[bytes]:
        """The burst in which datagrams for an address gather."""
        bursts = self._bursts.setdefault(path.number, [])
        if not bursts or bursts[-1][0] != to:
            bursts.append((to, []))
        return bursts[-1][1]

    def take(self) -> list[Transmit]:
        """Takes all bursts, in the order of each link."""
        bursts, self._bursts = self._bursts, {}
        return [Transmit(path, to, datagrams) for path, list_ in bursts.items() for to, datagrams in list_]
