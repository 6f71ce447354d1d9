"""The segment size in TCP's SYNs is lowered, with right checksums and nothing else changed; on both twins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlvpnd.offload.mss import clamp_all, clamp_mss, limits_for
from tests.support.inner_packets import frame, ipv6
from tests.support.stream_packets import Fields

SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10
ETHER_TYPES = {4: 0x0800, 6: 0x86DD}
LIMITS = (1388, 1368)
BY_VERSION = dict(zip((4, 6), LIMITS, strict=True))


def mss(size: int) -> bytes:
    return b"\x02\x04" + size.to_bytes(2, "big")


def syn(options: bytes, **changes: object) -> Fields:
    return replace(Fields(flags=SYN, options=options + bytes(-len(options) % 4)), **changes)  # type: ignore[arg-type]


def clamped(packet: bytes, *, layer2: bool = False) -> bytes:
    """Clamps a packet by one call, and as one of a burst."""
    by_itself = clamp_mss(packet, *LIMITS, layer2=layer2)
    assert clamp_all([packet, packet], *LIMITS, layer2=layer2) == [by_itself, by_itself]
    return by_itself


PLACES = {
    "alone": (b"", b""),
    "as Linux": (b"", b"\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x07"),
    "last": (b"\x01\x01\x04\x02", b""),
    "at an odd place": (b"\x01", b""),
    "behind an odd option": (b"\x03\x03\x07", b"\x01\x04\x02"),
    "before the end": (b"", b"\x00\xff\xff\xff"),
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("flags", [SYN, SYN_ACK, SYN | 0xC0])
@pytest.mark.parametrize(("before", "after"), PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("tags", [None, (), (0x8100,), (0x88A8,)])
def test_it_is_lowered_to_the_limit_of_its_version(
    version: int, flags: int, before: bytes, after: bytes, tags: tuple[int, ...] | None
) -> None:
    def made(size: int) -> bytes:
        packet = syn(before + mss(size) + after, version=version, flags=flags).packet()
        return packet if tags is None else frame(ETHER_TYPES[version], packet, *tags)

    limit = BY_VERSION[version]
    for size in (65535, 8960, 1460, limit + 1):
        assert clamped(made(size), layer2=tags is not None) == made(limit)
    for size in (limit, limit - 1, 536, 1, 0):
        assert clamped(made(size), layer2=tags is not None) == made(size)


@pytest.mark.parametrize("version", [4, 6])
def test_payload_and_ip_options_are_no_hindrance(version: int) -> None:
    for changes in ({"payload": b"fast open"}, {"payload": b"x" * 1200}, {"ip_options": b"\x01" * 8}):
        made = [syn(mss(size), version=version, **changes).packet() for size in (1460, BY_VERSION[version])]
        assert clamped(made[0]) == made[1]


def extended(packet: bytes, *headers: int) -> bytes:
    """An IPv6 packet with extension headers of 8 and 16 bytes by turns."""
    kind, body = 6, packet[40:]
    for index, header in enumerate(reversed(headers)):
        words = index % 2
        body = bytes([kind, words]) + bytes(6 + 8 * words) + body
        kind = header
    return ipv6(kind, body, source="fd00::2", to="fd00::1")


def test_ipv6_extension_headers_are_looked_through() -> None:
    made = [syn(mss(size), version=6).packet() for size in (1460, LIMITS[1])]
    for headers in ((0,), (60,), (43,), (0, 43, 60)):
        assert clamped(extended(made[0], *headers)) == extended(made[1], *headers)


LONG = mss(1460)
UNTOUCHED = {
    "no SYN": syn(LONG, flags=ACK),
    "a reset": syn(LONG, flags=0x14),
    "UDP": replace(Fields(is_udp=True), payload=bytes(13) + b"\x02" + LONG * 4),
    "the first fragment": syn(LONG, fragment=0x2000),
    "a later fragment": syn(LONG, fragment=0x0001),
    "no such option": syn(b"\x01\x01\x04\x02"),
    "behind the end of the options": syn(b"\x00\x00" + LONG + bytes(2)),
    "an option of another length": syn(b"\x02\x06\x05\xb4\x00\x00" + bytes(2)),
    "behind an option without a length": syn(b"\x08\x00" + LONG + bytes(2)),
    "behind an option that is longer than all": syn(b"\x08\x20" + LONG + bytes(2)),
    "cut": syn(b"\x01\x01\x02\x04"),
}


@pytest.mark.parametrize("fields", UNTOUCHED.values(), ids=UNTOUCHED.keys())
@pytest.mark.parametrize("layer2", [False, True])
def test_all_else_is_left_as_it_is(fields: Fields, layer2: bool) -> None:
    packet = frame(0x0800, fields.packet()) if layer2 else fields.packet()
    assert clamped(packet, layer2=layer2) == packet


def test_what_stands_before_a_malformed_option_counts() -> None:
    """Hosts take what stands before it, too, and stop behind it."""
    made = [syn(mss(size) + b"\x08\x00" + LONG).packet() for size in (1460, LIMITS[0])]
    assert clamped(made[0]) == made[1]


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_that_is_cut_anywhere_is_left(version: int) -> None:
    packet = syn(LONG, version=version).packet()
    for size in range(len(packet)):
        assert clamped(packet[:size]) == packet[:size]
        framed = frame(ETHER_TYPES[version], packet, 0x8100)[: size + 18]
        assert clamped(framed, layer2=True) == framed


def test_a_wrong_checksum_stays_wrong() -> None:
    packet = bytearray(syn(LONG).packet())
    packet[36] ^= 0x5A
    right = syn(mss(LIMITS[0])).packet()
    found = clamped(bytes(packet))
    assert found != right
    assert found[:36] + found[38:] == right[:36] + right[38:]


def test_each_version_has_its_own_switch() -> None:
    packets = [syn(LONG, version=version).packet() for version in (4, 6)]
    assert [clamp_mss(packet, 0, 0, layer2=False) for packet in packets] == packets
    assert clamp_mss(packets[0], 0, 1000, layer2=False) == packets[0]
    assert clamp_mss(packets[1], 1000, 0, layer2=False) == packets[1]


def test_frames_of_another_kind_are_left() -> None:
    packet = syn(LONG).packet()
    for ether_type in (0x0806, 0x86DD, 0x8100):
        assert clamped(frame(ether_type, packet), layer2=True) == frame(ether_type, packet)


def test_limits_leave_room_for_the_headers() -> None:
    assert limits_for(1428) == (1388, 1368)
    assert limits_for(68) == (28, 8)
    assert limits_for(0) == (1, 1)
