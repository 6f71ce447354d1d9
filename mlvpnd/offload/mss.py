"""Lowers the largest segment that two TCP hosts allow each other to what the tunnel's interface takes.

A host whose network takes 1500 bytes asks for segments that fill them, which are too long for the tunnel. The answer to
such a segment is an ICMP packet, which many sites drop: then nothing long ever arrives. So the option in each SYN is
lowered in both directions. It is never raised or added: without it a host sends 536 bytes (RFC 9293 §3.7.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .vnet import (
    ETHERNET_HEADER,
    IPV4_HEADER,
    IPV4_TYPE,
    IPV6_HEADER,
    IPV6_TYPE,
    SYN,
    TCP,
    TCP_CHECKSUM,
    TCP_FLAGS,
    TCP_HEADER,
    VLAN_TAG,
    VLAN_TYPES,
)

_END, _NO_OPERATION, _MAXIMUM_SEGMENT_SIZE = 0, 1, 2
"""Kinds of TCP options (RFC 9293 §3.2)."""
_OPTION_SIZE = 4
"""Bytes of the option: kind, length, and segment size."""
_IPV6_EXTENSIONS = frozenset({0, 43, 60})
"""Hop-by-hop options, routing, destination options (RFC 8200): TCP may follow them."""
_USUAL_FIRST = 0x45
"""The first byte of an IPv4 header without options."""
_IPV4_FLAGS, _IPV6_FLAGS = IPV4_HEADER + TCP_FLAGS, IPV6_HEADER + TCP_FLAGS
"""Offset of TCP's flags behind IP headers without options and extensions."""
_FRAGMENT = 0x3F
"""Bits in the upper byte of flags and offset: more fragments follow, or some came before."""


def limits_for(mtu: int) -> tuple[int, int]:
    """The largest segments, in bytes, for an interface of `mtu` bytes, over IPv4 and over IPv6; at least 1."""
    return max(1, mtu - IPV4_HEADER - TCP_HEADER), max(1, mtu - IPV6_HEADER - TCP_HEADER)


def clamp_all(packets: Sequence[bytes], ipv4: int, ipv6: int, *, layer2: bool) -> Sequence[bytes]:
    """Applies `clamp_mss` to a burst in which most packets are no SYN; returns the burst itself if none is."""
    doubtful = [*_doubtful_frames(packets)] if layer2 else _doubtful(packets)
    if not doubtful:
        return packets
    found = list(packets)
    for index in doubtful:
        found[index] = clamp_mss(found[index], ipv4, ipv6, layer2=layer2)
    return found


def _doubtful(packets: Sequence[bytes]) -> Sequence[int]:
    """The indexes of packets that may be SYNs, by the byte that tells it of most packets.

    A call for each packet would take some ten times as long. IPv4 headers mostly have no options, IPv6 headers no
    extensions; most bursts are of one version.
    """
    shortest = min(map(len, packets), default=0)
    if shortest > _IPV6_FLAGS and packets[0][0] >> 4 == 6:
        return [
            index
            for index, packet in enumerate(packets)
            if packet[_IPV6_FLAGS] & SYN or packet[6] != TCP or packet[0] >> 4 != 6
        ]
    if shortest > _IPV4_FLAGS:
        return [index for index, packet in enumerate(packets) if packet[_IPV4_FLAGS] & SYN or packet[0] != _USUAL_FIRST]
    return range(len(packets))


def _doubtful_frames(packets: Sequence[bytes]) -> Iterator[int]:
    """As `_doubtful`, for Ethernet frames."""
    flags = ETHERNET_HEADER + _IPV4_FLAGS
    for index, packet in enumerate(packets):
        is_usual = len(packet) > flags and packet[12:ETHERNET_HEADER] == IPV4_TYPE
        if not is_usual or packet[flags] & SYN or packet[ETHERNET_HEADER] != _USUAL_FIRST:
            yield index


def clamp_mss(packet: bytes, ipv4: int, ipv6: int, *, layer2: bool) -> bytes:
    """Lowers the maximum segment size of a SYN to the limit; `packet` is an IP packet, or a frame with `layer2`.

    `ipv4` and `ipv6` are the limits, in bytes behind the headers of IP and TCP; 0: no limit. The checksum is corrected
    by the difference (RFC 1624), so a wrong one stays wrong. Other packets and fragments are returned unchanged.
    Options count only up to the first malformed one, as with the host that reads them.
    """
    start = _network_start(packet) if layer2 else 0
    if start is None or len(packet) < start + IPV4_HEADER:
        return packet
    version = packet[start] >> 4
    limit = ipv4 if version == 4 else ipv6
    transport = _ipv4_tcp(packet, start) if version == 4 else _ipv6_tcp(packet, start) if version == 6 else None
    if not limit or transport is None or len(packet) < transport + TCP_HEADER:
        return packet
    end = transport + (packet[transport + 12] >> 4 << 2)
    if not packet[transport + TCP_FLAGS] & SYN or end > len(packet):
        return packet
    at = transport + TCP_HEADER
    while at + 1 < end and packet[at] != _END:
        if packet[at] == _NO_OPERATION:
            at += 1
            continue
        size = packet[at + 1]
        if size < 2 or at + size > end:
            break
        if packet[at] == _MAXIMUM_SEGMENT_SIZE and size == _OPTION_SIZE:
            packet = _lowered(packet, transport, at + 2, limit)
        at += size
    return packet


def _network_start(frame: bytes) -> int | None:
    """The offset of a frame's IP header, behind at most one VLAN tag; None: there is none."""
    start = ETHERNET_HEADER
    ether_type = frame[12:start]
    if ether_type in VLAN_TYPES:
        start += VLAN_TAG
        ether_type = frame[start - 2 : start]
    version = frame[start] >> 4 if len(frame) > start else 0
    return start if (ether_type, version) in ((IPV4_TYPE, 4), (IPV6_TYPE, 6)) else None


def _ipv4_tcp(packet: bytes, start: int) -> int | None:
    header = (packet[start] & 0xF) << 2
    is_fragment = packet[start + 6] & _FRAGMENT or packet[start + 7]
    return start + header if packet[start + 9] == TCP and header >= IPV4_HEADER and not is_fragment else None


def _ipv6_tcp(packet: bytes, start: int) -> int | None:
    at = start + IPV6_HEADER
    if len(packet) < at:
        return None
    protocol = packet[start + 6]
    while protocol in _IPV6_EXTENSIONS and at + 8 <= len(packet):
        protocol = packet[at]
        at += 8 + 8 * packet[at + 1]
    return at if protocol == TCP else None


def _lowered(packet: bytes, transport: int, field: int, limit: int) -> bytes:
    """The packet with the size at `field` lowered, and the checksum of TCP's header at `transport` corrected."""
    before = packet[field] << 8 | packet[field + 1]
    if before <= limit:
        return packet
    changed = bytearray(packet)
    changed[field : field + 2] = limit.to_bytes(2, "big")
    place = transport + TCP_CHECKSUM
    after = limit
    if (field - transport) & 1:  # its bytes belong to two words of the sum
        before, after = _swapped(before), _swapped(after)
    rest = (0xFFFF - (packet[place] << 8 | packet[place + 1])) + (0xFFFF - before) + after
    while rest > 0xFFFF:
        rest = (rest & 0xFFFF) + (rest >> 16)
    changed[place : place + 2] = (0xFFFF - rest).to_bytes(2, "big")
    return bytes(changed)


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
