"""The independent peer and the floods, over an emulated line between two hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP

from tests.support.flood import flood, raw_socket, spoofed
from tests.support.lab import Lab, Line
from tests.support.peer import Address, ScapyPeer, udp_socket

pytestmark = pytest.mark.netns

PING = bytes(IP(src="10.42.43.1", dst="10.42.43.2") / ICMP())


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=100, delay=5)]) as running:
        yield running


def ends(lab: Lab, *, ipv6: bool) -> tuple[Address, Address]:
    """Addresses of client and server, on free ports."""
    client, server = lab.line(1).client, lab.line(1).server
    return (client.ipv6 if ipv6 else client.ipv4, 5080), (server.ipv6 if ipv6 else server.ipv4, 5080)


@pytest.mark.parametrize("ipv6", [False, True])
def test_peers_on_two_hosts(lab: Lab, ipv6: bool) -> None:
    here, there = ends(lab, ipv6=ipv6)
    with (
        ScapyPeer(udp_socket(there, host=lab.server), b"secret", server=True) as server,
        ScapyPeer(udp_socket(here, host=lab.client), b"secret", remote=there) as client,
    ):
        assert client.connect(5)
        client.send_data(PING)
        assert server.run_until(lambda: server.packets == [PING], 5)
        assert server.remote is not None
        assert server.remote[0] == here[0]
        assert client.run_until(lambda: bool(client.rtt_samples), 5)
        assert client.rtt_samples[0] >= 0.009  # the line's delay, both ways, minus the rounding of the stamps


@pytest.mark.parametrize("ipv6", [False, True])
def test_spoofed_sources_arrive(lab: Lab, ipv6: bool) -> None:
    _, there = ends(lab, ipv6=ipv6)
    source = ("2001:db8:1::77" if ipv6 else "198.18.1.77", 7)
    with (
        ScapyPeer(udp_socket(there, host=lab.server), b"secret", server=True) as server,
        raw_socket(ipv6=ipv6, host=lab.client) as raw,
    ):
        result = flood(raw, (there[0], 0), spoofed([b"one", b"two"], source, there), count=4, rate=1000, seconds=5)
        assert (result.sent, result.refused) == (4, 0)
        assert server.run_until(lambda: len(server.received) == 4, 5)
        assert {received.source for received in server.received} == {source}
        assert [received.datagram for received in server.received] == [b"one", b"two"] * 2
