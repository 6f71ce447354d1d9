from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from pathlib import Path

from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.inside import InsideDoctor
from mlvpnd.ctl.doctor.network import TABLE_MAIN, Entry, Interface, IPAddress, Route
from mlvpnd.ctl.doctor.routing import Uplink
from tests.unit.ctl.views import link_view, tunnel_view

from .facts import CLIENT, ETH0, ETH1, LOOPBACK, FakeNetwork, bad, config_of, ends, only, system_of

TUN = Interface(9, "mlvpn0", up=True, carrier=True, mtu=1428)
WHOLE = CLIENT.replace("[adsl1]", "ip4_routes = 0.0.0.0/0\n[adsl1]")
LINE = Entry(ip_network("0.0.0.0/0"), TABLE_MAIN, ETH0.index, ip_address("192.0.2.1"))
OURS = dataclasses.replace(LINE, interface=TUN.index, gateway=None, metric=5)


class Ways(FakeNetwork):
    """A host that sends IPv4 and IPv6 by these interfaces, but some addresses elsewhere."""

    def __init__(self, by4: Interface | None, by6: Interface | None = None, **special: Interface) -> None:
        super().__init__(devices=[LOOPBACK, ETH0, ETH1, TUN])
        self._by = {4: by4, 6: by6}
        self._special = {text.replace("_", "."): device for text, device in special.items()}

    def route(self, remote: IPAddress, local: IPAddress | None, interface: Interface | None) -> Route | None:
        found = self._special.get(f"to.{remote}", self._by[remote.version])
        return Route(found.index) if found is not None else None


def check(
    network: FakeNetwork, text: str = WHOLE, *, root: Path = Path("/nowhere"), state: str = "up", **files: str
) -> list[Finding]:
    config = config_of(text)
    tunnel = tunnel_view(link_view("adsl1", State=state), link_view("adsl2", State="down"), Interface="mlvpn0")
    uplinks = [Uplink(one, ETH0, Route(ETH0.index, ip_address("192.0.2.1")), good=True) for one in ends(config)]
    return [*InsideDoctor(config, network, system_of(root, **files), tunnel).check(uplinks)]


def test_as_it_should_be() -> None:
    assert check(Ways(TUN)) == []
    assert check(Ways(ETH0), CLIENT) == []


def test_without_a_link_nothing_is_expected() -> None:
    assert check(Ways(ETH0), state="down") == []
    assert check(FakeNetwork()) == []


def test_a_default_route_that_the_kernel_refused() -> None:
    network = Ways(ETH0)
    network.listed = [LINE]
    network.source_rules = {"203.0.113.0/24": 7}
    found = only(check(network), "inner-route")
    assert found.text == (
        "the default route through mlvpn0 was not taken by the kernel: one by eth0 via 192.0.2.1 with metric 0 is"
        " there. Put 'ip4_routes = 0.0.0.0/1 128.0.0.0/1' into [general]"
    )
    assert found.commands == (
        "ip route replace 198.51.100.1 via 192.0.2.1 dev eth0",  # a link that has no rule must stay outside
        "ip route add 0.0.0.0/1 dev mlvpn0",
        "ip route add 128.0.0.0/1 dev mlvpn0",
    )
    network.listed = [LINE, OURS]
    assert "through mlvpn0 is not used: one by eth0" in only(check(network), "inner-route").text
    network.listed = []
    assert "through mlvpn0 is missing. Put" in only(check(network), "inner-route").text


def test_a_route_to_a_network() -> None:
    text = CLIENT.replace("[adsl1]", "ip4_routes = 10.9.0.0/16\n[adsl1]")
    assert check(Ways(ETH0, to_10_9_0_1=TUN), text) == []
    found = only(check(Ways(ETH0), text), "inner-route")
    assert found.text == "the route to 10.9.0.0/16 through mlvpn0 is missing"
    assert found.commands == ("ip route replace 10.9.0.0/16 dev mlvpn0",)


def test_a_lan_that_is_a_part_of_the_network() -> None:
    text = CLIENT.replace("[adsl1]", "ip4_routes = 10.9.0.0/16\n[adsl1]")
    network = Ways(ETH0)
    wide = Entry(ip_network("10.9.0.0/16"), TABLE_MAIN, TUN.index)
    network.listed = [wide, Entry(ip_network("10.9.0.0/24"), TABLE_MAIN, ETH1.index)]
    assert check(network, text) == []
    network.listed.append(dataclasses.replace(wide, interface=ETH1.index, metric=100))
    assert check(network, text) == []
    network.listed[0] = dataclasses.replace(wide, metric=200)
    assert "is not used: one by eth1 with metric 100" in only(check(network, text), "inner-route").text


def test_ipv6_round_the_tunnel() -> None:
    found = only(check(Ways(TUN, ETH1)), "ipv6-leak")
    assert "IPv6 goes round it by eth1" in found.text
    assert found.commands == ("ip -6 route add unreachable 2000::/3 metric 1",)
    assert check(Ways(TUN, LOOPBACK)) == []  # refused
    text = WHOLE.replace("bindhost = 192.0.2.2\n", "").replace(
        "remotehost = 198.51.100.1", "remotehost = 2001:db8::1", 1
    )
    assert only(check(Ways(TUN, ETH1), text), "ipv6-leak").commands == ()


def test_dns_round_the_tunnel(tmp_path: Path) -> None:
    servers = {"etc__resolv.conf": "nameserver 192.0.2.1\nnameserver 127.0.0.1\n"}
    found = only(check(Ways(TUN, to_192_0_2_1=ETH0), root=tmp_path, **servers), "dns")
    assert found.text.startswith("the name server 192.0.2.1 is asked by eth0 and not through mlvpn0")
    assert check(Ways(TUN), root=tmp_path, **servers) == []


def test_a_name_that_only_the_tunnel_knows(tmp_path: Path) -> None:
    text = WHOLE.replace("remotehost = 198.51.100.1", "remotehost = peer.example")
    config = config_of(text)
    tunnel = tunnel_view(link_view("adsl1"), link_view("adsl2"))

    def find(**files: str) -> list[Finding]:
        system = system_of(tmp_path, **{"etc__resolv.conf": "nameserver 10.0.0.1\n"}, **files)
        return [*InsideDoctor(config, Ways(TUN), system, tunnel).check([])]

    found = only(find(), "dns-loop")
    assert found.text.startswith("adsl1 and adsl2: peer.example can be looked up only through the tunnel itself")
    assert found.commands == ("echo '198.51.100.1 peer.example' >>/etc/hosts",)
    assert bad(find(etc__hosts="198.51.100.1 peer.example\n")) == []


def test_a_network_that_the_host_has_elsewhere() -> None:
    network = Ways(TUN)
    network.prefixes = [(LOOPBACK, "10.0.0.9/32"), (TUN, "10.0.0.2/24"), (ETH1, "10.0.0.77/25"), (ETH0, "10.1.0.1/24")]
    found = only(check(network), "inner-address")
    assert found.text.startswith("the tunnel's network 10.0.0.0/24 overlaps with 10.0.0.0/25 of eth1")
