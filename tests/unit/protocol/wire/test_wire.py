"""The header, byte for byte."""

from __future__ import annotations

import struct

import pytest

from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.constants import HEADER_SIZE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import Header, PacketType
from tests.support.vectors import VECTORS, Vector

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
GOOD = wire.pack(Header(4, PacketType.DATA, True, 1, 2, 3, 4, 5)) + b"data"


def header_of(vector: Vector) -> Header:
    return Header(
        len(vector.datagram) - HEADER_SIZE,
        vector.type,
        bool(vector.reorder),
        vector.timestamp,
        vector.timestamp_reply,
        vector.flow_id,
        vector.seq,
        vector.data_seq,
    )


@each_vector
def test_packs_as_upstream(vector: Vector) -> None:
    assert wire.pack(header_of(vector)) == vector.header


@each_vector
def test_parses_upstream(vector: Vector) -> None:
    assert wire.parse(vector.datagram) == header_of(vector)


@pytest.mark.parametrize(
    ("packet_type", "octets"),
    [
        (PacketType.AUTH, "0104"),
        (PacketType.AUTH_OK, "1104"),
        (PacketType.KEEPALIVE, "2104"),
        (PacketType.DATA, "3104"),
        (PacketType.DISCONNECT, "4104"),
    ],
)
def test_the_word_is_little_endian(packet_type: PacketType, octets: str) -> None:
    assert wire.pack(Header(16, packet_type, True, 0, 0, 0, 0, 0))[2:4].hex() == octets


def test_reorder_bit_is_bit_10() -> None:
    assert wire.pack(Header(16, PacketType.DATA, False, 0, 0, 0, 0, 0))[2:4].hex() == "3100"


def test_unused_bits_are_ignored() -> None:
    assert wire.parse(GOOD[:3] + bytes([GOOD[3] | 0xF8]) + GOOD[4:]) == wire.parse(GOOD)


@pytest.mark.parametrize("size", [1, HEADER_SIZE - 1])
def test_short(size: int) -> None:
    assert wire.parse(GOOD[:size]) is DropReason.SHORT


def test_an_empty_datagram_is_a_probe_and_no_fault() -> None:
    assert wire.parse(b"") is DropReason.EMPTY


@pytest.mark.parametrize("length", [0, 3, 5, 0xFFFF])
def test_the_length_must_be_that_of_the_datagram(length: int) -> None:
    assert wire.parse(struct.pack(">H", length) + GOOD[2:]) is DropReason.BAD_LENGTH


def test_a_header_alone_carries_nothing() -> None:
    assert wire.parse(bytes(2) + GOOD[2:HEADER_SIZE]) is DropReason.BAD_LENGTH


@pytest.mark.parametrize("version", [0, 2, 15])
def test_other_versions(version: int) -> None:
    assert wire.parse(GOOD[:2] + bytes([0x30 | version]) + GOOD[3:]) is DropReason.BAD_VERSION


@pytest.mark.parametrize("packet_type", [5, 6, 15, 16, 19, 63])
def test_other_types(packet_type: int) -> None:
    word = struct.pack("<H", 1 | packet_type << 4 | 1 << 10)
    assert wire.parse(GOOD[:2] + word + GOOD[4:]) is DropReason.UNKNOWN_TYPE


@pytest.mark.parametrize("place", [0, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_a_field_out_of_range_is_our_fault(place: int, value: int) -> None:
    fields: list[int] = [16, PacketType.DATA, True, 0, 0, 0, 0, 0]
    fields[place] = value
    with pytest.raises(struct.error):
        wire.pack(Header._make(fields))


def test_an_unknown_type_is_never_sent() -> None:
    with pytest.raises(KeyError):
        wire.pack(Header(16, 5, True, 0, 0, 0, 0, 0))
