"""Super-packets and unfinished checksums from the interface, made into packets; on both twins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlvpnd.offload.segment import segment
from mlvpnd.offload.vnet import GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP, NEEDS_CSUM, VNET
from tests.support.inner_packets import frame
from tests.support.stream_packets import Fields, run_of

MACS = {4: 0x0800, 6: 0x86DD}


def vnet(kind: int, gso_size: int, *, flags: int = NEEDS_CSUM, start: int = 0, offset: int = 0) -> bytes:
    """A header whose hdr_len is as wrong as the kernel's may be."""
    return VNET.pack(flags, kind, 7, gso_size, start, offset)


def super_packet(fields: list[Fields], *, flags: int | None = None) -> bytes:
    """All payloads behind the first packet's headers: as the kernel hands them over, but for the checksums."""
    first = fields[0]
    return replace(
        first, payload=b"".join(part.payload for part in fields), flags=first.flags if flags is None else flags
    ).packet()


def kind_of(fields: Fields) -> int:
    return GSO_UDP if fields.is_udp else GSO_TCPV4 if fields.version == 4 else GSO_TCPV6


FLOWS = [
    Fields(),
    Fields(options=b""),
    Fields(version=6, label=0x12345, tos=2),
    Fields(ident=0xFFFE, seq=0xFFFFFF00, fragment=0, tos=1),
    Fields(ip_options=b"\x01\x01\x01\x00"),
    Fields(is_udp=True),
    Fields(is_udp=True, version=6),
]


@pytest.mark.parametrize("first", FLOWS)
@pytest.mark.parametrize("sizes", [(100, 100, 100), (100, 100, 7), (1001, 1001, 1), (64,), (1, 1)])
@pytest.mark.parametrize("tags", [None, (), (0x8100,)])
def test_a_super_packet_is_split(first: Fields, sizes: tuple[int, ...], tags: tuple[int, ...] | None) -> None:
    fields = run_of(first, *sizes)
    expected, whole = [part.packet() for part in fields], super_packet(fields)
    if tags is not None:
        ether_type = MACS[first.version]
        expected, whole = [frame(ether_type, part, *tags) for part in expected], frame(ether_type, whole, *tags)
    assert segment(vnet(kind_of(first), sizes[0]) + whole, layer2=tags is not None) == expected


def test_push_and_fin_are_of_the_last_cwr_of_the_first() -> None:
    ack, psh, fin, cwr, ece, urg = 0x10, 0x08, 0x01, 0x80, 0x40, 0x20
    fields = run_of(Fields(), 50, 50, 50)
    flags = ack | psh | fin | cwr | ece | urg
    shown = (ack | cwr | ece | urg, ack | ece | urg, ack | psh | fin | ece | urg)
    expected = [replace(part, flags=each).packet() for part, each in zip(fields, shown, strict=True)]
    whole = super_packet(fields, flags=flags)
    assert segment(vnet(GSO_TCPV4 | GSO_ECN, 50) + whole, layer2=False) == expected
    single = replace(fields[0], flags=flags).packet()
    assert segment(vnet(GSO_TCPV4, 50) + single, layer2=False) == [single]


def test_options_of_ipv6_may_stand_before_tcp() -> None:
    fields = run_of(Fields(version=6), 30, 30)
    padding = b"\x06\x00\x01\x04\x00\x00\x00\x00"  # next header TCP, and PadN

    def with_options(packet: bytes) -> bytes:
        length = int.from_bytes(packet[4:6], "big") + len(padding)
        return packet[:4] + length.to_bytes(2, "big") + b"\x3c" + packet[7:40] + padding + packet[40:]

    expected = [with_options(part.packet()) for part in fields]
    assert segment(vnet(GSO_TCPV6, 30) + with_options(super_packet(fields)), layer2=False) == expected


@pytest.mark.parametrize("first", [Fields(), Fields(version=6), Fields(is_udp=True), Fields(is_udp=True, version=6)])
def test_a_checksum_is_finished(first: Fields) -> None:
    """The field holds the sum of the pseudo header. Summed with all else and complemented, it is the checksum."""
    packet = replace(first, payload=b"odd").packet()
    transport = 20 if first.version == 4 else 40
    offset = 6 if first.is_udp else 16
    addresses = packet[12:20] if first.version == 4 else packet[8:40]
    pseudo = (
        addresses + bytes([0, packet[9] if first.version == 4 else packet[6]]) + (len(packet) - transport).to_bytes(2)
    )
    total = sum(int.from_bytes(pseudo[at : at + 2], "big") for at in range(0, len(pseudo), 2)) % 65535
    field = transport + offset
    partial = packet[:field] + total.to_bytes(2, "big") + packet[field + 2 :]
    header = vnet(GSO_NONE, 0, start=transport, offset=offset)
    assert segment(header + partial, layer2=False) == [packet]


def test_what_would_be_no_checksum_of_udp() -> None:
    zero = b"\x00\x01\x00\x02\xff\xfc\x00\x00"  # sums to 65535
    assert segment(vnet(GSO_NONE, 0, offset=6) + zero, layer2=False) == [zero[:6] + b"\xff\xff"]
    assert segment(vnet(GSO_NONE, 0, offset=4) + zero, layer2=False) == [zero[:4] + bytes(4)]


def test_what_needs_nothing_goes_as_it_is() -> None:
    for packet in (Fields().packet(), b"\x00", b"whatever"):
        assert segment(bytes(10) + packet, layer2=False) == [packet]
        assert segment(vnet(GSO_NONE, 1400, flags=2, start=60000) + packet, layer2=True) == [packet]


WHOLE = super_packet(run_of(Fields(), 100, 100, 50))
WHOLE6 = super_packet(run_of(Fields(version=6), 100, 100, 50))
WHOLE_UDP = super_packet(run_of(Fields(is_udp=True), 100, 100, 50))


def with_byte(packet: bytes, at: int, value: int) -> bytes:
    return packet[:at] + bytes([value]) + packet[at + 1 :]


@pytest.mark.parametrize(
    "read",
    [
        b"",
        bytes(9),
        bytes(10),
        vnet(GSO_TCPV4, 0) + WHOLE,
        vnet(2, 100) + WHOLE,
        vnet(3, 100) + WHOLE_UDP,
        vnet(GSO_UDP | GSO_ECN, 100) + WHOLE_UDP,
        vnet(GSO_NONE | GSO_ECN, 100) + WHOLE,
        vnet(GSO_TCPV6, 100) + WHOLE,
        vnet(GSO_TCPV4, 100) + WHOLE6,
        vnet(GSO_UDP, 100) + WHOLE,
        vnet(GSO_TCPV4, 100) + WHOLE_UDP,
        vnet(GSO_TCPV4, 100) + WHOLE[:-1],
        vnet(GSO_TCPV4, 100) + WHOLE + b"\0",
        vnet(GSO_TCPV6, 100) + WHOLE6[:-1],
        vnet(GSO_TCPV4, 100) + WHOLE[:19],
        vnet(GSO_TCPV6, 100) + WHOLE6[:39],
        vnet(GSO_TCPV4, 100) + with_byte(WHOLE, 0, 0x44),
        vnet(GSO_TCPV4, 100) + with_byte(WHOLE, 0, 0x65),
        vnet(GSO_TCPV4, 100) + with_byte(WHOLE, 6, 0x20),
        vnet(GSO_TCPV4, 100) + with_byte(WHOLE, 7, 1),
        vnet(GSO_TCPV4, 100) + with_byte(WHOLE, 32, 0x40),
        vnet(GSO_TCPV4, 100) + replace(Fields(), payload=b"").packet(),
        vnet(GSO_TCPV4, 100) + b"\x45\x00\x00\x27" + WHOLE[4:39],
        vnet(GSO_UDP, 100) + replace(Fields(is_udp=True), payload=b"").packet(),
        vnet(GSO_TCPV6, 100) + with_byte(WHOLE6, 6, 60),
        vnet(GSO_TCPV6, 100) + with_byte(WHOLE6, 6, 43),
        vnet(GSO_TCPV6, 100) + with_byte(with_byte(WHOLE6, 6, 0), 41, 255),
        vnet(GSO_NONE, 0, start=len(WHOLE) - 17, offset=16) + WHOLE,
        vnet(GSO_NONE, 0, start=65535, offset=65535) + WHOLE,
        vnet(GSO_TCPV4, 1) + super_packet(run_of(Fields(), 9000)),
    ],
)
def test_what_does_not_fit_together_is_dropped(read: bytes) -> None:
    assert segment(read, layer2=False) == []


@pytest.mark.parametrize(
    "whole",
    [
        frame(0x86DD, WHOLE),
        frame(0x0806, WHOLE),
        frame(0x0800, WHOLE, 0x8100, 0x8100),
        frame(0x0800, b""),
        frame(0x0800, WHOLE)[:13],
        frame(0x0800, WHOLE, 0x8100)[:17],
    ],
)
def test_a_frame_that_does_not_say_what_is_in_it_is_dropped(whole: bytes) -> None:
    assert segment(vnet(GSO_TCPV4, 100) + whole, layer2=True) == []
