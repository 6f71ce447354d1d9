"""Joins packets for an interface with a vnet header to super-packets, as the kernel's own GRO would.

The kernel does not check a super-packet's checksums again, so every checksum in it is verified here. A packet that is
not joined is written as it came, even with a wrong checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from struct import Struct, pack_into

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
"""Flows joined at the same time."""
FRAMES_LIMIT = 256
"""Frames of one batch; after them new super-packets begin."""
SEGMENTS_LIMIT = 64
"""Packets of one super-packet."""
IP_LIMIT = 65535
"""Bytes of an IP packet."""

_ALONE = bytes(VNET_SIZE)
_IPV4_NUMBERS = Struct("!2xHH4xH12xI8xH")
_IPV6_NUMBERS = Struct("!4xH38xI8xH")
"""From the IP header on. IPv4: length, identification, checksum; IPv6: length. Then TCP's sequence number, checksum."""
_MODULUS = _NEVER_SENT = 0xFFFF
"""The modulus of sums; also the checksum that a sender replaces by 0."""
_IPV6_EXTENSIONS = frozenset({0, 43, 44, 51, 60})
"""Hop-by-hop options, routing, fragment, authentication, destination options: TCP or UDP may follow."""
_NO_FLOW, _ANY_FLOW = b"", b"?"
"""In place of a flow's key: a flow that is never joined, or an unknown one."""


@cache
def _mask(is_ipv4: bool, protocol: int, start: int, payload: int) -> int:  # noqa: FBT001
    """The header bits, as a big-endian number, that must be the same in all packets of a super-packet.

    All except lengths, IPv4's identification, sequence number, PSH and checksums.
    """
    mask = bytearray(b"\xff" * payload)
    transport = start + (IPV4_HEADER if is_ipv4 else IPV6_HEADER)
    if is_ipv4:
        mask[start + 2 : start + 6] = bytes(4)
        mask[start + 10 : start + 12] = bytes(2)
    else:
        mask[start + 4 : start + 6] = bytes(2)
    mask[transport + 4 : transport + 8] = bytes(4)  # TCP's sequence number, or UDP's length and checksum
    if protocol == TCP:
        mask[transport + 13] = 0xFF & ~PSH
        mask[transport + TCP_CHECKSUM : transport + TCP_CHECKSUM + 2] = bytes(2)
    return int.from_bytes(mask, "big")


class _Segment:
    """A packet that may be joined, with the fields that decide on this."""

    __slots__ = ("ident", "is_ipv4", "is_last", "packet", "payload", "protocol", "seq", "start", "transport")

    def __init__(self, packet: bytes, start: int, transport: int, protocol: int) -> None:
        self.packet = packet
        self.start = start
        self.transport = transport
        self.protocol = protocol
        self.is_ipv4 = transport - start == IPV4_HEADER
        self.ident = packet[start + 4] << 8 | packet[start + 5] if self.is_ipv4 else 0
        self.payload = transport + UDP_HEADER
        self.seq = 0
        self.is_last = False
        """Whether its PSH ends the super-packet."""


class _Run:
    """A growing super-packet."""

    __slots__ = (
        "alike", "base", "first", "ip_base", "is_right", "key", "length", "mask", "may_keep_ident", "packets",
        "payload", "segment_size", "start", "step",
    )  # fmt: skip

    def __init__(self, first: _Segment, key: bytes) -> None:
        packet = first.packet
        self.first = first
        self.key = key
        self.packets = [packet]
        self.start = first.start
        self.payload = first.payload
        self.mask = _mask(first.is_ipv4, first.protocol, first.start, first.payload)
        self.alike = int.from_bytes(packet[: first.payload], "big") & self.mask
        """The header bits that must be the same in all other packets."""
        self.segment_size = len(packet) - first.payload
        self.length = len(packet) - first.start
        """Bytes as an IP packet."""
        self.base = self.ip_base = 0
        """`base` plus a packet's sum (and IPv4's length) is 0 if the checksums are right. So is `ip_base` plus IPv4's
        length, identification and checksum. Known when `is_right` is."""
        self.step = 1
        """How much IPv4's identification grows from packet to packet."""
        # With Don't Fragment the identification means nothing (RFC 6864). IPv6 has none.
        self.may_keep_ident = not first.is_ipv4 or packet[first.start + 6] == 0x40
        self.is_right: bool | None = None
        """Whether the first packet's checksums are right; None: unknown yet."""

    def add(self, packet: _Segment) -> bool:
        """Appends a packet of the same flow if it belongs there; returns whether it did."""
        data = packet.packet
        return (
            packet.payload == self.payload
            and int.from_bytes(data[: self.payload], "big") & self.mask == self.alike
            and self._grow(data, packet.ident, packet.seq)
        )

    def follow(self, packet: bytes) -> bool:
        """As `add`, but quickly and for any packet; may refuse a packet that `add` would take."""
        first, payload = self.first, self.payload
        size = len(packet) - payload
        if first.protocol != TCP or size <= 0:
            return False
        # The same bits as the first TCP packet's mean: only data, if the packet is complete.
        if int.from_bytes(packet[:payload], "big") & self.mask != self.alike:
            return False
        if first.is_ipv4:
            length, ident, ip_sum, seq, tcp_sum = _IPV4_NUMBERS.unpack_from(packet, self.start)
        else:
            length, seq, tcp_sum = _IPV6_NUMBERS.unpack_from(packet, self.start)
            length, ident, ip_sum = length + IPV6_HEADER, 0, 0
        if length != len(packet) - self.start or (step := self._next_step(size, ident, seq)) is None:
            return False
        # The same as `_has_right_checksums`, by the sums learned from the first packet.
        if ip_sum == _NEVER_SENT or tcp_sum == _NEVER_SENT:
            return False
        rest = self.base + ones_sum(packet)
        if first.is_ipv4:
            if (self.ip_base + length + ident + ip_sum) % _MODULUS:
                return False
            rest += length
        if rest % _MODULUS:
            return False
        self.step = step
        self.length += size
        self.packets.append(packet)
        return True

    def _grow(self, packet: bytes, ident: int, seq: int) -> bool:
        """Appends a packet with the same headers if it is next, fits, and all checksums are right."""
        size = len(packet) - self.payload
        step = self._next_step(size, ident, seq)
        if step is None or not self._has_right_checksums(packet):
            return False
        self.step = step
        self.length += size
        self.packets.append(packet)
        return True

    def _next_step(self, size: int, ident: int, seq: int) -> int | None:
        """The `step` after appending a packet with the same headers; None: it does not belong there.

        It belongs there if it is next and fits, and the first packet's checksums are right.
        """
        first, count = self.first, len(self.packets)
        if (
            size > self.segment_size
            or count >= SEGMENTS_LIMIT
            or self.length + size > IP_LIMIT
            or (first.protocol == TCP and seq != (first.seq + count * self.segment_size) & 0xFFFFFFFF)
        ):
            return None
        step = self.step
        if count == 1 and self.may_keep_ident and ident == first.ident:
            step = 0
        if ident != (first.ident + count * step) & 0xFFFF:
            return None
        if self.is_right is None:
            self.is_right = self._has_right_checksums(first.packet)
            self._learn_sums()
        return step if self.is_right else None

    def _learn_sums(self) -> None:
        """Computes the part of the sums that is the same for all TCP segments of this super-packet.

        A packet's sum is the sum of three parts: the headers before IP, IP's header, and TCP's header with the payload.
        With a right TCP checksum, the last part and the pseudo header give 0. A right IPv4 header alone gives 0. IPv6's
        header has a length, which is also the one in the pseudo header.
        """
        start, transport = self.start, self.first.transport
        headers = self.alike.to_bytes(self.payload, "big")  # zero where packets differ
        self.ip_base = ones_sum(headers[start:transport])
        addresses = headers[start + (12 if self.first.is_ipv4 else 8) : transport]
        self.base = ones_sum(addresses) + TCP - ones_sum(headers[:start])
        self.base -= IPV4_HEADER if self.first.is_ipv4 else self.ip_base

    def _has_right_checksums(self, packet: bytes) -> bool:
        """Whether IP's and TCP's or UDP's checksums are what a sender writes.

        Of the two forms of zero a sender writes only one. A packet with the other would leave a super-packet changed.
        """
        first, start, transport = self.first, self.start, self.first.transport
        addresses = start + 8
        if first.is_ipv4:
            if ones_sum(packet[start:transport]) or packet[start + 10 : start + 12] == b"\xff\xff":
                return False
            addresses = start + 12
        if first.protocol == TCP and packet[transport + TCP_CHECKSUM : transport + TCP_CHECKSUM + 2] == b"\xff\xff":
            return False
        # The addresses are directly before the transport header, so one sum covers all.
        return checksum(packet[addresses:], first.protocol + len(packet) - transport) == 0

    def may_grow(self) -> bool:
        """Whether another packet may follow the last one."""
        last = self.packets[-1]
        is_pushed = self.first.protocol == TCP and last[self.first.transport + 13] & PSH
        return not is_pushed and len(last) - self.payload == self.segment_size

    def frame(self) -> bytes:
        """The frame to write."""
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
    """Joins the packets that one turn brings for the interface."""

    def __init__(self, *, uso: bool, layer2: bool) -> None:
        """`uso`: the kernel takes UDP super-packets. `layer2`: packets are Ethernet frames."""
        self._uso = uso
        self._layer2 = layer2
        self.merged_frames = 0
        """Super-packets made."""
        self.merged_packets = 0
        """Packets in them."""

    def coalesce(self, packets: Sequence[bytes]) -> list[bytes]:
        """The frames to write, each with its vnet header, for packets in the order in which they are due.

        A super-packet takes its first packet's place. Packets of one flow keep their order; other flows' packets that
        came between are behind it.
        """
        if len(packets) == 1:
            return [_ALONE + packets[0]]
        frames: list[_Run | bytes] = []
        runs: dict[bytes, _Run] = {}  # those that may still grow, the oldest first
        newest: _Run | None = None  # the one to which the packet before belongs
        batch_start = 0
        for packet in packets:
            if len(frames) - batch_start == FRAMES_LIMIT:
                batch_start = len(frames)
                runs.clear()
                newest = None
            if newest is not None and newest.follow(packet):
                if not newest.may_grow():
                    del runs[newest.key]
                    newest = None
                continue
            newest = None
            key, segment = self._look_at(packet)
            if key is _ANY_FLOW:
                runs.clear()
            run = runs.get(key)
            if run is not None:
                if segment is not None and run.add(segment):
                    if run.may_grow():
                        newest = run
                    else:
                        del runs[key]
                    continue
                del runs[key]
            if segment is None or segment.is_last:
                frames.append(_ALONE + packet)
                continue
            if len(runs) == RUNS_LIMIT:
                del runs[next(iter(runs))]
            runs[key] = newest = _Run(segment, key)
            frames.append(newest)
        return [frame if isinstance(frame, bytes) else self._finish(frame) for frame in frames]

    def _finish(self, run: _Run) -> bytes:
        if len(run.packets) > 1:
            self.merged_frames += 1
            self.merged_packets += len(run.packets)
        return run.frame()

    def _look_at(self, packet: bytes) -> tuple[bytes, _Segment | None]:
        """The key of a packet's flow, and the packet as a segment if it may be joined."""
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


def _is_tcp(segment: _Segment) -> bool:
    """Whether this is a TCP segment with data and nothing else; fills in its fields."""
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
    return True


def _is_udp(segment: _Segment) -> bool:
    """Whether this is a UDP datagram with data and a checksum."""
    packet, transport = segment.packet, segment.transport
    if len(packet) <= transport + UDP_HEADER:
        return False
    length = packet[transport + 4] << 8 | packet[transport + 5]
    return length == len(packet) - transport and packet[transport + 6 : transport + 8] != b"\0\0"
