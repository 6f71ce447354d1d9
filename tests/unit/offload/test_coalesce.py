"""Packets for the interface, joined where the kernel's own GRO would; on both twins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlvpnd.offload.coalesce import FRAMES_LIMIT, RUNS_LIMIT, SEGMENTS_LIMIT, Coalescer
from mlvpnd.offload.vnet import GSO_TCPV4, GSO_TCPV6, GSO_UDP, NEEDS_CSUM, VNET
from tests.support.inner_packets import frame, ipv4
from tests.support.stream_packets import Fields, run_of

ALONE = bytes(10)
FLOWS = [
    Fields(),
    Fields(options=b"", fragment=0, ident=0xFFFF, seq=0xFFFFFFF0),
    Fields(version=6, label=7, tos=0x42),
    Fields(is_udp=True),
    Fields(is_udp=True, version=6),
]
MACS = {4: 0x0800, 6: 0x86DD}


def joined(packets: list[bytes], *, uso: bool = True, layer2: bool = False) -> list[bytes]:
    return Coalescer(uso=uso, layer2=layer2).coalesce(packets)


def counts(packets: list[bytes], *, uso: bool = True, layer2: bool = False) -> list[int]:
    """Bytes of each frame behind its vnet header."""
    return [len(each) - 10 for each in joined(packets, uso=uso, layer2=layer2)]


def packets_of(fields: list[Fields]) -> list[bytes]:
    return [part.packet() for part in fields]


@pytest.mark.parametrize("first", FLOWS)
@pytest.mark.parametrize("tags", [None, (), (0x88A8,)])
def test_a_run_is_one_super_packet(first: Fields, tags: tuple[int, ...] | None) -> None:
    fields = run_of(first, 101, 101, 50)
    packets = packets_of(fields)
    l2 = 0 if tags is None else 14 + 4 * len(tags)
    if tags is not None:
        packets = [frame(MACS[first.version], packet, *tags) for packet in packets]
    (whole,) = joined(packets, layer2=tags is not None)
    ip = 20 if first.version == 4 else 40
    transport = 8 if first.is_udp else 20 + len(first.options)
    kind = GSO_UDP if first.is_udp else GSO_TCPV4 if first.version == 4 else GSO_TCPV6
    offset = 6 if first.is_udp else 16
    assert VNET.unpack_from(whole) == (NEEDS_CSUM, kind, l2 + ip + transport, 101, l2 + ip, offset)
    expected = replace(first, payload=b"".join(part.payload for part in fields)).packet()
    field = ip + offset
    inside = whole[10 + l2 :]
    assert (inside[:field], inside[field + 2 :]) == (expected[:field], expected[field + 2 :])
    # The field holds the sum of the pseudo header alone; the rest of the checksum is still missing.
    addresses = expected[12:20] if first.version == 4 else expected[8:40]
    pseudo = addresses + bytes([0, 17 if first.is_udp else 6]) + (len(expected) - ip).to_bytes(2, "big")
    total = sum(int.from_bytes(pseudo[at : at + 2], "big") for at in range(0, len(pseudo), 2)) % 65535
    assert int.from_bytes(inside[field : field + 2], "big") == total


def test_push_ends_a_run_and_is_in_it() -> None:
    fields = run_of(Fields(), 10, 10, 10, 10)
    fields[1] = replace(fields[1], flags=0x18)
    first, second = joined(packets_of(fields))
    assert first[10 + 33] == 0x18
    assert second[10 + 33] == 0x10
    fields[0] = replace(fields[0], flags=0x18)
    assert joined(packets_of(fields[:2])) == [ALONE + fields[0].packet(), ALONE + fields[1].packet()]


def test_a_shorter_packet_ends_a_run_and_a_longer_one_begins_another() -> None:
    assert len(joined(packets_of(run_of(Fields(), 50, 50, 49, 50, 50)))) == 2
    assert len(joined(packets_of(run_of(Fields(), 50, 50, 51, 51)))) == 2


@pytest.mark.parametrize(
    "changes",
    [
        *({"flags": 0x10 | flag} for flag in (0x01, 0x02, 0x04, 0x20, 0x40, 0x80)),
        {"flags": 0},
        {"reserved": 1},
        {"tos": 1},
        {"ttl": 63},
        {"ack": 6},
        {"window": 500},
        {"urgent": 1},
        {"options": b"\x01\x01\x08\x0a" + b"\x00\x00\x10\x01" * 2},
        {"options": b""},
        {"seq": 1049},
        {"seq": 1051},
        {"ident": 103},
        {"ident": 99},
        {"fragment": 0},
        {"fragment": 0xC000},
        {"fragment": 0x2000},
        {"fragment": 1},
        {"ip_options": b"\x01\x01\x01\x00"},
    ],
    ids=str,
)
def test_what_gro_would_not_join_stays_as_it_is(changes: dict[str, Any]) -> None:
    first, *others = run_of(Fields(), 50, 50, 50)
    packets = [first.packet(), *(replace(part, **changes).packet() for part in others[:1]), others[1].packet()]
    assert joined(packets) == [ALONE + packet for packet in packets]


@pytest.mark.parametrize("changes", [{"label": 8}, {"tos": 4}, {"ttl": 63}], ids=str)
@pytest.mark.parametrize("is_udp", [False, True])
def test_the_same_of_ipv6(changes: dict[str, Any], is_udp: bool) -> None:
    first, second = run_of(Fields(version=6, label=7, is_udp=is_udp), 50, 50)
    packets = [first.packet(), replace(second, **changes).packet()]
    assert joined(packets) == [ALONE + packet for packet in packets]


def test_identification_may_stand_still_where_it_says_nothing() -> None:
    fields = [replace(part, ident=7) for part in run_of(Fields(), 50, 50, 50)]
    assert len(joined(packets_of(fields))) == 1
    fields[2] = replace(fields[2], ident=9)
    assert len(joined(packets_of(fields))) == 2
    assert len(joined(packets_of([replace(part, fragment=0, ident=7) for part in fields]))) == 3
    grows = run_of(Fields(), 50, 50, 50)
    assert len(joined(packets_of([*grows[:2], replace(grows[2], ident=101)]))) == 2


def with_bytes(packet: bytes, at: int, value: bytes) -> bytes:
    return packet[:at] + value + packet[at + len(value) :]


@pytest.mark.parametrize("first", FLOWS)
@pytest.mark.parametrize("wrong", [0, 1, 2, 3])
@pytest.mark.parametrize("where", ["payload", "checksum", "ip"])
def test_a_wrong_checksum_is_written_as_it_came(first: Fields, wrong: int, where: str) -> None:
    packets = packets_of(run_of(first, 50, 50, 50, 50))
    if where == "ip" and first.version == 6:
        where = "payload"
    at = {"payload": -1, "checksum": (20 if first.version == 4 else 40) + (7 if first.is_udp else 17), "ip": 11}[where]
    packets[wrong] = with_bytes(packets[wrong], at % len(packets[wrong]), bytes([packets[wrong][at] ^ 1]))
    frames = joined(packets)
    assert ALONE + packets[wrong] in frames
    assert len(frames) == (2 if wrong in (0, 3) else 3)


def test_a_zero_that_no_sender_writes_is_left_alone() -> None:
    """A checksum of 0xffff in the place of 0 verifies, but it would come out of a super-packet as 0."""
    for at, end in ((36, 50), (10, 4)):  # TCP's field and its window; IP's and its identification
        fields = run_of(Fields(options=b"", ident=0, fragment=0, window=0), 50, 50)
        packet = fields[1].packet()
        value = int.from_bytes(packet[at : at + 2], "big")
        place = 34 if end == 50 else 4
        # The checksum is added to what stands at `place`, so that nothing is left to the field.
        plus = int.from_bytes(packet[place : place + 2], "big") + value
        zero = with_bytes(with_bytes(packet, at, b"\0\0"), place, (plus % 65535).to_bytes(2, "big"))
        other = with_bytes(zero, at, b"\xff\xff")
        if place == 4:
            before = replace(fields[0], ident=plus % 65535 - 1).packet()
        else:
            before = replace(fields[0], window=plus % 65535).packet()
        assert len(joined([before, zero])) == 1
        assert joined([before, other]) == [ALONE + before, ALONE + other]


def test_udp_is_joined_only_if_the_kernel_takes_it() -> None:
    packets = packets_of(run_of(Fields(is_udp=True), 50, 50))
    assert len(joined(packets, uso=True)) == 1
    assert joined(packets, uso=False) == [ALONE + packet for packet in packets]


def test_udp_without_checksum_or_with_a_wrong_length_stays_as_it_is() -> None:
    for at, value in ((26, b"\0\0"), (24, b"\0\x30")):
        packets = [with_bytes(packet, at, value) for packet in packets_of(run_of(Fields(is_udp=True), 50, 50))]
        assert joined(packets) == [ALONE + packet for packet in packets]


def test_padding_is_never_joined() -> None:
    packets = packets_of(run_of(Fields(), 50, 50))
    assert len(joined([packets[0], packets[1] + b"\0"])) == 2
    frames = [frame(0x0800, packets[0]), frame(0x0800, packets[1] + bytes(4))]
    assert joined(frames, layer2=True) == [ALONE + packet for packet in frames]


def test_packets_without_data_end_their_flow_s_run() -> None:
    fields = run_of(Fields(), 50, 0, 50)
    assert len(joined(packets_of(fields))) == 3
    other, last = replace(fields[1], port=1), replace(fields[2], ident=101)
    assert len(joined(packets_of([fields[0], other, last]))) == 2


def test_flows_are_joined_side_by_side_and_stand_where_they_began() -> None:
    one, two = run_of(Fields(), 50, 50), run_of(Fields(version=6), 60, 60)
    ping = ipv4(1, b"ping")
    packets = [one[0].packet(), ping, two[0].packet(), one[1].packet(), two[1].packet()]
    first, second, third = joined(packets)
    assert second == ALONE + ping
    assert (len(first), len(third)) == (len(one[0].packet()) + 50 + 10, len(two[0].packet()) + 60 + 10)


def test_packets_of_a_flow_never_pass_each_other() -> None:
    fields = run_of(Fields(), 50, 50, 50, 50)
    fields[1] = replace(fields[1], window=1)
    assert len(joined(packets_of(fields))) == 3


@pytest.mark.parametrize(
    "between",
    [
        replace(run_of(Fields(), 50)[0], fragment=0x2000).packet(),
        replace(run_of(Fields(), 50)[0], ip_options=bytes(4)).packet(),
        b"\x60" + bytes(5) + b"\x2c" + bytes(60),
        b"\x60",
        b"\x45" + bytes(20),
    ],
)
def test_what_may_be_of_any_flow_ends_all_runs(between: bytes) -> None:
    one, two = packets_of(run_of(Fields(), 50, 50))
    assert joined([one, between, two]) == [ALONE + packet for packet in (one, between, two)]


@pytest.mark.parametrize("between", [b"", b"\x00\x01", ipv4(50, bytes(30)), b"\x60" + bytes(5) + b"\x3a" + bytes(60)])
def test_what_is_of_no_flow_does_not(between: bytes) -> None:
    one, two = packets_of(run_of(Fields(), 50, 50))
    assert len(joined([one, between, two])) == 2


def test_limits() -> None:
    packets = packets_of(run_of(Fields(), *[8] * (SEGMENTS_LIMIT + 2)))
    coalescer = Coalescer(uso=False, layer2=False)
    sizes = [len(each) for each in coalescer.coalesce(packets)]
    assert sizes == [10 + 52 + 8 * SEGMENTS_LIMIT, 10 + 52 + 16]
    assert (coalescer.merged_frames, coalescer.merged_packets) == (2, SEGMENTS_LIMIT + 2)
    large = packets_of(run_of(Fields(options=b""), *[16373] * 5))
    assert [len(each) - 50 for each in joined(large)] == [16373 * 4, 16373]
    assert len(joined(packets_of(run_of(Fields(options=b""), *[13099] * 5)))) == 1  # 65535 bytes


def test_the_oldest_of_too_many_flows_is_closed() -> None:
    flows = [run_of(Fields(port=port), 20, 20) for port in range(1, RUNS_LIMIT + 2)]
    packets = [flow[0].packet() for flow in flows] + [flow[1].packet() for flow in flows[1:]]
    assert len(joined(packets)) == RUNS_LIMIT + 1
    assert len(joined([*packets, flows[0][1].packet()])) == RUNS_LIMIT + 2


def test_a_batch_ends_with_its_frames() -> None:
    one, two = packets_of(run_of(Fields(), 50, 50))
    pings = [ipv4(1, bytes(8))] * FRAMES_LIMIT
    assert len(joined([one, *pings[:-2], two])) == FRAMES_LIMIT - 1
    assert len(joined([one, *pings[:-1], two])) == FRAMES_LIMIT + 1


def test_nothing_and_one() -> None:
    assert joined([]) == []
    assert joined([b"x"]) == [ALONE + b"x"]
    assert counts([b"", b"\x45"]) == [0, 1]
    assert counts([bytes(13), bytes(14), frame(0x0800, b"", 0x8100)], layer2=True) == [13, 14, 18]
