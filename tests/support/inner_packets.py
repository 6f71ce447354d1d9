"""Packets as hosts send them into a tunnel, made field by field. Checksums are 0, because nobody here checks them."""

from __future__ import annotations

import ipaddress

ACK, PSH_ACK, SYN, SYN_ACK, FIN_ACK, RST = 0x10, 0x18, 0x02, 0x12, 0x11, 0x04
"""TCP flags."""
HOST, SERVER = "10.42.0.2", "192.0.2.1"
HOST6, SERVER6 = "fd00:42::2", "2001:db8::1"


def ipv4(
    protocol: int, payload: bytes, *, options: bytes = b"", fragment: int = 0x4000, source: str = HOST, to: str = SERVER
) -> bytes:
    """An IPv4 packet. `fragment` holds the flags and the offset; the default is Don't Fragment."""
    length = 20 + len(options) + len(payload)
    start = bytes([0x45 + len(options) // 4, 0]) + length.to_bytes(2, "big") + b"\x12\x34" + fragment.to_bytes(2, "big")
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(to).packed
    return start + bytes([64, protocol, 0, 0]) + addresses + options + payload


def ipv6(next_header: int, payload: bytes, *, source: str = HOST6, to: str = SERVER6) -> bytes:
    """An IPv6 packet."""
    start = b"\x60\x00\x00\x00" + len(payload).to_bytes(2, "big") + bytes([next_header, 64])
    return start + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(to).packed + payload


def tcp(
    flags: int = ACK, payload: bytes = b"", *, options: bytes = b"", ports: tuple[int, int] = (40000, 443)
) -> bytes:
    """A TCP segment."""
    numbers = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + bytes(8)
    return numbers + bytes([(5 + len(options) // 4) << 4, flags]) + b"\x01\x00\x00\x00\x00\x00" + options + payload


def udp(payload: bytes, *, ports: tuple[int, int] = (40000, 53)) -> bytes:
    """A UDP datagram."""
    numbers = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    return numbers + (8 + len(payload)).to_bytes(2, "big") + b"\x00\x00" + payload


def frame(ether_type: int, payload: bytes, *tags: int) -> bytes:
    """An Ethernet frame. `tags` are the types of the VLAN tags in front."""
    vlan = b"".join(tag.to_bytes(2, "big") + b"\x00\x07" for tag in tags)
    return b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01" + vlan + ether_type.to_bytes(2, "big") + payload
