"""The loop that passes packets without Python."""

from __future__ import annotations

import math

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.links.path import Address

from .structs import field, new_list, packet_of, pointer, read_address, take_packet

_TUN_COUNTS = (
    "packets_read packets_written bytes_read bytes_written tso_reads tso_segments coalesced_writes coalesced_segments"
    " down full refused malformed oversize"
).split()
_LINK_COUNTS = "overflows send_errors gso_sends gso_segments gro_receives gro_segments gso".split()


class NativeLoop:
    """See `loop.h`. Only one thread may use it, and nobody while `run` runs."""

    housekeeping_at: float = field("housekeeping_at")
    data_at: float = field("data_at")
    tun_error: int = field("tun_error")

    def __init__(self, engine: _native.Engine) -> None:
        self._engine = engine
        self._runs = False
        self.struct = ffi.gc(ffi.new("struct loop *"), lib.loop_end)
        if not lib.loop_begin(self.struct, engine, engine.layer2):
            raise MemoryError

    def _enter(self) -> _native.Loop:
        if self._runs:
            raise RuntimeError("the loop runs in another thread")
        return self.struct

    # The interface.

    def watch_tun(self, fd: int, *, has_vnet: bool, uso: bool) -> None:
        """Reads and writes the interface from now on."""
        tun = self._enter().tun
        tun.fd, tun.is_read, tun.has_vnet, tun.joins = fd, True, has_vnet, has_vnet
        lib.coalescer_begin(pointer(tun, "coalescer"), uso, tun.layer2)

    def unwatch_tun(self) -> None:
        """Reads it no more."""
        self._enter().tun.is_read = False

    def set_limits(self, mtu: int, ipv4: int, ipv6: int) -> None:
        """Bytes of the longest packet, and of segments in TCP over IPv4 and IPv6; 0: not known, not lowered."""
        tun = self._enter().tun
        tun.mtu, tun.mss.ipv4, tun.mss.ipv6 = mtu, ipv4, ipv6

    def deliver(self, packets: list[bytes]) -> None:
        """Writes packets to the interface."""
        made, loop = new_list(), self._enter()
        for packet in packets:
            lib.packet_list_push(made, packet_of(packet))
        lib.tun_write(loop.tun, made)

    # Links.

    def attach_link(self, number: int, fd: int, *, gso: bool, gro: bool, answers: bool) -> None:
        """Adds a link's socket; see `udp_port`."""
        if not lib.loop_attach(self._enter(), number, lib.udp_port(fd, gso, gro, answers)):
            raise MemoryError

    def detach_link(self, number: int) -> None:
        """Removes it, after a last attempt to send what waits."""
        lib.loop_detach(self._enter(), number, lib.loop_now())

    def flush(self) -> list[int]:
        """Sends all bursts; returns the links whose last datagram was refused."""
        loop = self._enter()
        lib.loop_flush(loop, lib.loop_now())
        ports = (loop.ports[at] for at in range(loop.port_count))
        return [port.number for port in ports if port.udp.refused_for >= 0]

    def link_counts(self, number: int) -> tuple[dict[str, int], int, float | None]:
        """Counters, errno of the last datagram refused, and for how many seconds all have been. Raises KeyError."""
        port = lib.loop_port(self.struct, number)
        if not port:
            raise KeyError(number)
        refused_for = port.udp.refused_for
        counts = {name: getattr(port.udp, name) for name in _LINK_COUNTS}
        return counts, port.udp.last_error, None if refused_for < 0 else refused_for

    def tun_counts(self) -> dict[str, int]:
        """Counters of the interface's edge."""
        return {name: getattr(self.struct.tun, name) for name in _TUN_COUNTS}

    # Turns.

    def run(self, wake: int, timeout: float | None) -> int:
        """Passes packets until there is a reason to stop; returns the reasons, as bits."""
        loop, deadline = self._enter(), math.inf if timeout is None else lib.loop_now() + timeout
        self._runs = True
        try:
            return lib.loop_run(loop, wake, deadline)
        finally:
            self._runs = False

    def slow_datagrams(self, *, rest: bool) -> tuple[int, list[tuple[bytes, Address]]]:
        """A link, and its datagrams that Python must look at; see `loop_next_slow`."""
        loop, out = self._enter(), list[tuple[bytes, Address]]()
        number = lib.loop_slow_link(loop, rest)
        datagram, source = ffi.new("struct packet *"), ffi.new("struct address * *")
        while lib.loop_next_slow(loop, not out, rest, datagram, source):
            if (address := read_address(source[0])) is not None:
                out.append((bytes(ffi.buffer(datagram.data, datagram.size)), address))
        return number, out

    def slow_packet(self) -> bytes:
        """The packet from the interface that Python must look at; empty: there is none."""
        return take_packet(pointer(self._enter(), "from_tun"))
