"""Packets of TCP and UDP flows with right checksums, made field by field and summed word by word (RFC 1071 §1)."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field, replace

TIMESTAMPS = b"\x01\x01\x08\x0a" + b"\x00\x00\x10\x00" * 2
"""TCP options that almost every segment has."""


def checksum(data: bytes) -> int:
    """The checksum as the RFC describes it, one word after the other."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True)
class Fields:
    """All of a packet's fields except lengths and checksums."""

    version: int = 4
    is_udp: bool = False
    host: int = 2
    port: int = 40000
    tos: int = 0
    ttl: int = 64
    ident: int = 100
    fragment: int = 0x4000
    label: int = 0
    """IPv6's flow label."""
    seq: int = 1000
    ack: int = 5
    flags: int = 0x10
    reserved: int = 0
    """The bits beside TCP's data offset."""
    window: int = 501
    urgent: int = 0
    options: bytes = TIMESTAMPS
    ip_options: bytes = b""
    payload: bytes = field(default=b"", repr=False)

    def transport(self, start: bytes) -> bytes:
        """The packet behind IP's header; `start` is the pseudo header without the length."""
        if self.is_udp:
            length = 8 + len(self.payload)
            head = struct.pack("!HHHH", self.port, 443, length, 0)
            value = checksum(start + struct.pack("!I", length) + head + self.payload) or 0xFFFF
            return head[:6] + value.to_bytes(2, "big") + self.payload
        offset = (20 + len(self.options)) << 2 | self.reserved
        head = struct.pack("!HHIIBBH", self.port, 443, self.seq, self.ack, offset, self.flags, self.window)
        tail = self.urgent.to_bytes(2, "big") + self.options + self.payload
        length = len(head) + 2 + len(tail)
        value = checksum(start + struct.pack("!I", length) + head + b"\0\0" + tail)
        return head + value.to_bytes(2, "big") + tail

    def packet(self) -> bytes:
        """The bytes of the packet."""
        protocol = 17 if self.is_udp else 6
        if self.version == 6:
            addresses = b"".join(ipaddress.IPv6Address(f"fd00::{end}").packed for end in (self.host, 1))
            body = self.transport(addresses + struct.pack("!I", protocol))
            first = 6 << 28 | self.tos << 20 | self.label
            return struct.pack("!IHBB", first, len(body), protocol, self.ttl) + addresses + body
        addresses = bytes([10, 0, 0, self.host, 10, 0, 0, 1])
        body = self.transport(addresses + struct.pack("!I", protocol))
        size = 20 + len(self.ip_options)
        words = (0x40 | size >> 2, self.tos, size + len(body), self.ident, self.fragment, self.ttl, protocol)
        start = struct.pack("!BBHHHBB", *words)
        tail = addresses + self.ip_options
        return start + checksum(start + b"\0\0" + tail).to_bytes(2, "big") + tail + body

    def next(self, payload: bytes, **changes: object) -> Fields:
        """The next packet of its flow, with `changes`."""
        following = replace(
            self,
            payload=payload,
            seq=(self.seq + len(self.payload)) & 0xFFFFFFFF,
            ident=(self.ident + 1) & 0xFFFF,
        )
        return replace(following, **changes)  # type: ignore[arg-type]


def run_of(first: Fields, *sizes: int) -> list[Fields]:
    """Consecutive packets of a flow with payloads of these sizes. The first one's payload is replaced."""
    fields = [replace(first, payload=_payload(0, sizes[0]))]
    for number, size in enumerate(sizes[1:], 1):
        fields.append(fields[-1].next(_payload(number, size)))
    return fields


def _payload(number: int, size: int) -> bytes:
    return bytes((number * 37 + index * 11) & 0xFF for index in range(size))
