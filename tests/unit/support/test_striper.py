"""What the blindly striping server sends, opened by the independent wire code."""

from __future__ import annotations

import time

from scapy.packet import Packet

from mlvpnd.scapy_layer import (
    AUTH,
    AUTH_OK,
    DATA,
    DISCONNECT,
    KEEPALIVE,
    MLVPN,
    NO_TIMESTAMP,
    PLAINTEXTS,
    derive_key,
    plaintext,
    seal,
)
from tests.support.striper import Striper

KEY = derive_key(b"secret")
CLIENT, ELSEWHERE = ("192.0.2.1", 5000), ("192.0.2.9", 6000)
PACKET = b"\x45" + bytes(99)


def datagram(kind: int, payload: bytes | None = None, *, seq: int = 7, **fields: int) -> bytes:
    """A datagram of a client."""
    header = MLVPN(type=kind, flow_id=0xC0FFEE, seq=seq)
    for name, value in fields.items():
        header.setfieldval(name, value)
    return bytes(seal(header / (PLAINTEXTS[kind] if payload is None else payload), KEY))


def opened(sealed: bytes | None) -> tuple[Packet, bytes]:
    assert sealed is not None
    header = MLVPN(sealed)
    return header, plaintext(header, KEY)


def joined(links: int) -> Striper:
    """A server with a client on each link."""
    striper = Striper(KEY, range(0xA0, 0xA0 + links))
    for number in range(links):
        striper.receive(number, datagram(AUTH), CLIENT, 0.0)
    return striper


def test_packets_go_round_the_links_with_numbers_from_zero() -> None:
    striper = joined(3)
    sent = [striper.stripe(PACKET, 0.0) for _ in range(7)]
    numbers, headers = [], []
    for found in sent:
        assert found is not None
        header, text = opened(found[1])
        assert (header.type, header.version, header.reorder, text) == (DATA, 1, 1, PACKET)
        numbers.append(found[0])
        headers.append(header)
    assert numbers == [0, 1, 2, 0, 1, 2, 0]
    assert [header.data_seq for header in headers] == list(range(7))
    # AUTH_OK took number 0.
    assert [header.seq for header in headers] == [1, 1, 1, 2, 2, 2, 3]
    assert {header.flow_id for header in headers} == {0xA0, 0xA1, 0xA2}


def test_a_link_without_a_client_is_passed_over() -> None:
    striper = joined(3)
    striper.receive(1, datagram(DISCONNECT), CLIENT, 1.0)
    found = [striper.stripe(PACKET, 1.0) for _ in range(4)]
    assert [number for number, _ in filter(None, found)] == [0, 2, 0, 2]
    assert Striper(KEY, [1, 2]).stripe(PACKET, 0.0) is None


def test_auth_is_answered_and_the_time_stamp_echoed_once() -> None:
    striper = Striper(KEY, [0xA0])
    packet, answer = striper.receive(0, datagram(AUTH, timestamp=1234), CLIENT, 5.0)
    header, text = opened(answer)
    assert packet is None
    assert (header.type, text, header.seq, header.data_seq) == (AUTH_OK, b"OK", 0, 0)
    assert header.timestamp_reply == 1234
    age = (int(time.time() * 1000) - header.timestamp) & 0xFFFF
    assert age < 5000
    assert striper.links[0].remote == CLIENT
    found = striper.stripe(PACKET, 5.1)
    assert found is not None
    assert opened(found[1])[0].timestamp_reply == NO_TIMESTAMP


def test_an_echo_says_how_long_it_was_held() -> None:
    striper = joined(1)
    striper.receive(0, datagram(DATA, PACKET, timestamp=65530), CLIENT, 5.0)
    found = striper.stripe(PACKET, 5.25)
    assert found is not None
    assert opened(found[1])[0].timestamp_reply == (65530 + 250) & 0xFFFF
    striper.receive(0, datagram(DATA, PACKET, timestamp=100), CLIENT, 6.0)
    found = striper.stripe(PACKET, 7.5)
    assert found is not None
    assert opened(found[1])[0].timestamp_reply == NO_TIMESTAMP


def test_data_is_delivered_as_it_comes() -> None:
    striper = joined(1)
    for seq in (9, 8):
        assert striper.receive(0, datagram(DATA, PACKET, seq=seq, data_seq=seq), ELSEWHERE, 0.0) == (PACKET, None)
    assert striper.links[0].remote == ELSEWHERE


def test_data_of_nobody_and_what_does_not_open_are_dropped() -> None:
    striper = Striper(KEY, [0xA0])
    assert striper.receive(0, datagram(DATA, PACKET), CLIENT, 0.0) == (None, None)
    for bad in (b"", b"short", datagram(AUTH)[:-1] + b"\0\0", datagram(AUTH)[:30]):
        assert striper.receive(0, bad, CLIENT, 0.0) == (None, None)
    assert striper.links[0].remote is None


def test_keepalives_are_answered_once_a_second_and_sent_each() -> None:
    striper = joined(2)
    _, answer = striper.receive(0, datagram(KEEPALIVE), CLIENT, 10.0)
    assert opened(answer)[0].type == KEEPALIVE
    assert striper.receive(0, datagram(KEEPALIVE), CLIENT, 10.5) == (None, None)
    assert striper.receive(0, datagram(KEEPALIVE), CLIENT, 11.1)[1] is not None
    assert [(number, opened(sealed)[0].type) for number, sealed in striper.tick(12.0)] == [
        (0, KEEPALIVE),
        (1, KEEPALIVE),
    ]
