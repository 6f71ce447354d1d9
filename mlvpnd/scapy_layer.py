"""MLVPN protocol v1 for scapy.

Written from the description of C MLVPN's wire format alone. It shares no line with `protocol/`, so that a
mistake made there is not made here as well; nothing in the daemon imports it.

    datagram  = MLVPN header (28 bytes) / box or plain packet
    header    = len 2, word 2 (little-endian), timestamp 2, timestamp_reply 2, flow_id 4, seq 8, data_seq 8
    word      = version bits 0-3, type bits 4-9, reorder bit 10, unused bits 11-15
    box       = MAC 16, then the ciphertext (XSalsa20-Poly1305)
"""

from __future__ import annotations

import struct
from typing import Any

from nacl.encoding import RawEncoder
from nacl.exceptions import CryptoError
from nacl.hash import blake2b
from nacl.secret import SecretBox
from scapy.fields import (
    BitEnumField,
    BitField,
    LongField,
    ShortField,
    XIntField,
    XShortField,
    XStrField,
    XStrFixedLenField,
)
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

HEADER_SIZE = 28
MAC_SIZE = 16
NO_TIMESTAMP = 0xFFFF
"""In `timestamp_reply`: none."""

AUTH, AUTH_OK, KEEPALIVE, DATA, DISCONNECT = range(5)
TYPES = {AUTH: "AUTH", AUTH_OK: "AUTH_OK", KEEPALIVE: "KEEPALIVE", DATA: "DATA", DISCONNECT: "DISCONNECT"}
PLAINTEXTS = {AUTH: b"AU", AUTH_OK: b"OK", KEEPALIVE: b"", DISCONNECT: b""}
"""What the box of a control datagram holds."""


class OpenError(ValueError):
    """A datagram that does not open; its text says why."""


class MLVPNBox(Packet):
    """A sealed payload: the MAC comes first."""

    name = "MLVPN box"
    fields_desc = [  # noqa: RUF012  scapy's way to declare a layer
        XStrFixedLenField("mac", bytes(MAC_SIZE), MAC_SIZE),
        XStrField("ciphertext", b""),
    ]


class MLVPN(Packet):
    """The header. `len` left at None is filled in when built; bytes after `len` are Padding.

    Fewer than 28 bytes dissect to Raw. The payload of DATA is Raw, because a datagram does not
    say whether it is boxed; `open_` turns it into a packet.
    """

    name = "MLVPN"
    fields_desc = [  # noqa: RUF012  scapy's way to declare a layer
        ShortField("len", None),
        BitField("unused", 0, 5, tot_size=-2),  # negative: the word that begins here is little-endian
        BitField("reorder", 1, 1),
        BitEnumField("type", DATA, 6, TYPES),
        BitField("version", 1, 4, end_tot_size=-2),
        XShortField("timestamp", 0),
        XShortField("timestamp_reply", NO_TIMESTAMP),
        XIntField("flow_id", 0),
        LongField("seq", 0),
        LongField("data_seq", 0),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kwargs: Any) -> type[Packet]:
        return Raw if _pkt is not None and len(_pkt) < HEADER_SIZE else cls

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.len is None:
            pkt = struct.pack("!H", len(pay)) + pkt[2:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return s[: self.len], s[self.len :]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        return MLVPNBox if self.type != DATA and len(payload) >= MAC_SIZE else Raw

    def mysummary(self) -> str:
        return str(self.sprintf("MLVPN %MLVPN.type% seq %MLVPN.seq% flow %MLVPN.flow_id%"))


def derive_key(password: bytes) -> bytes:
    """The one key of a tunnel: unkeyed BLAKE2b-256 of the password."""
    return blake2b(password, digest_size=32, encoder=RawEncoder)


def nonce(seq: int, flow_id: int) -> bytes:
    """The 24 bytes that seal a datagram: both numbers little-endian, though the header has them big-endian."""
    return struct.pack("<QI12x", seq, flow_id)


def is_boxed(packet: Packet, *, cleartext: bool) -> bool:
    """Whether the payload of such a datagram is a box; `cleartext` is the tunnel's `cleartext_data`."""
    return not (cleartext and packet.type == DATA)


def with_payload(packet: Packet, payload: Packet | bytes, *, length: int | None = None) -> Packet:
    """A copy of `packet`'s header over another payload; `length` None is filled in when built."""
    fields = {field.name: packet.getfieldval(field.name) for field in MLVPN.fields_desc}
    fields["len"] = length
    return MLVPN(**fields) / payload


def seal(packet: Packet, key: bytes, *, cleartext: bool = False) -> Packet:
    """MLVPN over a plain payload -> the datagram as it is sent, `len` included."""
    body = bytes(packet.payload)
    if not is_boxed(packet, cleartext=cleartext):
        return with_payload(packet, body, length=len(body))
    body = SecretBox(key).encrypt(body, nonce(packet.seq, packet.flow_id)).ciphertext
    box = MLVPNBox(mac=body[:MAC_SIZE], ciphertext=body[MAC_SIZE:])
    return with_payload(packet, box, length=len(body))


def plaintext(packet: Packet, key: bytes, *, cleartext: bool = False) -> bytes:
    """What a received datagram carries, without looking into it. Raises OpenError."""
    if not isinstance(packet, MLVPN):
        raise OpenError("shorter than a header")
    body = bytes(packet.payload)
    if packet.len is not None:
        if packet.len > len(body):
            raise OpenError(f"len says {packet.len}, {len(body)} bytes are there")
        body = body[: packet.len]
    if not is_boxed(packet, cleartext=cleartext):
        return body
    if len(body) < MAC_SIZE:
        raise OpenError("shorter than a MAC")
    try:
        return SecretBox(key).decrypt(body, nonce(packet.seq, packet.flow_id))
    except CryptoError:
        raise OpenError("box does not open") from None


def inner_packet(data: bytes, *, tap: bool = False) -> Packet:
    """What DATA carried: Ether, IP or IPv6; Raw when it is none of them."""
    version = data[0] >> 4 if data else 0
    layer: type[Packet] | None = Ether if tap else {4: IP, 6: IPv6}.get(version)
    if layer is not None and data:
        try:
            return layer(data)
        except Exception:  # noqa: S110  scapy's dissectors raise whatever hostile bytes lead them to
            pass
    return Raw(data)


def open_(packet: Packet, key: bytes, *, cleartext: bool = False, tap: bool = False) -> Packet:
    """A received datagram -> its header over what it carried: a packet or frame, or a control's plaintext.

    `len` stays as received. Raises OpenError.
    """
    data = plaintext(packet, key, cleartext=cleartext)
    payload = inner_packet(data, tap=tap) if packet.type == DATA else Raw(data)
    return with_payload(packet, payload, length=packet.len)


def is_plausible(packet: Packet) -> bool:
    """Whether a datagram looks like MLVPN by its header alone."""
    return (
        isinstance(packet, MLVPN)
        and packet.version in (0, 1)
        and packet.unused == 0
        and packet.type in TYPES
        and packet.len >= 1
        and packet.len == len(bytes(packet.payload))
    )
