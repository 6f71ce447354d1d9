"""A line behind the client's router with an MTU below 1500 bytes, as most PPPoE lines have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.lab import Host, Lab, Line, start_janitor
from tests.support.traffic import TcpTransfer, ping
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4, Keys, Tunnel, TunnelSpec

pytestmark = pytest.mark.netns

RATE = 40
"""Mbit/s of the line. The line is paced."""
LINE_MTU = 1492
NETWORKS = {4: ("198.18.201.{}", "198.18.202.{}", 24), 6: ("2001:db8:201::{}", "2001:db8:202::{}", 64)}
"""The networks of the client and of the server, by IP version. The router is host 1, the other host 2."""
SIZE = 6_000_000
ICMP_TOO_BIG = ("icmp type destination-unreachable icmp code frag-needed", "icmpv6 type packet-too-big")


@contextlib.contextmanager
def narrow_line(*, version: int = 4, filtered: bool, general: Keys | None = None) -> Iterator[Tunnel]:
    """A tunnel whose link passes a router that knows the line's MTU. `filtered`: the router's messages are lost.

    A veth with this MTU would be no model of such a line, because the hosts would know the MTU.
    """
    with Lab([Line(rate=RATE)]) as lab, contextlib.ExitStack() as cleanup:
        router = Host(f"{lab.name}-router")
        cleanup.callback(start_janitor(lab.directory / "router", router))
        router.create()
        cleanup.callback(router.end_processes)
        near, far, bits = NETWORKS[version]
        router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1, ipv6__conf__default__accept_dad=0)
        for host, network, device in ((lab.client, near, "lan"), (lab.server, far, "line")):
            other = near if network == far else far
            host.ip(f"link add up0 type veth peer name {device} netns {router.name}", "link set up0 up")
            host.ip(f"addr add {network.format(2)}/{bits} dev up0" + (" nodad" if version == 6 else ""))
            router.ip(f"link set {device} up", f"addr add {network.format(1)}/{bits} dev {device}")
            host.ip(f"route add {other.format(0 if version == 4 else '')}/{bits} via {network.format(1)} dev up0")
            router.ip(f"route add {network.format(2)}/{32 if version == 4 else 128} dev {device} mtu lock {LINE_MTU}")
        if filtered:
            router.run("nft", "add table inet filter")
            router.run("nft", "add chain inet filter output { type filter hook output priority 0; }")
            for told in ICMP_TOO_BIG:
                router.run("nft", f"add rule inet filter output {told} drop")
        spec = TunnelSpec(
            general=general or {},
            links={"link1": {"bindhost": far.format(2), "bandwidth_upload": RATE * 125_000}},
            client_links={"link1": {"bindhost": near.format(2), "remotehost": far.format(2)}},
        )
        tunnel = Tunnel(lab, spec)
        yield tunnel
        tunnel.stop()


def mtu_of(tunnel: Tunnel) -> int:
    """The client's MTU of the interface."""
    text = tunnel.client.host.run("cat", "/sys/class/net/mlvpn0/mtu")
    return int(text)


def full_pings(tunnel: Tunnel, count: int = 6) -> tuple[int, int]:
    """The number of answered pings from each end. The pings fill the interface's MTU."""
    size = mtu_of(tunnel) - 28
    up = ping(tunnel.client.host, SERVER_INNER_IPV4, count=count, size=size)
    down = ping(tunnel.server.host, CLIENT_INNER_IPV4, count=count, size=size)
    return up.received, down.received


def goodputs(tunnel: Tunnel) -> list[float]:
    """Mbit/s of TCP to the server, and to the client."""
    server, client = tunnel.server.host, tunnel.client.host
    found = []
    for transfer in (
        TcpTransfer(client, server, SERVER_INNER_IPV4, size=SIZE),
        TcpTransfer(server, client, CLIENT_INNER_IPV4, size=SIZE),
    ):
        result = transfer.wait()
        assert result.verified, result.error
        found.append(result.bytes_received * 8 / result.seconds / 1e6)
    return found


@pytest.mark.parametrize("filtered", [True, False], ids=["icmp filtered", "icmp passes"])
def test_over_ipv4_full_packets_are_split_and_none_is_lost(filtered: bool) -> None:
    with narrow_line(filtered=filtered) as tunnel:
        tunnel.start()
        assert mtu_of(tunnel) == 1428
        assert full_pings(tunnel) == (6, 6)
        assert min(goodputs(tunnel)) > RATE / 2
        assert tunnel.client.links()["link1"]["offload"]["gso"]


def test_over_ipv6_full_packets_are_split_where_the_line_tells() -> None:
    """Only the sender may split a packet. So each sender has to be told once."""
    with narrow_line(version=6, filtered=False) as tunnel:
        tunnel.start()
        assert mtu_of(tunnel) == 1408
        assert min(full_pings(tunnel)) >= 4
        assert min(goodputs(tunnel)) > RATE / 2


def test_over_ipv6_a_smaller_mtu_helps_where_the_line_tells_nothing() -> None:
    with narrow_line(version=6, filtered=True, general={"mtu": 1400}) as tunnel:
        tunnel.start()
        assert full_pings(tunnel) == (6, 6)
        assert min(goodputs(tunnel)) > RATE / 2
