"""Each kind of tunnel between real daemons: it comes up, carries verified traffic both ways, and stops cleanly."""

from __future__ import annotations

import json

import pytest

from mlvpnd.helper.network import gso_limit
from tests.support.daemons import process_name, process_status, process_title
from tests.support.lab import Host, Lab, Line, wait_until
from tests.support.traffic import TcpTransfer, UdpStream, ping
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    CLIENT_INNER_IPV6,
    SERVER_INNER_IPV4,
    SERVER_INNER_IPV6,
    TunnelSpec,
    running_tunnel,
)

pytestmark = pytest.mark.netns

LINES = [Line(rate=50, delay=5), Line(rate=30, delay=10)]

KINDS = {
    "boxed tun over IPv4": TunnelSpec(),
    "clear tun over IPv4": TunnelSpec(general={"cleartext_data": 1}),
    "boxed tap over IPv6": TunnelSpec(general={"tuntap": "tap"}, ipv6_outside=True),
    "clear tap over IPv4, status command": TunnelSpec(general={"tuntap": "tap", "cleartext_data": 1}, scripted=True),
    "boxed tun over IPv6, no reordering": TunnelSpec(general={"reorder_buffer_size": 0}, ipv6_outside=True),
}


def path_mtu(host: Host) -> int:
    return int(host.run("cat", "/sys/class/net/mlvpn0/mtu"))


@pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS.keys())
def test_it_carries_traffic(spec: TunnelSpec) -> None:
    with Lab(LINES) as lab, running_tunnel(lab, spec) as tunnel:
        for address in (SERVER_INNER_IPV4, SERVER_INNER_IPV6):
            assert ping(lab.client, address, count=5).received == 5
        download = TcpTransfer(lab.server, lab.client, CLIENT_INNER_IPV4, size=3_000_000)
        upload = TcpTransfer(lab.client, lab.server, SERVER_INNER_IPV6, size=1_000_000)
        for transfer in (download, upload):
            result = transfer.wait()
            assert result.verified, result.error
        # Both links did their share. The near one carried more of a short transfer.
        for link in tunnel.server.links().values():
            assert link["sentbytes"] > 20_000
            assert link["disconnects"] == 0
        # The largest packet of the interface fits a line without fragments.
        mtu = path_mtu(lab.client)
        assert mtu == (1408 if spec.ipv6_outside else 1428) - (14 if spec.general.get("tuntap") == "tap" else 0)
        assert ping(lab.client, SERVER_INNER_IPV4, count=2, size=mtu - 28).received == 2
        (link,) = json.loads(lab.client.run("ip", "-j", "-d", "link", "show", "dev", "mlvpn0"))
        assert link["gso_max_size"] == gso_limit(mtu)
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV6, seconds=1, rate=200).wait()
        assert (stream.lost, stream.duplicates, stream.wrong) == (0, 0, 0)


def test_what_the_system_shows() -> None:
    spec = TunnelSpec(scripted=True, general={"ip4_routes": "192.0.2.0/24 203.0.113.7", "mtu": 1300})
    with Lab([Line()]) as lab:
        with running_tunnel(lab, spec) as tunnel:
            client = tunnel.client
            assert wait_until(lambda: "192.0.2.0/24 dev mlvpn0" in lab.client.run("ip", "route"), 5)
            assert process_title(client.pid) == "mlvpn: client [priv]"
            # The title follows a change a moment later.
            assert wait_until(lambda: process_title(client.child_pid) == "mlvpn: client @link1", 5)
            assert process_name(client.pid) == process_name(client.child_pid) == "mlvpn"
            status = process_status(client.child_pid)
            assert set(status["Uid"].split()) == {"65534"}
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(status[capabilities], 16) == 0
        calls = tunnel.events("client")
        assert [arguments for arguments, _ in calls] == [
            ["mlvpn0", "rtun_up", "link1"],
            ["mlvpn0", "tuntap_up"],
            ["mlvpn0", "rtun_down", "link1"],
            ["mlvpn0", "tuntap_down"],
        ]
        assert calls[1][1] == {
            "IP4": f"{CLIENT_INNER_IPV4}/24",
            "IP6": f"{CLIENT_INNER_IPV6}/64",
            "IP4_GATEWAY": "",
            "IP6_GATEWAY": "",
            "IP4_ROUTES": "192.0.2.0/24 203.0.113.7",
            "IP6_ROUTES": "",
            "DEVICE": "mlvpn0",
            "MTU": "1300",
        }
