"""Cuts what an interface with a vnet header gives into packets as they go on the wire.

The kernel hands over TCP and UDP in super-packets of up to 64 KiB, and leaves checksums to hardware that computes them.
Here is no such hardware, so this module makes all checksums of each packet right.
"""

from __future__ import annotations

from struct import Struct

from .checksum import ipv4_checksum, ones_sum, pseudo_sum
from .vnet import (
    CWR,
    ETHERNET_HEADER,
    FIN,
    GSO_ECN,
    GSO_NONE,
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

SEGMENTS_LIMIT = 8192
"""Segments of one super-packet: 64 KiB in segments of 8 bytes, the least that Linux leaves beside TCP's options."""

_MODULUS = 0xFFFF
_IPV4_CHANGES = Struct("!HH4sH")
"""From IPv4's length to its checksum: length, identification, unchanged bytes, checksum."""
_IPV6_CHANGES = Struct("!H")
"""IPv6's length."""
_TCP_CHANGES = Struct("!I5sB2sH")
"""From TCP's sequence number to its checksum: sequence number, unchanged bytes, flags, window, checksum."""
_UDP_CHANGES = Struct("!HH")
"""UDP's length and checksum."""
_KINDS = {
    GSO_TCPV4: (4, TCP),
    GSO_TCPV4 | GSO_ECN: (4, TCP),
    GSO_TCPV6: (6, TCP),
    GSO_TCPV6 | GSO_ECN: (6, TCP),
    GSO_UDP: (0, UDP),
}
"""IP version (0: any) and protocol of each kind of super-packet."""
_IPV6_OPTIONS = frozenset({0, 60})
"""Hop-by-hop and destination options (RFC 8200), which may precede TCP or UDP in a super-packet."""


def segment(frame: bytes, *, layer2: bool) -> list[bytes]:
    """The packets, or Ethernet frames with `layer2`, of one read: a vnet header and what follows it.

    Empty if header and packet do not fit together; the caller counts this as a drop.
    """
    if len(frame) <= VNET_SIZE:
        return []
    flags, kind, _, gso_size, csum_start, csum_offset = VNET.unpack_from(frame)
    packet = frame[VNET_SIZE:]
    if kind == GSO_NONE:
        return _with_checksum(packet, csum_start, csum_offset) if flags & NEEDS_CSUM else [packet]
    wanted = _KINDS.get(kind)
    if wanted is None or not gso_size:
        return []
    start = _network_start(packet, layer2=layer2)
    if start is None:
        return []
    transport = _transport_start(packet, start, *wanted)
    if transport is None:
        return []
    payload = _payload_start(packet, transport, wanted[1])
    if payload is None or len(packet) - payload > gso_size * SEGMENTS_LIMIT:
        return []
    return _split(packet, start, transport, payload, gso_size)


def _with_checksum(packet: bytes, start: int, offset: int) -> list[bytes]:
    """Finishes the checksum over all bytes from `start` on; its field is at `start + offset`."""
    field = start + offset
    if field + 2 > len(packet):
        return []
    rest = ones_sum(packet[start:])
    value = _MODULUS - rest if rest or offset == UDP_CHECKSUM else 0
    return [packet[:field] + value.to_bytes(2, "big") + packet[field + 2 :]]


def _network_start(packet: bytes, *, layer2: bool) -> int | None:
    """The IP header's offset, behind an Ethernet header with at most one VLAN tag; None: the frame has no IP."""
    if not layer2:
        return 0
    start = ETHERNET_HEADER
    ether_type = packet[12:start]
    if ether_type in VLAN_TYPES:
        start += VLAN_TAG
        ether_type = packet[start - 2 : start]
    version = packet[start] >> 4 if len(packet) > start else 0
    return start if (ether_type, version) in ((IPV4_TYPE, 4), (IPV6_TYPE, 6)) else None


def _transport_start(packet: bytes, start: int, wanted_version: int, wanted_protocol: int) -> int | None:
    """The transport header's offset; None: a fragment, another protocol, or wrong lengths."""
    size = len(packet)
    version = packet[start] >> 4
    if version == 4 and size >= start + IPV4_HEADER:
        transport = start + ((packet[start] & 0xF) << 2)
        length = packet[start + 2] << 8 | packet[start + 3]
        is_fragment = packet[start + 6] & 0x3F or packet[start + 7]
        if transport < start + IPV4_HEADER or length != size - start or is_fragment:
            return None
        protocol = packet[start + 9]
    elif version == 6 and size >= start + IPV6_HEADER:
        transport = start + IPV6_HEADER
        if IPV6_HEADER + (packet[start + 4] << 8 | packet[start + 5]) != size - start:
            return None
        protocol = packet[start + 6]
        while protocol in _IPV6_OPTIONS and transport + 8 <= size:
            protocol = packet[transport]
            transport += 8 + 8 * packet[transport + 1]
    else:
        return None
    return transport if protocol == wanted_protocol and wanted_version in (0, version) else None


def _payload_start(packet: bytes, transport: int, protocol: int) -> int | None:
    """The payload's offset; None: there is no payload, or the header is malformed."""
    size = len(packet)
    if protocol == UDP:
        payload = transport + UDP_HEADER
    elif transport + TCP_HEADER <= size:
        payload = transport + (packet[transport + 12] >> 4 << 2)
        if payload < transport + TCP_HEADER:
            return None
    else:
        return None
    return payload if payload < size else None


def _split(packet: bytes, start: int, transport: int, payload: int, gso_size: int) -> list[bytes]:
    """The segments of a super-packet whose headers have been checked.

    Fields that differ from segment to segment are zero in `header`; each segment's sum adds their values.
    """
    header = bytearray(packet[:payload])
    is_ipv4 = header[start] >> 4 == 4
    ident = ip_sum = 0
    ip_same = ack = window = b""
    if is_ipv4:
        addresses = packet[start + 12 : start + 20]
        ident = header[start + 4] << 8 | header[start + 5]
        header[start + 2 : start + 6] = bytes(4)
        ip_same = packet[start + 6 : start + 10]
        ip_sum = _MODULUS - ipv4_checksum(header[start:transport])
    else:
        addresses = packet[start + 8 : start + 40]
    is_tcp = payload - transport >= TCP_HEADER
    seq = flags = 0
    if is_tcp:
        seq = int.from_bytes(header[transport + 4 : transport + 8], "big")
        flags = header[transport + 13]
        ack, window = packet[transport + 8 : transport + 13], packet[transport + 14 : transport + 16]
        header[transport + 4 : transport + 8] = bytes(4)
        header[transport + 13] = 0
        header[transport + TCP_CHECKSUM : transport + TCP_CHECKSUM + 2] = bytes(2)
    else:
        header[transport + 4 : transport + 8] = bytes(4)  # length and checksum
    base = pseudo_sum(addresses, TCP if is_tcp else UDP, 0) + ones_sum(header[transport:])

    segments = []
    size = len(packet)
    for number, begin in enumerate(range(payload, size, gso_size)):
        data = packet[begin : begin + gso_size]
        length = payload - transport + len(data)  # from TCP's or UDP's header on
        if is_ipv4:
            total = transport - start + length
            rest = (ip_sum + total + ident) % _MODULUS
            _IPV4_CHANGES.pack_into(header, start + 2, total, ident, ip_same, _MODULUS - rest if rest else 0)
            ident = ident + 1 & 0xFFFF
        else:
            _IPV6_CHANGES.pack_into(header, start + 4, transport - start - IPV6_HEADER + length)
        rest = base + length + ones_sum(data)
        if is_tcp:
            # Only the last segment has PSH and FIN, only the first CWR (RFC 3168 §6.1.2).
            shown = flags & ~CWR if number else flags
            if begin + gso_size < size:
                shown &= ~(PSH | FIN)
            rest = (rest + seq + shown) % _MODULUS  # this adds both halves of seq: 65536 is 1 here
            _TCP_CHANGES.pack_into(header, transport + 4, seq, ack, shown, window, _MODULUS - rest if rest else 0)
            seq = seq + gso_size & 0xFFFFFFFF
        else:
            _UDP_CHANGES.pack_into(header, transport + 4, length, _MODULUS - (rest + length) % _MODULUS)
        segments.append(bytes(header) + data)
    return segments
