"""What counts as a packet, and what the scheduler is told of a packet."""

from __future__ import annotations

import ipaddress
import zlib

import pytest

from mlvpnd.protocol.wire.inner import Kind, classify, packet_from, segment_name
from tests.support.inner_packets import (
    ACK,
    FIN_ACK,
    HOST,
    HOST6,
    PSH_ACK,
    RST,
    SERVER,
    SERVER6,
    SYN,
    SYN_ACK,
    frame,
    ipv4,
    ipv6,
    tcp,
    udp,
)
from tests.support.session_pair import frame_of, packet_of

IPV4 = packet_of(7)
IPV6 = b"\x60\x00\x00\x00" + (12).to_bytes(2, "big") + b"\x3b\x40" + bytes(32) + b"twelve bytes"


@pytest.mark.parametrize("packet", [IPV4, IPV6, b"\x45\x00\x00\x14" + bytes(16), b"\x60" + bytes(39)])
def test_a_packet_is_itself(packet: bytes) -> None:
    assert packet_from(packet, layer2=False) == packet


@pytest.mark.parametrize("packet", [IPV4, IPV6])
def test_the_tail_of_bsd_peers_is_cut(packet: bytes) -> None:
    assert packet_from(packet + b"tail", layer2=False) == packet


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"AU",
        b"OK",
        b"\x45",
        IPV4[:19],
        IPV4[:-1],
        IPV6[:39],
        IPV6[:-1],
        b"\x45\x00\x00\x13" + bytes(20),
        b"\x45\x00\x00\x00" + bytes(20),
        b"\x55" + IPV4[1:],
        b"\x00\x00\x00\x02" + IPV4,
    ],
)
def test_no_packet(plaintext: bytes) -> None:
    assert packet_from(plaintext, layer2=False) is None


def test_a_frame_has_at_least_its_header() -> None:
    assert packet_from(frame_of(1), layer2=True) == frame_of(1)
    assert packet_from(bytes(14), layer2=True) == bytes(14)
    assert packet_from(bytes(13), layer2=True) is None
    assert packet_from(b"", layer2=True) is None


TIMESTAMPS = b"\x01\x01\x08\x0a" + bytes(8)
SACK = b"\x01\x01\x05\x12" + bytes(16)
ROUTER_ALERT = b"\x94\x04\x00\x00"
ICMP_ECHO, ICMPV6_ECHO = b"\x08\x00" + bytes(62), b"\x80\x00" + bytes(62)
ICMP, TCP, UDP, HOP_BY_HOP, FRAGMENT, ICMPV6 = 1, 6, 17, 0, 44, 58
IPV4_TYPE, IPV6_TYPE, ARP, VLAN, QINQ = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8
MORE_FRAGMENTS = 0x2000


def kind_of(packet: bytes, *, layer2: bool = False) -> Kind:
    return classify(packet, layer2=layer2)[0]


def key_of(packet: bytes, *, layer2: bool = False) -> int:
    return classify(packet, layer2=layer2)[1]


@pytest.mark.parametrize(
    ("segment", "kind"),
    [
        (tcp(ACK), Kind.ACK),
        (tcp(ACK, options=TIMESTAMPS), Kind.ACK),
        (tcp(ACK, options=TIMESTAMPS + SACK + b"\x01" * 8), Kind.ACK),
        (tcp(ACK | 0x40), Kind.ACK),  # congestion is told of; below, the window is reduced
        (tcp(ACK | 0x80), Kind.ACK),
        (tcp(ACK, b"x"), Kind.SHORT),
        (tcp(ACK, bytes(1360), options=TIMESTAMPS), Kind.BULK),
        (tcp(PSH_ACK, b"ls\n"), Kind.SHORT),
        (tcp(PSH_ACK, bytes(300)), Kind.BULK),
        (tcp(FIN_ACK, b"x"), Kind.BULK),
        (tcp(PSH_ACK), Kind.BULK),
        (tcp(SYN), Kind.BULK),
        (tcp(SYN_ACK), Kind.BULK),
        (tcp(FIN_ACK), Kind.BULK),
        (tcp(RST), Kind.BULK),
        (tcp(ACK | RST), Kind.BULK),
        (tcp(0), Kind.BULK),
        (tcp(ACK)[:19], Kind.BULK),
        (tcp(ACK)[:4], Kind.BULK),
        (b"", Kind.BULK),
    ],
)
def test_an_acknowledgement_is_a_segment_that_does_nothing_else(segment: bytes, kind: Kind) -> None:
    assert kind_of(ipv4(TCP, segment)) is kind
    assert kind_of(ipv4(TCP, segment, options=ROUTER_ALERT * 10)) is kind
    assert kind_of(ipv6(TCP, segment)) is kind
    assert kind_of(frame(IPV4_TYPE, ipv4(TCP, segment)), layer2=True) is kind


@pytest.mark.parametrize(("size", "kind"), [(216, Kind.SHORT), (217, Kind.BULK)])
def test_a_short_segment_is_no_longer_than_small_packets(size: int, kind: Kind) -> None:
    assert kind_of(ipv4(TCP, tcp(PSH_ACK, bytes(size)))) is kind
    assert kind_of(ipv6(TCP, tcp(PSH_ACK, bytes(size - 20)))) is kind


def test_the_padding_of_a_short_frame_is_no_payload() -> None:
    padded = frame(IPV4_TYPE, ipv4(TCP, tcp(ACK)) + bytes(6))
    assert kind_of(padded, layer2=True) is Kind.ACK
    assert kind_of(frame(IPV4_TYPE, ipv4(UDP, udp(bytes(228))) + bytes(6)), layer2=True) is Kind.SMALL


@pytest.mark.parametrize(("size", "kind"), [(60, Kind.SMALL), (256, Kind.SMALL), (257, Kind.BULK), (1400, Kind.BULK)])
def test_small_is_what_is_not_tcp_and_not_long(size: int, kind: Kind) -> None:
    packets = [
        ipv4(UDP, udp(bytes(size - 28))),
        ipv4(UDP, udp(bytes(size - 32)), options=ROUTER_ALERT),
        ipv4(ICMP, ICMP_ECHO[:8] + bytes(size - 28)),
        ipv4(47, bytes(size - 20)),
        ipv6(UDP, udp(bytes(size - 48))),
        ipv6(ICMPV6, ICMPV6_ECHO[:8] + bytes(size - 48)),
    ]
    for packet in packets:
        assert len(packet) == size
        assert kind_of(packet) is kind
        assert kind_of(frame(IPV4_TYPE if packet[0] >> 4 == 4 else IPV6_TYPE, packet), layer2=True) is kind


def test_frames_of_other_protocols_are_small_when_they_are() -> None:
    assert kind_of(frame(ARP, bytes(46)), layer2=True) is Kind.SMALL
    assert kind_of(frame(ARP, bytes(242)), layer2=True) is Kind.SMALL
    assert kind_of(frame(ARP, bytes(243)), layer2=True) is Kind.BULK


def test_keys_are_what_another_program_can_compute() -> None:
    v4 = ipaddress.IPv4Address(HOST).packed + ipaddress.IPv4Address(SERVER).packed
    v6 = ipaddress.IPv6Address(HOST6).packed + ipaddress.IPv6Address(SERVER6).packed
    ports = b"\x9c\x40\x01\xbb"
    assert key_of(ipv4(TCP, tcp())) == zlib.crc32(v4 + ports, TCP) == 0xFCB0332E
    assert key_of(ipv4(UDP, udp(b"", ports=(40000, 443)))) == zlib.crc32(v4 + ports, UDP)
    assert key_of(ipv4(ICMP, ICMP_ECHO)) == zlib.crc32(v4, ICMP)
    assert key_of(ipv6(TCP, tcp())) == zlib.crc32(v6 + ports, TCP)
    assert key_of(ipv6(UDP, udp(b"", ports=(40000, 443)))) == zlib.crc32(v6 + ports, UDP)
    assert key_of(ipv6(ICMPV6, ICMPV6_ECHO)) == zlib.crc32(v6, ICMPV6)
    assert key_of(frame(ARP, bytes(46)), layer2=True) == zlib.crc32(frame(ARP, b""))


@pytest.mark.parametrize(
    "other",
    [
        ipv4(TCP, tcp(ports=(40001, 443))),
        ipv4(TCP, tcp(ports=(40000, 444))),
        ipv4(TCP, tcp(), source="10.42.0.3"),
        ipv4(TCP, tcp(), to="192.0.2.2"),
        ipv4(UDP, udp(b"", ports=(40000, 443))),
        ipv4(ICMP, ICMP_ECHO),
        ipv6(TCP, tcp()),
    ],
)
def test_other_flows_have_other_keys(other: bytes) -> None:
    assert key_of(other) != key_of(ipv4(TCP, tcp()))


def test_all_packets_of_a_flow_have_one_key() -> None:
    segments = [tcp(SYN), tcp(ACK, options=TIMESTAMPS), tcp(PSH_ACK, bytes(1000)), tcp(FIN_ACK)]
    packets = [ipv4(TCP, segment) for segment in segments] + [ipv4(TCP, tcp(), options=ROUTER_ALERT)]
    assert len({key_of(packet) for packet in packets}) == 1
    frames = [frame(IPV4_TYPE, packet, *tags) for packet in packets for tags in ((), (VLAN,), (QINQ,))]
    assert {key_of(one, layer2=True) for one in frames} == {key_of(packets[0])}


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_fragments_stay_together_and_are_never_small(protocol: int) -> None:
    first = ipv4(protocol, tcp(ACK) if protocol == TCP else udp(bytes(16)), fragment=MORE_FRAGMENTS)
    middle = ipv4(protocol, b"\x12\x34\x56\x78" * 4, fragment=MORE_FRAGMENTS | 3)
    last = ipv4(protocol, bytes(24), fragment=0x1F00)
    assert len({key_of(packet) for packet in (first, middle, last)}) == 1
    assert {kind_of(packet) for packet in (first, middle, last)} == {Kind.BULK}


@pytest.mark.parametrize("next_header", [HOP_BY_HOP, 43, FRAGMENT, 60])
def test_nothing_is_known_behind_an_ipv6_extension_header(next_header: int) -> None:
    first = ipv6(next_header, bytes([TCP, 0]) + bytes(6) + tcp())
    other = ipv6(next_header, bytes([TCP, 0]) + bytes(6) + tcp(ports=(1, 2)))
    assert classify(first, layer2=False) == classify(other, layer2=False)
    assert kind_of(first) is Kind.BULK


def test_one_vlan_tag_is_looked_behind() -> None:
    packet = ipv4(TCP, tcp())
    assert kind_of(frame(IPV4_TYPE, packet, VLAN), layer2=True) is Kind.ACK
    assert kind_of(frame(IPV4_TYPE, packet, QINQ, VLAN), layer2=True) is Kind.SMALL
    assert kind_of(frame(ARP, bytes(300), VLAN), layer2=True) is Kind.BULK


@pytest.mark.parametrize(
    "broken", [b"", b"\x45", ipv4(TCP, b"")[:19], ipv6(TCP, b"")[:39], b"\x44" + bytes(30), b"\x55" * 40]
)
def test_what_is_no_packet_goes_by_its_length(broken: bytes) -> None:
    assert classify(broken, layer2=False) == (Kind.SMALL, zlib.crc32(broken[:14]))
    assert kind_of(frame(IPV4_TYPE, broken), layer2=True) is Kind.SMALL


V4 = ipaddress.IPv4Address(HOST).packed + ipaddress.IPv4Address(SERVER).packed
V6 = ipaddress.IPv6Address(HOST6).packed + ipaddress.IPv6Address(SERVER6).packed


def numbered(seq: bytes) -> bytes:
    one = tcp(ACK, bytes(100), options=TIMESTAMPS)
    return one[:4] + seq + one[8:]


def test_a_segment_is_named_by_its_flow_and_sequence_number() -> None:
    body = numbered(b"\xfe\xdc\xba\x98")
    name = b"\x9c\x40\x01\xbb\xfe\xdc\xba\x98"
    plain = ipv4(TCP, body)
    assert segment_name(plain, layer2=False) == V4 + name
    assert segment_name(ipv4(TCP, body, options=ROUTER_ALERT * 2), layer2=False) == V4 + name
    assert segment_name(ipv6(TCP, body), layer2=False) == V6 + name
    assert segment_name(frame(IPV4_TYPE, plain), layer2=True) == V4 + name
    assert segment_name(frame(IPV6_TYPE, ipv6(TCP, body), VLAN), layer2=True) == V6 + name


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x45" * 300,
        b"\x55" * 300,
        ipv4(TCP, tcp(ACK, options=TIMESTAMPS + SACK)),  # an ACK repeats its number, but nothing was lost
        ipv4(TCP, tcp(FIN_ACK), options=ROUTER_ALERT * 10),
        ipv4(TCP, numbered(bytes(4)), fragment=MORE_FRAGMENTS),
        ipv4(TCP, bytes(200), fragment=3),
        ipv4(UDP, udp(bytes(200))),
        ipv6(UDP, udp(bytes(200))),
        ipv6(HOP_BY_HOP, bytes([TCP, 0]) + bytes(6) + numbered(bytes(4))),
    ],
)
def test_what_is_no_segment_with_payload_has_no_name(packet: bytes) -> None:
    assert segment_name(packet, layer2=False) is None
    assert segment_name(frame(IPV6_TYPE if packet[:1] == b"\x60" else IPV4_TYPE, packet), layer2=True) is None


def test_frames_of_other_protocols_have_no_name() -> None:
    assert segment_name(frame(0x8864, ipv4(TCP, numbered(bytes(4)))), layer2=True) is None
    assert segment_name(frame(IPV4_TYPE, ipv4(TCP, numbered(bytes(4))), QINQ, VLAN), layer2=True) is None
