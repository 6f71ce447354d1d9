"""A server with several addresses and a link that names none: it answers from the address that its client calls."""

from __future__ import annotations

import pytest

from tests.support.lab import SERVER_IPV4, SERVER_IPV6, Lab, Line, wait_until
from tests.support.traffic import TcpTransfer, ping
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4, Tunnel, TunnelSpec

pytestmark = pytest.mark.netns

OTHER_IPV4 = "198.19.0.77"
"""Another address of the server."""


def hear_only(tunnel: Tunnel, address: str) -> None:
    """The client's NAT lets in only packets from addresses that the client has sent to."""
    client, family = tunnel.client.host, "ip6" if ":" in address else "ip"
    for verb in ("add", "delete", "add"):  # whether there already is one or not
        client.run("nft", f"{verb} table inet nat_of_client")
    client.run("nft", "add chain inet nat_of_client input { type filter hook input priority 0; }")
    client.run("nft", f"add rule inet nat_of_client input udp sport 5080 {family} saddr != {address} drop")


@pytest.mark.parametrize("ipv6_outside", [False, True], ids=["IPv4", "IPv6"])
def test_a_client_that_hears_the_address_it_calls_only(ipv6_outside: bool) -> None:
    with Lab([Line(rate=50)]) as lab:
        own = lab.line(1).client
        spec = TunnelSpec(
            ipv6_outside=ipv6_outside,
            links={"link1": {"bindhost": None}},
            client_links={"link1": {"bindhost": own.ipv6 if ipv6_outside else own.ipv4}},
        )
        tunnel = Tunnel(lab, spec)
        hear_only(tunnel, SERVER_IPV6 if ipv6_outside else SERVER_IPV4)
        tunnel.start()
        assert ping(tunnel.client.host, SERVER_INNER_IPV4, count=5).received == 5
        client, server = tunnel.client.host, tunnel.server.host
        result = TcpTransfer(server, client, CLIENT_INNER_IPV4, size=2_000_000).wait()
        assert result.verified, result.error
        if not ipv6_outside:
            follow_another_address(tunnel)
        tunnel.stop()


def follow_another_address(tunnel: Tunnel) -> None:
    """The client calls another address, as after a change in the name server; the first address goes away."""
    server, client = tunnel.server, tunnel.client
    server.host.ip(f"addr add {OTHER_IPV4}/32 dev lo")
    client.stop()
    hear_only(tunnel, OTHER_IPV4)
    client.write_config(tunnel.config("client", links={"link1": {"remotehost": OTHER_IPV4}}))
    server.host.ip(f"addr del {SERVER_IPV4}/32 dev lo")
    client.start()
    tunnel.wait_up()
    assert wait_until(lambda: ping(client.host, SERVER_INNER_IPV4, count=3).received == 3, 5)
