"""The header of protocol v1, 28 bytes before every payload.

     0      2      4           6          8        12       20        28
     +------+------+-----------+----------+--------+--------+---------+---------
     | len  | word | timestamp | ts_reply | flow_id|  seq   | data_seq| payload
     +------+------+-----------+----------+--------+--------+---------+---------

All fields are big-endian but `word`, which is little-endian: version in bits 0-3, type in 4-9, reorder in 10,
the rest zero and ignored. `len` counts the payload with its MAC. The header is in clear and not authenticated:
only `seq` and `flow_id` are, through the nonce, and `len`, through the MAC.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .constants import AUTH_OK_PLAINTEXT, AUTH_PLAINTEXT, HEADER_SIZE, VERSION
from .drops import DropReason

_STRUCT = struct.Struct(">HHHHIQQ")


class PacketType(enum.IntEnum):
    """What a datagram carries. 5 to 63 are free; forks have used 5 and 6 for their own."""

    AUTH = 0
    AUTH_OK = 1
    KEEPALIVE = 2
    DATA = 3
    DISCONNECT = 4


_LAST_TYPE = max(PacketType)


class Introduces(enum.IntEnum):
    """Whose packets of a type may bring a new flow to a link."""

    NOBODY = 0
    CLIENT = 1
    """A client's, to a server."""
    SERVER = 2
    """A server's, to a client that has asked."""


@dataclass(frozen=True, slots=True)
class Control:
    """A type of control packet: what stands in its box, and whose new flow it may bring."""

    size: int
    """Bytes of the plaintext."""
    only: bytes | None = None
    """The only legal plaintext; None: any of `size` bytes, whose fields the handler reads."""
    introduces: Introduces = Introduces.NOBODY

    def fits(self, plaintext: bytes) -> bool:
        """Whether an authentic plaintext is one of this type."""
        return len(plaintext) == self.size and self.only in (None, plaintext)


CONTROL: Mapping[int, Control] = {
    PacketType.AUTH: Control(len(AUTH_PLAINTEXT), AUTH_PLAINTEXT, Introduces.CLIENT),
    PacketType.AUTH_OK: Control(len(AUTH_OK_PLAINTEXT), AUTH_OK_PLAINTEXT, Introduces.SERVER),
    PacketType.KEEPALIVE: Control(0),
    PacketType.DISCONNECT: Control(0),
}
"""A row for each type but DATA, which carries an inner packet. C's table is generated from these rows."""


class Header(NamedTuple):
    """A parsed header. Every field is the sender's word, and proven only as the module says."""

    length: int
    type: int
    reorder: bool
    timestamp: int
    timestamp_reply: int
    flow_id: int
    seq: int
    data_seq: int


def _word(packet_type: int, *, reorder: bool) -> int:
    """The little-endian word, as the big-endian number that the struct packs."""
    little = VERSION | packet_type << 4 | reorder << 10
    return (little & 0xFF) << 8 | little >> 8


_WORDS: dict[tuple[int, bool], int] = {
    (int(t), reorder): _word(t, reorder=reorder) for t in PacketType for reorder in (False, True)
}


def pack(header: Header) -> bytes:
    """The 28 bytes of a header. Raises `struct.error` or `KeyError` for a field out of range: a fault of the caller."""
    length, packet_type, reorder, timestamp, timestamp_reply, flow_id, seq, data_seq = header
    word = _WORDS[packet_type, reorder]
    return _STRUCT.pack(length, word, timestamp, timestamp_reply, flow_id, seq, data_seq)


def parse(datagram: bytes) -> Header | DropReason:
    """The header of a datagram that came from outside, or why it is none of ours. Never raises."""
    if len(datagram) < HEADER_SIZE:
        return DropReason.SHORT if datagram else DropReason.EMPTY
    length, word, timestamp, timestamp_reply, flow_id, seq, data_seq = _STRUCT.unpack_from(datagram)
    if length == 0 or length != len(datagram) - HEADER_SIZE:
        return DropReason.BAD_LENGTH
    if word >> 8 & 0xF != VERSION:
        return DropReason.BAD_VERSION
    packet_type = word >> 12 | (word & 0x3) << 4
    if packet_type > _LAST_TYPE:
        return DropReason.UNKNOWN_TYPE
    return Header(length, packet_type, bool(word & 0x4), timestamp, timestamp_reply, flow_id, seq, data_seq)
