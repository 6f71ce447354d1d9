"""What the scheduler learns of a packet: against the fields that the packet was made of, and for any bytes."""

from __future__ import annotations

import ipaddress
import zlib

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.wire.inner import SMALL_SIZE, Kind, classify, segment_name
from tests.support.inner_packets import ACK, frame, ipv4, ipv6, tcp, udp

PSH = 0x08
_words = st.integers(0, 10).map(lambda count: b"\x01" * 4 * count)
_ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535))


@given(
    st.binary(max_size=600),
    st.sampled_from((b"", b"\x45", b"\x4f", b"\x60", bytes(12) + b"\x08\x00\x45")),
    st.booleans(),
)
def test_any_bytes_have_a_kind_and_a_key(tail: bytes, start: bytes, layer2: bool) -> None:
    kind, key = classify(start + tail, layer2=layer2)
    assert kind in Kind
    assert 0 <= key < 1 << 32
    assert classify(start + tail, layer2=layer2) == (kind, key)
    assert segment_name(start + tail, layer2=layer2) is None or kind in {Kind.BULK, Kind.SHORT}


@given(
    st.sampled_from((4, 6)),
    st.sampled_from((6, 17, 1, 58, 47)),
    st.integers(0, 63),
    _words,
    _words,
    _ports,
    st.binary(max_size=300),
    st.sampled_from((None, (), (0x8100,))),
)
def test_the_fields_of_a_packet_decide(
    version: int,
    protocol: int,
    flags: int,
    ip_options: bytes,
    tcp_options: bytes,
    ports: tuple[int, int],
    payload: bytes,
    tags: tuple[int, ...] | None,
) -> None:
    body = payload
    if protocol == 6:
        body = tcp(flags, payload, options=tcp_options, ports=ports)
    elif protocol == 17:
        body = udp(payload, ports=ports)
    if version == 4:
        source, to = "10.1.2.3", "198.51.100.7"
        packet = ipv4(protocol, body, options=ip_options, source=source, to=to)
    else:
        source, to = "fd00::3", "2001:db8::7"
        packet = ipv6(protocol, body, source=source, to=to)
    expected = Kind.SMALL if len(packet) <= SMALL_SIZE else Kind.BULK
    if protocol == 6:
        if payload:
            plain = flags & ~PSH == ACK
            expected = Kind.SHORT if plain and len(packet) <= SMALL_SIZE else Kind.BULK
        else:
            expected = Kind.ACK if flags == ACK else Kind.BULK
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(to).packed
    if protocol in (6, 17):
        ends += b"".join(port.to_bytes(2, "big") for port in ports)
    sent = packet if tags is None else frame(0x0800 if version == 4 else 0x86DD, packet, *tags)
    assert classify(sent, layer2=tags is not None) == (expected, zlib.crc32(ends, protocol))
