"""A tap in a bridge with hosts of MTU 1500: too long packets are reported, TCP passes, and the named value helps.

home 10.88.0.2  --  bridge of the client  ==tap==  bridge of the server  --  site 10.88.0.3
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.netns.test_doctor import doctor
from tests.support.daemons import Daemon
from tests.support.lab import Host, Lab, Line, wait_until
from tests.support.traffic import TcpTransfer, ping
from tests.support.tunnels import TunnelSpec, running_tunnel

pytestmark = pytest.mark.netns

LINES = [Line(rate=100, delay=5), Line(rate=100, delay=5)]
HOME, SITE = "10.88.0.2", "10.88.0.3"
SIZE = 3_000_000
LONG = 1472
"""Bytes of payload of an echo request of 1500 bytes."""
TOLD = "the bridge drops frames of more than 1414 bytes for mlvpn0"


def add_bridged(lab: Lab, router: Host, label: str, address: str) -> Host:
    """A host whose cable is in a bridge with the tunnel's interface."""
    host = lab.add_host(label)
    host.sysctl(ipv6__conf__all__accept_dad=0, ipv6__conf__default__accept_dad=0)
    router.ip("link add br0 type bridge", f"link add lan0 type veth peer name eth0 netns {host.name}")
    router.ip("link set lan0 up", "link set lan0 master br0", "link set mlvpn0 master br0", "link set br0 up")
    host.ip("link set eth0 up", f"addr add {address}/24 dev eth0")
    return host


def shows(daemon: Daemon, block: str, member: str, value: int) -> bool:
    return bool(daemon.status()[block][member] == value)


@pytest.mark.parametrize("twin", ["native", "reference"])
def test_hosts_of_1500_bytes_beside_a_tap(twin: str) -> None:
    spec = TunnelSpec({"tuntap": "tap", "data_plane": twin}, client={"mss_clamp": "off"}, server={"mss_clamp": "off"})
    with Lab(LINES) as lab, running_tunnel(lab, spec) as tunnel:
        home = add_bridged(lab, lab.client, "home", HOME)
        site = add_bridged(lab, lab.server, "site", SITE)
        ends = [(tunnel.client, "client"), (tunnel.server, "server")]
        assert ping(home, SITE, count=3).received == 3
        # The fault itself: no packet of this length passes, and no counter of the kernel shows it.
        assert ping(home, SITE, count=2, size=LONG).received == 0
        for daemon, _ in ends:
            daemon.wait_for_log(TOLD)
            daemon.wait_for_log("Set mtu = 1500 at both ends")
            found = doctor(daemon.host, daemon.config_path).one("bridge-mtu")
            assert str(found["Text"]).startswith(TOLD)
        # TCP in super-packets passes the bridge, and its packets are counted.
        upload = TcpTransfer(home, site, SITE, seconds=1.5, patience=3)
        upload.wait()
        assert tunnel.client.status()["packets"]["tun_oversize"] > 0
        for daemon, _ in ends:
            assert daemon.log().count(TOLD) == 1
        for daemon, name in ends:
            daemon.write_config(tunnel.config(name, general={"mss_clamp": "auto"}))
            daemon.reload()
            assert wait_until(partial(shows, daemon, "mss_clamp", "ipv4", 1374), 5)
        for sender, receiver, address in ((home, site, SITE), (site, home, HOME)):
            assert TcpTransfer(sender, receiver, address, size=SIZE).wait().bytes_received == SIZE
        for daemon, name in ends:
            daemon.write_config(tunnel.config(name, general={"mtu": 1500}))
            daemon.reload()
            assert wait_until(partial(shows, daemon, "tuntap", "mtu", 1500), 5)
        assert ping(home, SITE, count=3, size=LONG).received == 3
        for sender, receiver, address in ((home, site, SITE), (site, home, HOME)):
            assert TcpTransfer(sender, receiver, address, size=SIZE).wait().bytes_received == SIZE
        for daemon, _ in ends:
            checks = [check for check, _ in doctor(daemon.host, daemon.config_path).bad()]
            assert "bridge-mtu" not in checks
            assert "mtu" not in checks
