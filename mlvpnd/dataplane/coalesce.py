"""Packets for an interface with a vnet header, joined to super-packets where the kernel's own GRO would join them.

The kernel does not look again at the checksums of a super-packet, so each one in it has been verified here. What is not
joined is written as it came, wrong checksum or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack_into

from .checksum import checksum, ipv4_checksum, ones_sum, pseudo_sum
from .vnet import (
    ACK,
    ETHERNET_HEADER,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    IPV4_HEADER,
    IPV4_TYPE,
    IPV6_HEADER,
    IPV6_TYPE,
    NEEDS_CSUM,
    PSH,
    TCP,
    TCP_CHECKSUM,
    TCP_HEADER,
    UDP,
    UDP_CHECKSUM,
    UDP_HEADER,
    VLAN_TAG,
    VLAN_TYPES,
    VNET,
    VNET_SIZE,
)

RUNS_LIMIT = 16
"""Flows that are joined at a time."""
FRAMES_LIMIT = 256
"""Frames of one batch; what comes behind begins anew."""
SEGMENTS_LIMIT = 64
"""Packets of one super-packet."""
IP_LIMIT = 65535
"""Bytes of an IP packet."""

_ALONE = bytes(VNET_SIZE)
_IPV6_EXTENSIONS = frozenset({0, 43, 44, 51, 60})
"""Hop-by-hop options, routing, fragment, authentication, destination options: TCP or UDP may follow."""
_NO_FLOW, _ANY_FLOW = b"", b"?"
"""In the place of a flow's key: one of those that are never joined, or one that cannot be told."""


class _Segment:
    """A packet that may be joined, by what counts for that."""

    __slots__ = (
        "alike", "ident", "is_ipv4", "is_last", "is_right", "may_keep_ident", "packet", "payload", "protocol",
        "seq", "start", "transport",
    )  # fmt: skip

    def __init__(self, packet: bytes, start: int, transport: int, protocol: int) -> None:
        self.packet = packet
        self.start = start
        self.transport = transport
        self.protocol = protocol
        self.is_ipv4 = transport - start == IPV4_HEADER
        self.payload = transport + UDP_HEADER
        self.seq = 0
        self.is_last = False
        """Whether PSH ends the super-packet with it."""
        self.alike: tuple[bytes, ...] = ()
        """All of the headers that must be the same in the next packet."""
        self.is_right: bool | None = None
        """Whether the checksums are; None: not yet known."""
        if self.is_ipv4:
            self.ident = packet[start + 4] << 8 | packet[start + 5]
            self.may_keep_ident = packet[start + 6] == 0x40  # Don't Fragment: the number says nothing (RFC 6864)
        else:
            self.ident = 0
            self.may_keep_ident = True

    def verify(self) -> bool:
        """Whether IP's and TCP's or UDP's checksums are those that a sender writes; looked at once."""
        if self.is_right is None:
            self.is_right = self._has_right_checksums()
        return self.is_right

    def _has_right_checksums(self) -> bool:
        packet, start, transport = self.packet, self.start, self.transport
        if self.is_ipv4:
            if ones_sum(packet[start:transport]) or packet[start + 10 : start + 12] == b"\xff\xff":
                return False
            covered = packet[start + 12 :]  # both addresses and what is behind
        else:
            covered = packet[start + 8 :]
        # Of the two zeros a sender writes one; with the other, a packet would not come out of a super-packet as it was.
        if self.protocol == TCP and packet[transport + TCP_CHECKSUM : transport + TCP_CHECKSUM + 2] == b"\xff\xff":
            return False
        return checksum(covered, self.protocol + len(packet) - transport) == 0


class _Run:
    """A super-packet that grows."""

    __slots__ = ("first", "length", "packets", "segment_size", "step")

    def __init__(self, first: _Segment) -> None:
        self.first = first
        self.packets = [first.packet]
        self.segment_size = len(first.packet) - first.payload
        self.length = len(first.packet) - first.start
        """Bytes as an IP packet."""
        self.step = 1
        """By how much IP's identification grows."""

    def add(self, packet: _Segment) -> bool:
        """Whether the packet belongs behind the others; then it is there."""
        first, count = self.first, len(self.packets)
        size = len(packet.packet) - packet.payload
        if (
            packet.alike != first.alike
            or size > self.segment_size
            or count >= SEGMENTS_LIMIT
            or self.length + size > IP_LIMIT
            or (first.protocol == TCP and packet.seq != (first.seq + count * self.segment_size) & 0xFFFFFFFF)
        ):
            return False
        step = self.step
        if count == 1 and packet.may_keep_ident and packet.ident == first.ident:
            step = 0
        if packet.ident != (first.ident + count * step) & 0xFFFF or not first.verify() or not packet.verify():
            return False
        self.step = step
        self.length += size
        self.packets.append(packet.packet)
        return True

    def frame(self) -> bytes:
        """What is to be written."""
        first = self.first
        if len(self.packets) == 1:
            return _ALONE + first.packet
        start, transport, payload = first.start, first.transport, first.payload
        header = bytearray(first.packet[:payload])
        length = self.length - (transport - start)
        if first.is_ipv4:
            pack_into("!H", header, start + 2, self.length)
            pack_into("!H", header, start + 10, ipv4_checksum(header[start:transport]))
            addresses = header[start + 12 : start + 20]
            kind = GSO_TCPV4
        else:
            pack_into("!H", header, start + 4, length)
            addresses = header[start + 8 : start + 40]
            kind = GSO_TCPV6
        if first.protocol == TCP:
            header[transport + 13] |= self.packets[-1][transport + 13]
            checksum_offset = TCP_CHECKSUM
        else:
            pack_into("!H", header, transport + 4, length)
            checksum_offset = UDP_CHECKSUM
            kind = GSO_UDP
        pack_into("!H", header, transport + checksum_offset, pseudo_sum(addresses, first.protocol, length))
        vnet = VNET.pack(NEEDS_CSUM, kind, payload, self.segment_size, transport, checksum_offset)
        return b"".join((vnet, header, *[packet[payload:] for packet in self.packets]))


class Coalescer:
    """Joins what one turn brings for the interface."""

    def __init__(self, *, uso: bool, layer2: bool) -> None:
        """`uso`: the kernel takes super-packets of UDP. `layer2`: packets are Ethernet frames."""
        self._uso = uso
        self._layer2 = layer2
        self.merged_frames = 0
        """Super-packets made."""
        self.merged_packets = 0
        """Packets in them."""

    def coalesce(self, packets: Sequence[bytes]) -> list[bytes]:
        """What is to be written, each with its vnet header, for packets in the order in which they are due.

        A super-packet stands where its first packet stood. Packets of one flow keep their order; packets of others
        that came between are behind it.
        """
        frames: list[_Run | bytes] = []
        runs: dict[bytes, _Run] = {}  # those that may still grow, the oldest first
        batch_start = 0
        for packet in packets:
            if len(frames) - batch_start == FRAMES_LIMIT:
                batch_start = len(frames)
                runs.clear()
            key, segment = self._look_at(packet)
            if key is _ANY_FLOW:
                runs.clear()
            run = runs.get(key)
            if segment is None:
                if run is not None:
                    del runs[key]
                frames.append(_ALONE + packet)
                continue
            if run is not None:
                if run.add(segment):
                    if segment.is_last or len(packet) - segment.payload < run.segment_size:
                        del runs[key]
                    continue
                del runs[key]
            if segment.is_last:
                frames.append(_ALONE + packet)
                continue
            if len(runs) == RUNS_LIMIT:
                del runs[next(iter(runs))]
            runs[key] = run = _Run(segment)
            frames.append(run)
        return [frame if isinstance(frame, bytes) else self._finish(frame) for frame in frames]

    def _finish(self, run: _Run) -> bytes:
        if len(run.packets) > 1:
            self.merged_frames += 1
            self.merged_packets += len(run.packets)
        return run.frame()

    def _look_at(self, packet: bytes) -> tuple[bytes, _Segment | None]:
        """The key of a packet's flow, and what may be joined of it, if anything."""
        size = len(packet)
        start = 0
        if self._layer2:
            start = ETHERNET_HEADER
            ether_type = packet[12:start]
            if ether_type in VLAN_TYPES:
                start += VLAN_TAG
                ether_type = packet[start - 2 : start]
            version = 4 if ether_type == IPV4_TYPE else 6 if ether_type == IPV6_TYPE else 0
        else:
            version = packet[0] >> 4 if size else 0
        if version == 4:
            transport = start + IPV4_HEADER
            if size < transport + 4:
                return _ANY_FLOW, None
            protocol = packet[start + 9]
            if protocol != TCP and not (protocol == UDP and self._uso):
                return _NO_FLOW, None
            if packet[start] != 0x45 or packet[start + 6] & 0xBF or packet[start + 7]:  # options, or a fragment
                return _ANY_FLOW, None
            length = packet[start + 2] << 8 | packet[start + 3]
            key = packet[:start] + packet[start + 9 : start + 10] + packet[start + 12 : transport + 4]
        elif version == 6:
            transport = start + IPV6_HEADER
            if size < transport + 4 or packet[start] >> 4 != 6:
                return _ANY_FLOW, None
            protocol = packet[start + 6]
            if protocol in _IPV6_EXTENSIONS:
                return _ANY_FLOW, None
            if protocol != TCP and not (protocol == UDP and self._uso):
                return _NO_FLOW, None
            length = IPV6_HEADER + (packet[start + 4] << 8 | packet[start + 5])
            key = packet[:start] + packet[start + 6 : start + 7] + packet[start + 8 : transport + 4]
        else:
            return _NO_FLOW, None
        if length != size - start:
            return key, None
        segment = _Segment(packet, start, transport, protocol)
        return key, segment if (_is_tcp if protocol == TCP else _is_udp)(segment) else None


def _network_fields(segment: _Segment) -> tuple[bytes, bytes]:
    """What of the IP header must be the same: all but lengths, identification, checksum, and what is in the key."""
    packet, start = segment.packet, segment.start
    if segment.is_ipv4:
        return packet[start : start + 2], packet[start + 6 : start + 9]
    return packet[start : start + 4], packet[start + 7 : start + 8]


def _is_tcp(segment: _Segment) -> bool:
    """Whether this is a TCP segment that brings data and nothing else; fills in what it is."""
    packet, transport = segment.packet, segment.transport
    if len(packet) < transport + TCP_HEADER:
        return False
    offset = packet[transport + 12]
    payload = transport + (offset >> 4 << 2)
    flags = packet[transport + 13]
    if offset & 0xF or not transport + TCP_HEADER <= payload < len(packet) or flags & ~PSH != ACK:
        return False
    segment.payload = payload
    segment.seq = int.from_bytes(packet[transport + 4 : transport + 8], "big")
    segment.is_last = bool(flags & PSH)
    segment.alike = (
        *_network_fields(segment),
        packet[transport + 8 : transport + 13],  # acknowledgment, data offset
        packet[transport + 14 : transport + 16],  # window
        packet[transport + 18 : payload],  # urgent pointer, options
    )
    return True


def _is_udp(segment: _Segment) -> bool:
    """Whether this is a UDP datagram with data and a checksum; fills in what it is."""
    packet, transport = segment.packet, segment.transport
    if len(packet) <= transport + UDP_HEADER:
        return False
    length = packet[transport + 4] << 8 | packet[transport + 5]
    if length != len(packet) - transport or packet[transport + 6 : transport + 8] == b"\0\0":
        return False
    segment.alike = _network_fields(segment)
    return True
