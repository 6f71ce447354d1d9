"""Captured packets to lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import CookedLinux
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet
from scapy.utils import wrpcapng

from mlvpnd.capture.decoder import split_segments
from mlvpnd.scapy_layer import AUTH, DATA, DISCONNECT, KEEPALIVE, MLVPN, seal
from tests.support.captures import Decoding, conversation, write
from tests.support.example_packets import ETHER, KEY, PING


def test_decode_boxed(decoding: Decoding) -> None:
    write(decoding.capture, conversation())
    assert decoding() == 0
    assert decoding.errors == ""
    stamp = r"2026-11-22 \d\d:41:07\.\d{6}"
    assert re.fullmatch(
        stamp + re.escape(
            " 192.0.2.1:40000 > 192.0.2.2:5080 AUTH seq 0 data_seq 0 reorder 1 timestamp 100 reply - flow 0x00000001"
            " length 46 opened AU"
        ),
        decoding.lines[0],
    )  # fmt: skip
    said = [line.split(" ", 2)[2] for line in decoding.lines[1:6]]
    assert said == [
        "192.0.2.2:5080 > 192.0.2.1:40000 AUTH_OK seq 0 data_seq 0 reorder 1 timestamp 200 reply 101"
        " flow 0x00000002 length 46 opened OK",
        "192.0.2.1:40000 > 192.0.2.2:5080 KEEPALIVE seq 1 data_seq 0 reorder 1 timestamp 0 reply -"
        " flow 0x00000001 length 44 opened (empty)",
        "192.0.2.1:40000 > 192.0.2.2:5080 DATA seq 2 data_seq 7 reorder 1 timestamp 0 reply -"
        " flow 0x00000001 length 72 opened IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0",
        "192.0.2.2:5080 > 192.0.2.1:40000 DATA seq 1 data_seq 3 reorder 0 timestamp 0 reply -"
        " flow 0x00000002 length 97 opened IPv6 / UDP fd00::1:echo > fd00::2:discard / Raw",
        "192.0.2.1:40000 > 192.0.2.2:5080 DISCONNECT seq 3 data_seq 0 reorder 1 timestamp 0 reply -"
        " flow 0x00000001 length 44 opened (empty)",
    ]
    assert decoding.totals == (
        "6 MLVPN datagrams: 1 AUTH, 1 AUTH_OK, 2 DATA, 1 DISCONNECT, 1 KEEPALIVE; 6 opened, 0 not opened;"
        " 0 IP fragments, not read; 0 other packets"
    )


def test_decode_clear(decoding: Decoding) -> None:
    write(decoding.capture, conversation(cleartext=True))
    assert decoding("--cleartext") == 0
    assert decoding.lines[3].endswith("length 56 clear IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0")
    assert "6 opened, 0 not opened" in decoding.totals
    assert decoding() == 0
    assert decoding.lines[3].endswith("length 56 not opened: box does not open")
    assert "4 opened, 2 not opened" in decoding.totals


def test_decode_tap(decoding: Decoding) -> None:
    write(decoding.capture, [ETHER / IP() / UDP() / seal(MLVPN() / (ETHER / IP(PING)), KEY)])
    assert decoding("--tap") == 0
    assert decoding.lines[0].endswith("opened Ether / IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0")


def test_decode_wrong_password(decoding: Decoding) -> None:
    write(decoding.capture, conversation())
    decoding.write_password(b"wrong\n")
    assert decoding() == 1
    assert all(line.endswith("not opened: box does not open") for line in decoding.lines[:6])
    assert "0 opened, 6 not opened" in decoding.totals
    assert decoding.errors == "mlvpn-decode: nothing opened: is the password right?\n"


def test_decode_ipv6_outside(decoding: Decoding) -> None:
    write(decoding.capture, conversation(ip6=True))
    assert decoding() == 0
    assert " [2001:db8::1]:40000 > [2001:db8::2]:5080 AUTH " in decoding.lines[0]
    assert "6 opened" in decoding.totals


@pytest.mark.parametrize(
    "below", [CookedLinux() / IP(), ETHER / PPPoE() / PPP() / IP(), IP()], ids=["any", "pppoe", "raw"]
)
def test_decode_links_other_than_ethernet(decoding: Decoding, below: Packet) -> None:
    write(decoding.capture, [below / UDP() / seal(MLVPN() / PING, KEY)])
    assert decoding() == 0
    assert "1 opened" in decoding.totals


def test_decode_pcapng(decoding: Decoding) -> None:
    wrpcapng(str(decoding.capture), conversation())
    assert decoding() == 0
    assert "6 opened" in decoding.totals


def test_decode_shows_fields(decoding: Decoding) -> None:
    write(decoding.capture, conversation()[3:4])
    assert decoding("--show") == 0
    assert any(re.fullmatch(r" +data_seq *= 7", line) for line in decoding.lines)
    assert any("echo-request" in line for line in decoding.lines[1:])


def test_decode_segmentation_offload(decoding: Decoding) -> None:
    datagrams = [bytes(seal(MLVPN(seq=n, data_seq=n) / PING, KEY)) for n in range(5)]
    datagrams.append(bytes(seal(MLVPN(type=KEEPALIVE, seq=5), KEY)))
    write(decoding.capture, [ETHER / IP() / UDP() / b"".join(datagrams)])
    assert decoding() == 0
    assert decoding.totals.startswith("6 MLVPN datagrams: 5 DATA, 1 KEEPALIVE; 6 opened")


@pytest.mark.parametrize("form", ["ipv4", "ipv6"])
def test_decode_counts_fragments(decoding: Decoding, form: str) -> None:
    udp = UDP() / seal(MLVPN() / bytes(1432), KEY)
    whole6 = IPv6(src="::1", dst="::2") / IPv6ExtHdrFragment() / udp
    parts = (
        fragment(IP() / udp, fragsize=1480)  # type: ignore[no-untyped-call]  # scapy types it not
        if form == "ipv4"
        else fragment6(whole6, 1500)  # type: ignore[no-untyped-call]  # nor this
    )
    write(decoding.capture, [*(ETHER / part for part in parts), *conversation()])
    assert decoding() == 0
    assert "6 opened, 0 not opened; 2 IP fragments, not read; 0 other packets" in decoding.totals


def test_split_needs_segments_of_one_size() -> None:
    short, long = (bytes(seal(MLVPN() / bytes(size), KEY)) for size in (1, 2))
    assert split_segments(long * 3 + short) == [long, long, long, short]
    for whole in (short + long, long + short + long, short + b"\0", short + bytes(28), b"", bytes(100)):
        assert split_segments(whole) == [whole]


@given(data=st.binary(max_size=200))
def test_split_of_any_bytes_loses_none(data: bytes) -> None:
    assert b"".join(split_segments(data)) == data


def test_decode_port_takes_what_has_no_sane_header(decoding: Decoding) -> None:
    write(
        decoding.capture,
        [
            ETHER / IP() / UDP(sport=1, dport=5080) / b"short",
            ETHER / IP() / UDP(sport=5081, dport=1) / MLVPN(version=9, type=40, len=500),
            ETHER / IP() / UDP(sport=1, dport=2) / seal(MLVPN() / PING, KEY),
            ETHER / IP() / TCP(sport=1, dport=5080),
            *conversation(),
        ],
    )
    assert decoding("--port", "5080", "--port", "5081") == 0
    assert decoding.lines[0].endswith(" malformed length 5 not opened: shorter than a header")
    assert " type-40 version 9 " in decoding.lines[1]
    assert decoding.lines[1].endswith(" length 28 not opened: len says 500, 0 bytes are there")
    assert (
        "1 malformed, 1 type-40; 6 opened, 2 not opened; 0 IP fragments, not read; 2 other packets" in decoding.totals
    )
    assert decoding() == 0
    assert "7 opened, 0 not opened; 0 IP fragments, not read; 3 other packets" in decoding.totals


def test_decode_unexpected_control_payload(decoding: Decoding) -> None:
    flipped = bytearray(bytes(seal(MLVPN(type=DATA) / PING, KEY)))
    flipped[2] = (flipped[2] & 0x0F) | DISCONNECT << 4
    write(decoding.capture, [ETHER / IP() / UDP() / bytes(flipped)])
    assert decoding() == 0
    assert decoding.lines[0].endswith("opened unexpected payload of 28 bytes")


def test_decode_other_protocols(decoding: Decoding) -> None:
    write(decoding.capture, [ETHER / IP() / TCP(), ETHER / IP() / UDP() / b"other", ETHER / b"garbage"])
    assert decoding() == 1
    assert decoding.lines == [
        "0 MLVPN datagrams: none; 0 opened, 0 not opened; 0 IP fragments, not read; 3 other packets"
    ]
    assert decoding.errors == "mlvpn-decode: no MLVPN datagram found\n"


def test_decode_terminal_codes_do_not_reach_the_terminal(decoding: Decoding) -> None:
    write(decoding.capture, [ETHER / IP() / UDP() / seal(MLVPN(type=AUTH) / b"\x1b[2J\n", KEY)])
    assert decoding("--show") == 0
    assert not any(c != "\n" and not c.isprintable() for c in "\n".join(decoding.lines))
