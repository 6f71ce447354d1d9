"""Datagrams in fragments, and behind IPv6 extension headers, made field by field."""

from __future__ import annotations

from .inner_packets import HOST, HOST6, SERVER, SERVER6, frame, ipv4, ipv6, udp

SIP, OTHER = (40000, 5060), (40000, 7000)
"""Ports of a datagram."""
FRAGMENT = 44
ETHER_TYPES = {4: 0x0800, 6: 0x86DD}


def extended(next_header: int, payload: bytes, *headers: int) -> tuple[int, bytes]:
    """A payload behind extension headers of these kinds, 8 and 16 bytes long by turns. Also returns the first kind."""
    kind, body = next_header, payload
    for index, header in enumerate(reversed(headers)):
        words = index % 2
        body = bytes([kind, words]) + bytes(6 + 8 * words) + body
        kind = header
    return kind, body


def pieces(
    version: int,
    *,
    ports: tuple[int, int] = SIP,
    size: int = 4000,
    ident: int = 7,
    each: int = 1400,
    headers: tuple[int, ...] = (),
    source: str = "",
    protocol: int = 17,
) -> list[bytes]:
    """The fragments of a datagram of `size` bytes, `each` bytes long, a multiple of 8. IPv6 may have more `headers`."""
    payload = udp(bytes(size), ports=ports)
    found = []
    for begin in range(0, len(payload), each):
        part, more = payload[begin : begin + each], begin + each < len(payload)
        if version == 4:
            packet = bytearray(ipv4(protocol, part, fragment=begin // 8 | more << 13, source=source or HOST, to=SERVER))
            packet[4:6] = ident.to_bytes(2, "big")
            found.append(bytes(packet))
        else:
            head = bytes([protocol, 0]) + (begin | more).to_bytes(2, "big") + ident.to_bytes(4, "big")
            kind, body = extended(FRAGMENT, head + part, *headers)
            found.append(ipv6(kind, body, source=source or HOST6, to=SERVER6))
    return found


def framed(packets: list[bytes], *tags: int) -> list[bytes]:
    """Each packet in an Ethernet frame."""
    return [frame(ETHER_TYPES[packet[0] >> 4], packet, *tags) for packet in packets]
