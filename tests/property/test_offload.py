"""Super-packets: joined packets come out as they were, both twins do the same, and any bytes are survived.

Scapy checks the checksums of the packets that come from a split. It shares no code with the program.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from mlvpnd.offload import checksum as checksums
from mlvpnd.offload.coalesce import Coalescer
from mlvpnd.offload.mss import clamp_all, clamp_mss
from mlvpnd.offload.segment import segment
from mlvpnd.offload.vnet import GSO_TCPV4, GSO_TCPV6, GSO_UDP, NEEDS_CSUM, VNET
from tests.support import native_parts
from tests.support.inner_packets import frame, ipv4
from tests.support.stream_packets import TIMESTAMPS, Fields
from tests.support.stream_packets import checksum as summed_word_by_word

ETHER_TYPES = {4: 0x0800, 6: 0x86DD}

sizes = st.sampled_from((64,) * 14 + (0, 1, 8, 31, 65, 200))
first_fields = st.builds(
    Fields,
    version=st.sampled_from((4, 6)),
    is_udp=st.sampled_from((False, False, True)),
    host=st.integers(2, 3),
    port=st.integers(1, 3),
    ident=st.sampled_from((0, 7, 0xFFFE, 0x8000)),
    fragment=st.sampled_from((0, 0x4000)),
    tos=st.integers(0, 3),
    seq=st.sampled_from((0, 1000, 0xFFFFFFF0)),
    window=st.integers(0, 65535),
    options=st.sampled_from((b"", TIMESTAMPS)),
)
odd_changes = st.one_of(
    st.fixed_dictionaries({"flags": st.sampled_from((0x18, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x19))}),
    st.fixed_dictionaries({"seq": st.integers(0, 0xFFFFFFFF)}),
    st.fixed_dictionaries({"ident": st.integers(0, 0xFFFF)}),
    st.fixed_dictionaries({"window": st.integers(0, 3)}),
    st.fixed_dictionaries({"ack": st.integers(0, 3)}),
    st.fixed_dictionaries({"urgent": st.integers(0, 3)}),
    st.fixed_dictionaries({"tos": st.integers(0, 3)}),
    st.fixed_dictionaries({"ttl": st.integers(1, 3)}),
    st.fixed_dictionaries({"label": st.integers(0, 3)}),
    st.fixed_dictionaries({"fragment": st.sampled_from((0, 0x2000, 0x4000, 1, 0x8000, 0xC000))}),
    st.fixed_dictionaries({"options": st.sampled_from((b"", b"\x01" * 4, TIMESTAMPS))}),
    st.fixed_dictionaries({"ip_options": st.just(b"\x01" * 4)}),
    st.fixed_dictionaries({"reserved": st.integers(1, 15)}),
)
steps = st.sampled_from((*("data",) * 9, "same ident", "odd"))


def flip(packet: bytes, at: int, value: int) -> bytes:
    place = at % len(packet)
    return packet[:place] + bytes([packet[place] ^ value]) + packet[place + 1 :]


@st.composite
def traffic(draw: st.DrawFn) -> list[bytes]:
    """Packets of some flows, interleaved. Most follow the one before in their flow; some are something else."""
    flows = draw(st.lists(first_fields, min_size=1, max_size=3))
    packets = []
    for _ in range(draw(st.integers(0, 40))):
        number = draw(st.integers(0, len(flows) - 1))
        size, step = draw(sizes), draw(steps)
        before = flows[number]
        fields = before.next(bytes(size)) if before.payload else replace(before, payload=bytes(size))
        fields = replace(fields, payload=draw(st.sampled_from((b"\x00", b"\x5a", b"\xff"))) * size)
        if step == "same ident":
            fields = replace(fields, ident=before.ident)
        shown = replace(fields, **draw(odd_changes)) if step == "odd" else fields
        packet = shown.packet()
        kind = draw(st.integers(0, 30))
        if kind == 0:
            packet = flip(packet, draw(st.integers(0, 300)), draw(st.integers(1, 255)))
        elif kind == 1:
            packet += bytes(4)
        elif kind == 2:
            packet = packet[: draw(st.integers(1, len(packet)))]
        elif kind == 3:
            packet = ipv4(draw(st.sampled_from((1, 6, 17, 50))), draw(st.binary(max_size=40)))
        flows[number] = fields
        packets.append(packet)
    return packets


def kind_of(fields: Fields) -> int:
    return GSO_UDP if fields.is_udp else GSO_TCPV4 if fields.version == 4 else GSO_TCPV6


def framed(packet: bytes, *tags: int) -> bytes:
    return frame(ETHER_TYPES.get(packet[0] >> 4, 0x0806), packet, *tags)


def flow_of(packet: bytes) -> bytes:
    """The bytes that name the flow of a plain packet. Other packets are each a flow of their own kind."""
    if packet[0] == 0x45:
        return packet[9:10] + packet[12:24]
    return packet[6:7] + packet[8:44] if packet[0] >> 4 == 6 else packet[:1]


def without_atomic_ident(packet: bytes) -> bytes:
    """The same packet without an identification that says nothing (RFC 6864). A constant one may grow."""
    if packet[:1] != b"\x45" or len(packet) < 20 or packet[6:8] != b"\x40\x00":
        return packet
    rest = int.from_bytes(packet[4:6], "big") + int.from_bytes(packet[10:12], "big")
    return packet[:4] + bytes(2) + packet[6:10] + (rest % 65535).to_bytes(2, "big") + packet[12:]


def by_flow(packets: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    flows = defaultdict(list)
    for packet in packets:
        flows[flow_of(packet)].append(packet)
    return flows


def same_or_atomic(came: list[bytes], gone: list[bytes]) -> bool:
    return len(came) == len(gone) and all(
        one == other or without_atomic_ident(one) == without_atomic_ident(other)
        for one, other in zip(came, gone, strict=True)
    )


@given(traffic(), st.booleans())
def test_what_is_joined_comes_out_as_it_was(packets: list[bytes], uso: bool) -> None:
    frames = Coalescer(uso=uso, layer2=False).coalesce(packets)
    out = [packet for each in frames for packet in segment(each, layer2=False)]
    came, gone = by_flow(packets), by_flow(out)
    assert came.keys() == gone.keys()
    for flow, expected in came.items():
        assert same_or_atomic(gone[flow], expected)
    # Each frame takes the place of its first packet.
    firsts = [segment(each, layer2=False)[0] for each in frames]
    rest = iter(packets)
    assert all(any(same_or_atomic([first], [packet]) for packet in rest) for first in firsts)


@given(traffic(), st.booleans(), st.sampled_from((None, (), (0x8100,), (0x88A8,), (0x8100, 0x8100))))
def test_both_twins_join_and_split_alike(packets: list[bytes], uso: bool, tags: tuple[int, ...] | None) -> None:
    layer2 = tags is not None
    if tags is not None:
        packets = [framed(packet, *tags) for packet in packets]
    reference, native = Coalescer(uso=uso, layer2=layer2), native_parts.Coalescer(uso=uso, layer2=layer2)
    for _ in range(2):
        frames = reference.coalesce(packets)
        assert native.coalesce(packets) == frames
    counters = reference.merged_frames, reference.merged_packets
    assert (native.merged_frames, native.merged_packets) == counters
    for each in frames:
        assert native_parts.segment(each, layer2=layer2) == segment(each, layer2=layer2)


@given(traffic(), st.integers(200, 400))
def test_both_twins_end_a_batch_alike(packets: list[bytes], filling: int) -> None:
    many = packets + [ipv4(1, bytes(8))] * filling + packets
    assert native_parts.Coalescer(uso=True, layer2=False).coalesce(many) == Coalescer(uso=True, layer2=False).coalesce(
        many
    )


vnets = st.builds(
    VNET.pack,
    st.integers(0, 3),
    st.sampled_from((0, 0, 1, 1, 4, 4, 5, 5, 0x81, 0x84, 3, 0x80, 0x85, 2, 255)),
    st.integers(0, 65535),
    st.one_of(st.integers(1, 70), st.integers(0, 65535)),
    st.one_of(st.integers(0, 70), st.integers(0, 65535)),
    st.one_of(st.sampled_from((6, 16)), st.integers(0, 65535)),
)


@st.composite
def reads(draw: st.DrawFn) -> bytes:
    """A vnet header and a packet. Most of them fit together, or almost."""
    fields = replace(draw(first_fields), payload=b"odd" * draw(st.integers(0, 100)), flags=draw(st.integers(0, 255)))
    packet = replace(fields, ip_options=draw(st.sampled_from((b"", b"\x01" * 8)))).packet()
    fitting = VNET.pack(NEEDS_CSUM, kind_of(fields), draw(st.integers(0, 65535)), draw(st.integers(1, 70)), 20, 16)
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        packet = flip(packet, draw(st.integers(0, 90)), draw(st.integers(1, 255)))
    cut = draw(st.sampled_from((None, None, None, -1, 10, 20, 30, 45)))
    return draw(st.one_of(st.just(fitting), st.just(fitting), vnets)) + packet[:cut]


@given(st.one_of(reads(), reads(), st.binary(max_size=120)), st.sampled_from((None, (), (0x8100,), (0x88A8, 0x8100))))
def test_both_twins_split_any_read_alike(read: bytes, tags: tuple[int, ...] | None) -> None:
    if tags is not None and len(read) > 10:
        read = read[:10] + framed(read[10:], *tags)
    packets = segment(read, layer2=tags is not None)
    assert native_parts.segment(read, layer2=tags is not None) == packets
    assert all(packets)


@given(st.lists(st.one_of(st.binary(max_size=70), reads().map(lambda read: read[10:])), max_size=20), st.booleans())
def test_both_twins_join_any_bytes_alike(packets: list[bytes], layer2: bool) -> None:
    frames = Coalescer(uso=True, layer2=layer2).coalesce(packets)
    assert native_parts.Coalescer(uso=True, layer2=layer2).coalesce(packets) == frames
    assert len(frames) <= len(packets)


tcp_options = st.lists(
    st.one_of(
        st.just(b"\x01"),
        st.just(b"\x00"),
        st.integers(0, 65535).map(lambda size: b"\x02\x04" + size.to_bytes(2, "big")),
        st.just(b"\x03\x03\x07"),
        st.binary(max_size=6),
    ),
    max_size=6,
).map(lambda parts: (one := b"".join(parts)[:40]) + bytes(-len(one) % 4))
syns = st.builds(
    replace,
    first_fields,
    flags=st.sampled_from((0x02, 0x12, 0x10, 0x00)),
    options=tcp_options,
    ip_options=st.sampled_from((b"", b"\x01" * 4)),
    payload=st.binary(max_size=40),
)


@given(
    syns,
    st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    st.booleans(),
    st.sampled_from(((), (0x8100,), (0x0800,))),
    st.integers(0, 200),
    st.tuples(st.integers(0, 200), st.integers(0, 255)),
)
def test_both_twins_limit_segments_alike(
    fields: Fields,
    limits: tuple[int, int],
    layer2: bool,
    tags: tuple[int, ...],
    cut: int,
    change: tuple[int, int],
) -> None:
    whole = fields.packet()
    if layer2:
        whole = frame(ETHER_TYPES[fields.version], whole, *tags)
    for packet in (whole, whole[:cut], flip(whole, *change)):
        found = clamp_mss(packet, *limits, layer2=layer2)
        assert native_parts.clamp_mss(packet, *limits, layer2=layer2) == found
        assert clamp_all([packet], *limits, layer2=layer2) == [found]
        assert len(found) == len(packet)
        assert clamp_mss(found, *limits, layer2=layer2) == found


@given(syns, st.integers(1, 65535))
def test_a_limited_segment_has_a_right_checksum(fields: Fields, limit: int) -> None:
    packet = fields.packet()
    found = clamp_mss(packet, limit, limit, layer2=False)
    start = 20 + len(fields.ip_options) if fields.version == 4 else 40
    if not fields.is_udp:
        addresses = found[12:20] if fields.version == 4 else found[8:40]
        pseudo = addresses + (len(found) - start).to_bytes(4, "big") + (6).to_bytes(4, "big")
        assert summed_word_by_word(pseudo + found[start:]) == 0
    assert found[:start] == packet[:start]


@given(st.binary(max_size=120), st.booleans(), st.sampled_from((b"", b"\x45", b"\x60" + bytes(5) + b"\x06")))
def test_both_twins_limit_any_bytes_alike(data: bytes, layer2: bool, start: bytes) -> None:
    packet = (bytes(12) + b"\x08\x00" if layer2 else b"") + start + data
    assert native_parts.clamp_mss(packet, 100, 90, layer2=layer2) == clamp_mss(packet, 100, 90, layer2=layer2)


@given(st.binary(max_size=2000), st.integers(0, 0xFFFFFFFF), st.integers(0, 255))
def test_both_twins_sum_alike(data: bytes, start: int, protocol: int) -> None:
    assert native_parts.ones_sum(data) == checksums.ones_sum(data)
    assert native_parts.checksum(data, start) == checksums.checksum(data, start)
    assert native_parts.pseudo_sum(data, protocol, start) == checksums.pseudo_sum(data, protocol, start)
    if len(data) >= 20:
        assert native_parts.ipv4_checksum(data) == checksums.ipv4_checksum(data)


def rebuilt(packet: Packet) -> bytes:
    """The packet with scapy's lengths and checksums."""
    for layer in (IP, TCP, UDP):
        if layer in packet:
            del packet[layer].chksum
    if IP in packet:
        del packet[IP].len
    if UDP in packet:
        del packet[UDP].len
    if IPv6 in packet:
        del packet[IPv6].plen
    return bytes(packet)


@given(
    first_fields,
    st.binary(min_size=1, max_size=3000),
    st.integers(1, 1400),
    st.integers(0, 255),
    st.sampled_from((segment, native_parts.segment)),
)
def test_scapy_finds_the_checksums_right(fields: Fields, payload: bytes, size: int, flags: int, split: object) -> None:
    assert callable(split)
    size = max(size, len(payload) // 50)
    fields = replace(fields, flags=flags)
    whole = replace(fields, payload=payload).packet()
    packets = split(VNET.pack(NEEDS_CSUM, kind_of(fields), 0, size, 0, 0) + whole, layer2=False)
    layer = IP if fields.version == 4 else IPv6
    carried = b""
    for number, packet in enumerate(packets):
        read = layer(packet)
        body = read[UDP if fields.is_udp else TCP]
        assert rebuilt(layer(packet)) == packet
        if not fields.is_udp:
            assert body.seq == (fields.seq + number * size) & 0xFFFFFFFF
        if fields.version == 4:
            assert read.id == (fields.ident + number) & 0xFFFF
        assert read.src == ("10.0.0." if fields.version == 4 else str(ipaddress.IPv6Address("fd00::"))) + str(
            fields.host
        )
        carried += bytes(body.payload)
    assert carried == payload
    assert len(packets) == -(-len(payload) // size)
