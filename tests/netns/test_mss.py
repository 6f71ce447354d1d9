"""Hosts behind a tunnel: their own networks take longer packets than it. TCP passes though no router tells them.

The lines of the hosts take 1500 bytes, the interface 1428. Nobody reports packets that are too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.support.behind import HOME, SITE, Behind, put_behind, tell_nobody
from tests.support.lab import Lab, LabError, Line, wait_until
from tests.support.traffic import TcpTransfer, ping
from tests.support.tunnels import Tunnel, TunnelSpec, insist, running_tunnel

pytestmark = pytest.mark.netns

LINES = [Line(rate=100, delay=5), Line(rate=100, delay=5)]
SIZE = 20_000_000
"""Bytes of a download."""
TWINS = ("native", "reference")


@contextmanager
def world(spec: TunnelSpec) -> Iterator[tuple[Tunnel, Behind]]:
    with Lab(LINES) as lab, running_tunnel(lab, spec) as tunnel:
        hosts = put_behind(lab)
        for number, router in ((1, lab.client), (2, lab.server)):
            tell_nobody(router, number)
        assert ping(hosts.home, SITE[0], count=2).received == 2
        assert ping(hosts.home, SITE[1], count=2).received == 2
        # The fault itself: the hosts are told nothing of packets that are too long.
        assert ping(hosts.home, SITE[0], count=1, size=1472).received == 0
        yield tunnel, hosts


def spec_of(twin: str, tuntap: str = "tun", **client: object) -> TunnelSpec:
    """Only the client limits segments, as with C MLVPN on the server."""
    return TunnelSpec({"data_plane": twin, "tuntap": tuntap}, server={"mss_clamp": "off"}, client=client)


def carried(hosts: Behind, *, download: bool, version: int, size: int, patience: float = 15.0) -> int:
    """Bytes of a transfer that arrived."""
    sender, receiver, ends = (hosts.site, hosts.home, HOME) if download else (hosts.home, hosts.site, SITE)
    address = ends[version == 6]
    transfer = TcpTransfer(sender, receiver, address, size=size, patience=patience)
    try:
        return transfer.wait().bytes_received
    except LabError:
        return 0


def has_limits(tunnel: Tunnel, ipv4: int, ipv6: int) -> bool:
    limits: dict[str, int] = tunnel.client.status()["mss_clamp"]
    return limits == {"ipv4": ipv4, "ipv6": ipv6}


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("tuntap", ["tun", "tap"])
def test_hosts_behind_it_get_all_and_with_either_ip(twin: str, tuntap: str) -> None:
    with world(spec_of(twin, tuntap)) as (tunnel, hosts):
        mtu = 1428 if tuntap == "tun" else 1414
        assert tunnel.client.status()["mss_clamp"] == {"ipv4": mtu - 40, "ipv6": mtu - 60}
        assert tunnel.server.status()["mss_clamp"] == {"ipv4": 0, "ipv6": 0}
        for version, size in ((4, SIZE), (6, SIZE // 10)):
            for download in (True, False):
                assert carried(hosts, download=download, version=version, size=size) == size


@pytest.mark.parametrize("twin", TWINS)
def test_without_it_they_get_nothing_and_a_reload_helps(twin: str) -> None:
    with world(spec_of(twin, mss_clamp="off")) as (tunnel, hosts):
        assert carried(hosts, download=True, version=4, size=SIZE, patience=4.0) == 0
        for value, limits in (("auto", (1388, 1368)), (1200, (1200, 1200))):
            tunnel.client.write_config(tunnel.config("client", general={"mss_clamp": value}))
            tunnel.client.reload()
            assert wait_until(partial(has_limits, tunnel, *limits), 5)
            assert carried(hosts, download=True, version=4, size=SIZE // 10) == SIZE // 10
            assert carried(hosts, download=False, version=6, size=SIZE // 10) == SIZE // 10


@pytest.mark.parametrize("twin", TWINS)
def test_it_follows_the_mtu_that_somebody_sets(twin: str) -> None:
    with world(spec_of(twin)) as (tunnel, hosts):
        insist(tunnel.client.host, "link set mlvpn0 mtu 1300", "mtu 1300 ")
        assert wait_until(lambda: has_limits(tunnel, 1260, 1240), 5)
        assert tunnel.client.status()["tuntap"]["mtu"] == 1300
        assert carried(hosts, download=False, version=4, size=SIZE // 10) == SIZE // 10
