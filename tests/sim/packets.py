"""IPv4 packets of the hosts behind the tunnel: real headers, payloads of zeros, checksums that nobody checks.

Each packet has a number of 32 bits in the fields of its identification and of the header's checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from tests.bench.bonding.profiles import INNER_MTU, TCP_PAYLOAD

TCP_HEADERS = INNER_MTU - TCP_PAYLOAD
ACK = 0x8010
"""Data offset of 8 words, and the flag ACK."""
PING_SIZE = 84
STREAM_SIZE = 160
"""Bytes of a packet of a voice call."""
_TCP = Struct(">BBHHHBBH8sHHIIHHHHHBBII")
_UDP = Struct(">BBHHHBBH8sHHHHd")
_ICMP = Struct(">BBHHHBBH8sBBHHHd")
_PAYLOAD = bytes(TCP_PAYLOAD)
_BLOCK = Struct(">II")
_SACK_AT = TCP_HEADERS
MOST_BLOCKS = 3
"""SACK blocks that have room beside time stamps."""


class Segment(NamedTuple):
    """What a TCP segment says. Times are microseconds modulo 2^32."""

    seq: int
    ack: int
    stamp: int
    echo: int


_SEGMENT_AT = 24
_SEGMENT = Struct(">II12xII")


def data(number: int, addresses: bytes, ports: tuple[int, int], segment: Segment) -> bytes:
    """A full TCP segment."""
    return _headers(number, addresses, ports, segment, INNER_MTU, ACK) + _PAYLOAD


def ack(
    number: int, addresses: bytes, ports: tuple[int, int], segment: Segment, blocks: Sequence[tuple[int, int]]
) -> bytes:
    """A pure ACK with the first of these SACK blocks: begin and end in sequence numbers."""
    if not blocks:
        return _headers(number, addresses, ports, segment, TCP_HEADERS, ACK)
    options = bytes((1, 1, 5, 2 + 8 * len(blocks))) + b"".join(_BLOCK.pack(*block) for block in blocks)
    words = (TCP_HEADERS - 20 + len(options)) // 4
    size = TCP_HEADERS + len(options)
    return _headers(number, addresses, ports, segment, size, words << 12 | ACK & 0xFF) + options


def _headers(
    number: int, addresses: bytes, ports: tuple[int, int], segment: Segment, size: int, offset_and_flags: int
) -> bytes:
    ip = (0x45, 0, size, number & 0xFFFF, 0x4000, 64, 6, number >> 16, addresses)
    seq, acked, stamp, echo = segment
    return _TCP.pack(*ip, *ports, seq, acked, offset_and_flags, 0xFFFF, 0, 0, 0x0101, 8, 10, stamp, echo)


def read_segment(packet: bytes) -> tuple[int, ...]:
    """The fields of `Segment` in a packet of `data` or `ack`."""
    return _SEGMENT.unpack_from(packet, _SEGMENT_AT)


def read_blocks(packet: bytes) -> list[tuple[int, int]]:
    """The SACK blocks of a packet of `ack`."""
    return list(_BLOCK.iter_unpack(packet[_SACK_AT + 4 :])) if len(packet) > _SACK_AT else []


def datagram(number: int, addresses: bytes, port: int, sent_at: float) -> bytes:
    """A UDP packet of `STREAM_SIZE` bytes that says when it was sent."""
    ip = (0x45, 0, STREAM_SIZE, number & 0xFFFF, 0x4000, 64, 17, number >> 16, addresses)
    return _UDP.pack(*ip, port, port, STREAM_SIZE - 20, 0, sent_at).ljust(STREAM_SIZE, b"\0")


def echo(number: int, addresses: bytes, *, request: bool, sent_at: float) -> bytes:
    """An echo request, or the answer to the one that was sent at this time."""
    ip = (0x45, 0, PING_SIZE, number & 0xFFFF, 0x4000, 64, 1, number >> 16, addresses)
    return _ICMP.pack(*ip, 8 if request else 0, 0, 0, 1, 1, sent_at).ljust(PING_SIZE, b"\0")


def is_request(packet: bytes) -> bool:
    """Whether a packet of `echo` is a request."""
    return packet[20] == 8


_TIME = Struct(">d")


def read_time(packet: bytes) -> float:
    """When a packet of `datagram` or `echo` was sent first."""
    value: float = _TIME.unpack_from(packet, 28)[0]
    return value


def number_of(packet: bytes) -> int:
    """The packet's number."""
    return packet[10] << 24 | packet[11] << 16 | packet[4] << 8 | packet[5]


PORT = slice(22, 24)
"""Where a packet says whom it is for: TCP's and UDP's destination port. An echo has its checksum there, 0."""
ECHO = bytes(2)
