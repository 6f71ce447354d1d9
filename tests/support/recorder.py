"""An eavesdropper on a line: the datagrams that passed, with their addresses."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .lab import Host
from .peer import Address

_ETH_P_ALL = 0x0003
"""Protocol number of all packets. With another one, a packet socket does not see what its own host sends."""
_POLL = 0.1
"""Seconds between two checks whether the recording is to end."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A UDP datagram over IPv4."""

    source: Address
    destination: Address
    datagram: bytes


class Recorder:
    """The datagrams from and to some ports, at most `limit` of them."""

    def __init__(self, ports: Iterable[int], limit: int) -> None:
        self._ports = frozenset(ports)
        self._limit = limit
        self._stopping = threading.Event()
        self.recorded: list[Recorded] = []

    def sent_to(self, *ports: int) -> list[bytes]:
        """Datagrams to these ports, in their order."""
        return [one.datagram for one in list(self.recorded) if one.destination[1] in ports]

    def sent_from(self, *ports: int) -> list[bytes]:
        """Datagrams from these ports, in their order."""
        return [one.datagram for one in list(self.recorded) if one.source[1] in ports]

    def record(self, sock: socket.socket) -> None:
        """Reads a packet socket until it is stopped, or until it has enough datagrams."""
        sock.settimeout(_POLL)
        while not self._stopping.is_set() and len(self.recorded) < self._limit:
            try:
                one = _datagram(sock.recv(65536))
            except TimeoutError:
                continue
            if one is not None and self._ports & {one.source[1], one.destination[1]}:
                self.recorded.append(one)

    def stop(self) -> None:
        """Ends `record`."""
        self._stopping.set()


@contextlib.contextmanager
def recording(host: Host, devices: Sequence[str], ports: Iterable[int], *, limit: int = 2000) -> Iterator[Recorder]:
    """Records on the interfaces of a host until the end of the block; at most `limit` datagrams on each."""
    recorder = Recorder(ports, limit * len(devices))
    with contextlib.ExitStack() as stack:
        threads = []
        for device in devices:
            sock = stack.enter_context(host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)))
            sock.bind((device, _ETH_P_ALL))
            threads.append(threading.Thread(target=recorder.record, args=(sock,), name=f"recorder {device}"))
        for thread in threads:
            thread.start()
        try:
            yield recorder
        finally:
            recorder.stop()
            for thread in threads:
                thread.join()


def _datagram(packet: bytes) -> Recorded | None:
    """The UDP datagram in an IPv4 packet, if it is whole. Parsed by hand, because scapy cannot keep up with a line."""
    if len(packet) < 28 or packet[0] >> 4 != 4:
        return None
    fragment, protocol = struct.unpack_from("!HxB", packet, 6)
    if protocol != socket.IPPROTO_UDP or fragment & 0x3FFF:
        return None
    start = (packet[0] & 15) * 4
    source_port, destination_port, size = struct.unpack_from("!HHH", packet, start)
    source, destination = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
    return Recorded((source, source_port), (destination, destination_port), packet[start + 8 : start + size])
