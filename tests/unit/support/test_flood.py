"""Floods keep to their bounds, and their ammunition is what it says."""

from __future__ import annotations

import socket
import time

import pytest

from mlvpnd.scapy_layer import MLVPN, OpenError, derive_key, is_plausible, open_, seal
from tests.support.flood import flood, garbage, spoofed, truncated, wrong_key
from tests.support.peer import Address, udp_socket


@pytest.fixture
def sink() -> socket.socket:
    return udp_socket(("127.0.0.1", 0))


def address_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()
    return host, port


def test_count_bounds_it(sink: socket.socket) -> None:
    with sink, udp_socket(("127.0.0.1", 0)) as sock:
        result = flood(sock, address_of(sink), [b"a", b"b"], count=5, rate=10_000, seconds=10)
        assert (result.sent, result.refused) == (5, 0)
        assert [sink.recv(9) for _ in range(5)] == [b"a", b"b", b"a", b"b", b"a"]


def test_time_bounds_it(sink: socket.socket) -> None:
    with sink, udp_socket(("127.0.0.1", 0)) as sock:
        start = time.monotonic()
        result = flood(sock, address_of(sink), [b"a"], count=10**9, rate=1000, seconds=0.3)
        assert time.monotonic() - start < 5
        assert 1 <= result.sent <= 0.3 * 1000 + 1 + 0.02 * 1000
        assert result.rate > 0


def test_rate_bounds_it(sink: socket.socket) -> None:
    with sink, udp_socket(("127.0.0.1", 0)) as sock:
        result = flood(sock, address_of(sink), [b"a"], count=200, rate=1000, seconds=10)
        assert result.sent == 200
        assert result.seconds >= 0.19


def test_iterator_ends_it(sink: socket.socket) -> None:
    with sink, udp_socket(("127.0.0.1", 0)) as sock:
        result = flood(sock, address_of(sink), iter([b"a", b"b"]), count=100, rate=10_000, seconds=10)
        assert result.sent == 2


def test_refusals_are_counted(sink: socket.socket) -> None:
    with sink, udp_socket(("127.0.0.1", 0)) as sock:
        result = flood(sock, address_of(sink), [bytes(65536), b"fits"], count=4, rate=10_000, seconds=10)
        assert (result.sent, result.refused) == (2, 2)


def test_garbage_is_garbage() -> None:
    made = garbage(200)
    assert len(made) == 200
    assert max(map(len, made)) <= 1500
    assert sum(is_plausible(MLVPN(datagram)) for datagram in made) >= 90
    for datagram in made:
        with pytest.raises(OpenError):
            open_(MLVPN(datagram), derive_key(b"secret"))
    assert garbage(10) == garbage(10) != garbage(10, seed=1)


def test_wrong_key_is_flawless_but_for_its_key() -> None:
    for datagram in wrong_key(20):
        assert is_plausible(MLVPN(datagram))
        with pytest.raises(OpenError, match="box does not open"):
            open_(MLVPN(datagram), derive_key(b"secret"))


def test_truncated_does_not_open() -> None:
    key = derive_key(b"secret")
    for datagram in truncated([bytes(seal(MLVPN(type=0) / b"AU", key))] * 60):
        with pytest.raises(OpenError):
            open_(MLVPN(datagram), key)


@pytest.mark.parametrize(
    ("source", "target", "version", "header"), [("192.0.2.1", "192.0.2.2", 4, 28), ("::1", "::2", 6, 48)]
)
def test_spoofed_packets_name_their_source(source: str, target: str, version: int, header: int) -> None:
    (packet,) = spoofed([b"payload"], (source, 7), (target, 9))
    assert packet[0] >> 4 == version
    assert packet[header:] == b"payload"
    assert packet[header - 8 : header - 4] == bytes([0, 7, 0, 9])
