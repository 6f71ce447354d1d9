"""The packet inside DATA: whether it is one, as the header says, and what the scheduler must know of it.

A header is not authenticated, so the type of any packet can be changed on the way. A DATA that holds no packet was no
DATA.
"""

from __future__ import annotations

import enum
from zlib import crc32

SMALL_SIZE = 256
"""Bytes of the longest small IP packet; a voice frame, a DNS question or a move in a game is no longer."""

_IPV4_HEADER = 20
_IPV6_HEADER = 40
_ETHERNET_HEADER = 14
_VLAN_TAG = 4
_VLAN_TYPES = frozenset({b"\x81\x00", b"\x88\xa8"})
_IP_TYPES = frozenset({b"\x08\x00", b"\x86\xdd"})
_TCP = 6
_TCP_HEADER = 20
_UDP = 17
_LONGEST_TCP_HEADERS = 60 + 60
"""Bytes of an IP and a TCP header, at most; a longer packet has a payload."""
_ACK_ONLY = 0x10
_PUSH = 0x08
_FLAGS = 0x3F
"""Mask of all TCP flags but those of ECN (RFC 3168), which do not tell what a segment is."""
_MORE_FRAGMENTS_OR_OFFSET = 0x3F
_IPV6_EXTENSIONS = frozenset({0, 43, 44, 60})
"""Hop-by-hop options, routing, fragment, destination options (RFC 8200): anything may follow."""


class Kind(enum.IntEnum):
    """What a packet wants of the scheduler."""

    BULK = 0
    """Order and throughput."""
    SMALL = 1
    """Not TCP, at most `SMALL_SIZE` bytes: to arrive soon."""
    ACK = 2
    """A TCP segment that acknowledges and does nothing else: to arrive soon, and in order."""
    SHORT = 3
    """A TCP segment with a payload, at most `SMALL_SIZE` bytes: a keystroke, or the end of something long."""


_BULK, _SMALL, _ACK, _SHORT = (
    Kind.BULK,
    Kind.SMALL,
    Kind.ACK,
    Kind.SHORT,
)  # an enumeration's attribute takes longer to look up


def classify(packet: bytes, *, layer2: bool) -> tuple[Kind, int]:
    """The kind of an IP packet, or of a frame with `layer2`, and the key of its flow; any bytes have both.

    The key is zlib's CRC-32 of both addresses and, for TCP and UDP, both ports; it begins with the protocol's number.
    Fragments, the first too, have no ports in their key, so that all fragments of a packet are one flow. They are BULK.
    IPv6 extension headers are not followed: a packet with them is BULK and has no ports. A packet that is not IP has a
    key from its first 14 bytes, the header of a frame. Lengths are those in the IP header.
    """
    if layer2:
        frame = packet
        ether_type = frame[12:_ETHERNET_HEADER]
        start = _ETHERNET_HEADER
        if ether_type in _VLAN_TYPES:
            start += _VLAN_TAG
            ether_type = frame[start - 2 : start]
        if ether_type not in _IP_TYPES:
            return _not_ip(frame)
        packet = frame[start:]
    size = len(packet)
    if size < _IPV4_HEADER:
        return _not_ip(packet)
    first = packet[0]
    if 0x45 <= first <= 0x4F:
        protocol = packet[9]
        if packet[6] & _MORE_FRAGMENTS_OR_OFFSET or packet[7]:
            return _BULK, crc32(packet[12:20], protocol)
        length = packet[2] << 8 | packet[3]
        if protocol == _TCP or protocol == _UDP:
            if first == 0x45:  # addresses and ports are side by side
                header = _IPV4_HEADER
                key = crc32(packet[12:24], protocol)
            else:
                header = (first & 0xF) << 2
                key = crc32(packet[header : header + 4], crc32(packet[12:20], protocol))
            if protocol == _TCP:
                return (_short_tcp(packet, header, length) if length <= SMALL_SIZE else _BULK), key
        else:
            key = crc32(packet[12:20], protocol)
    elif first >> 4 == 6 and size >= _IPV6_HEADER:
        protocol = packet[6]
        length = _IPV6_HEADER + (packet[4] << 8 | packet[5])
        if protocol == _TCP:
            key = crc32(packet[8:44], _TCP)
            return (_short_tcp(packet, _IPV6_HEADER, length) if length <= SMALL_SIZE else _BULK), key
        if protocol == _UDP:
            key = crc32(packet[8:44], _UDP)
        else:
            key = crc32(packet[8:40], protocol)
            if protocol in _IPV6_EXTENSIONS:
                return _BULK, key
    else:
        return _not_ip(packet)
    return _SMALL if length <= SMALL_SIZE else _BULK, key


def _short_tcp(packet: bytes, header: int, length: int) -> Kind:
    """The kind of a short TCP segment behind `header` bytes of IP header. One that begins or ends something is BULK."""
    if len(packet) < header + _TCP_HEADER:
        return _BULK
    flags = packet[header + 13] & _FLAGS
    if header + (packet[header + 12] >> 4 << 2) == length:
        return _ACK if flags == _ACK_ONLY else _BULK
    return _SHORT if flags & ~_PUSH == _ACK_ONLY else _BULK


def segment_name(packet: bytes, *, layer2: bool) -> bytes | None:
    """The name of a TCP segment with payload: addresses, ports and sequence number, as they stand in the packet.

    None for all else, for fragments, behind IPv6 extension headers, and for packets that may be all headers.
    """
    if layer2:
        start = ip_in_frame(packet)
        if not start:
            return None
        packet = packet[start:]
    if len(packet) <= _LONGEST_TCP_HEADERS:
        return None
    first = packet[0]
    if 0x45 <= first <= 0x4F:
        if packet[9] != _TCP or packet[6] & _MORE_FRAGMENTS_OR_OFFSET or packet[7]:
            return None
        if first == 0x45:
            return packet[12:28]
        header = (first & 0xF) << 2
        return packet[12:20] + packet[header : header + 8]
    return packet[8:48] if first >> 4 == 6 and packet[6] == _TCP else None


def ip_in_frame(frame: bytes) -> int:
    """Where the IP packet in an Ethernet frame begins, behind one VLAN tag at most; 0: there is none."""
    start = _ETHERNET_HEADER + (_VLAN_TAG if frame[12:_ETHERNET_HEADER] in _VLAN_TYPES else 0)
    return start if frame[start - 2 : start] in _IP_TYPES else 0


def _not_ip(packet: bytes) -> tuple[Kind, int]:
    return _SMALL if len(packet) <= SMALL_SIZE else _BULK, crc32(packet[:_ETHERNET_HEADER])


def packet_from(plaintext: bytes, *, layer2: bool) -> bytes | None:
    """The IP packet or Ethernet frame in the payload of a DATA, or None if there is none.

    BSD peers send 4 stray bytes after each IP packet (mlvpn-protocol(7)), so the length in the IP header counts.
    """
    size = len(plaintext)
    if layer2:
        return plaintext if size >= _ETHERNET_HEADER else None
    if not size:
        return None
    version = plaintext[0] >> 4
    if version == 4 and size >= _IPV4_HEADER:
        length = plaintext[2] << 8 | plaintext[3]
        minimum = _IPV4_HEADER
    elif version == 6 and size >= _IPV6_HEADER:
        length = _IPV6_HEADER + (plaintext[4] << 8 | plaintext[5])
        minimum = _IPV6_HEADER
    else:
        return None
    if length == size:
        return plaintext
    return plaintext[:length] if minimum <= length < size else None
