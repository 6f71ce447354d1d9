from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mlvpnd.ctl.doctor.advice import Networkd
from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.network import Interface
from mlvpnd.ctl.doctor.routing import RoutingDoctor

from .facts import CLIENT, ETH0, ETH1, LOOPBACK, PPP0, SERVER, FakeNetwork, bad, config_of, ends, only

NETWORKD = Networkd(Path("/nowhere"), Path("/nowhere"))


def check(network: FakeNetwork, text: str = CLIENT, *, runs: bool = True) -> list[Finding]:
    config = config_of(text)
    doctor = RoutingDoctor(config, network, NETWORKD, runs=runs)
    findings = [finding for one in ends(config) for finding in doctor.check(one)]
    return [*findings, *doctor.check_shared()]


def test_as_it_should_be() -> None:
    findings = check(FakeNetwork())
    assert bad(findings) == []
    assert findings[0].text == "adsl1: packets to 198.51.100.1 from 192.0.2.2 leave by eth0 via 192.0.2.1"
    assert bad(check(FakeNetwork(), SERVER)) == []


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (dataclasses.replace(ETH0, up=False), "is switched off"),
        (dataclasses.replace(ETH0, carrier=False), "has no carrier"),
    ],
)
def test_interfaces_that_do_not_work(device: Interface, text: str) -> None:
    network = FakeNetwork(owners={"192.0.2.2": device, "203.0.113.2": ETH1})
    assert text in only(check(network), "interface").text


def test_an_address_that_is_gone() -> None:
    found = only(check(FakeNetwork(owners={"203.0.113.2": ETH1})), "address")
    assert found.commands == ("ip addr", "ip addr add 192.0.2.2/24 dev INTERFACE")


def test_devices() -> None:
    missing = CLIENT.replace("bindhost = 192.0.2.2", "binddevice = wwan0")
    assert "no interface wwan0" in only(check(FakeNetwork(), missing), "interface").text
    other = CLIENT.replace("bindhost = 192.0.2.2", "bindhost = 192.0.2.2\nbinddevice = eth1")
    assert "is on eth0 and not on its binddevice eth1" in only(check(FakeNetwork(), other), "address").text


def test_a_device_by_another_of_its_names() -> None:
    named = dataclasses.replace(ETH0, alternatives=("enp1s0", "wan"))
    network = FakeNetwork(devices=[LOOPBACK, named, ETH1])
    text = CLIENT.replace("bindhost = 192.0.2.2", "bindhost = 192.0.2.2\nbinddevice = wan")
    assert bad(check(network, text)) == []


def test_the_wrong_way_without_any_rule() -> None:
    network = FakeNetwork(by_source={"192.0.2.2": ETH0, "203.0.113.2": ETH0}, used_tables={101, 254})
    findings = check(network)
    assert only(findings, "route").commands == (
        "ip route replace default via 203.0.113.1 dev eth1 table 102",
        "ip rule add from 203.0.113.2 lookup 102",
    )
    assert bad(findings) == [("problem", "route", "adsl2")]  # that both leave by one line is told by this


def test_two_links_by_one_line() -> None:
    both = CLIENT.replace("bindhost = 203.0.113.2", "bindhost = 192.0.2.2")
    assert (
        "adsl1 and adsl2 leave by the same uplink, eth0 via 192.0.2.1"
        in only(check(FakeNetwork(), both), "shared-uplink").text
    )
    unbound = CLIENT.replace("bindhost = 203.0.113.2\n", "").replace("bindhost = 192.0.2.2\n", "")
    assert bad(check(FakeNetwork(default=ETH0), unbound)) == []  # a check of the file tells it


def test_the_wrong_way_with_half_of_it() -> None:
    wrong = {"192.0.2.2": ETH0, "203.0.113.2": ETH0}
    network = FakeNetwork(by_source=wrong, source_rules={"203.0.113.0/24": 7})
    assert only(check(network), "route").commands == ("ip route replace default via 203.0.113.1 dev eth1 table 7",)
    network = FakeNetwork(by_source=wrong, own_tables={"eth1": 9})
    assert only(check(network), "route").commands == ("ip rule add from 203.0.113.2 lookup 9",)


def test_a_line_without_a_gateway() -> None:
    network = FakeNetwork(
        devices=[LOOPBACK, ETH0, PPP0],
        owners={"192.0.2.2": ETH0, "203.0.113.2": PPP0},
        by_source={"192.0.2.2": ETH0, "203.0.113.2": ETH0},
    )
    assert only(check(network), "route").commands[0] == "ip route replace default dev ppp0 table 101"


def test_no_way_at_all() -> None:
    network = FakeNetwork(by_source={"192.0.2.2": ETH0, "203.0.113.2": None})
    found = only(check(network), "route")
    assert "there is no route to the peer 198.51.100.1 from 203.0.113.2" in found.text
    nowhere = FakeNetwork(by_source={"203.0.113.2": ETH1})
    unbound = CLIENT.replace("bindhost = 192.0.2.2\n", "")
    assert only(check(nowhere, unbound), "route").commands == (
        "ip route replace 198.51.100.1 via GATEWAY dev INTERFACE",
    )
    bound = CLIENT.replace("bindhost = 192.0.2.2", "binddevice = eth0")
    network = FakeNetwork(by_source={"203.0.113.2": ETH1})
    network.route = lambda *_: None  # type: ignore[method-assign]
    assert [one.commands for one in check(network, bound) if one.link == "adsl1"] == [
        ("ip route replace default via 192.0.2.1 dev eth0 table 101", "ip rule add oif eth0 lookup 101")
    ]


def test_into_the_tunnel() -> None:
    tun = Interface(9, "mlvpn0", up=True, carrier=True, mtu=1428, point_to_point=True)
    network = FakeNetwork(devices=[ETH0, ETH1, tun], by_source={"192.0.2.2": tun, "203.0.113.2": ETH1})
    found = only(check(network), "route")
    assert "into the tunnel's own interface mlvpn0" in found.text
    assert found.commands == ("ip route replace 198.51.100.1 via 192.0.2.1 dev eth0",)
    network.source_rules = {"192.0.2.0/24": 7}
    found = only(check(network), "route")
    assert found.commands == ("ip route replace 198.51.100.1 via 192.0.2.1 dev eth0 table 7",)


def test_strict_source_checks() -> None:
    assert bad(check(FakeNetwork(strict={"eth0", "eth1"}))) == []
    bound = CLIENT.replace("bindhost = 192.0.2.2", "binddevice = eth0")
    network = FakeNetwork(strict={"eth0"}, default=ETH1)
    assert only(check(network, bound), "rp-filter").commands[0] == "sysctl -w net.ipv4.conf.eth0.rp_filter=2"
    assert "rp-filter" not in [name for _, name, _ in bad(check(FakeNetwork(default=ETH1), bound))]


def test_mtu() -> None:
    findings = check(FakeNetwork(path_mtu=1480))
    assert bad(findings) == [("warning", "mtu", "adsl1"), ("warning", "mtu", "adsl2")]
    assert "MTU of 1428 they have 1500 bytes, and eth0 takes 1480" in findings[1].text
    assert "'mtu = 1408'" in findings[1].text
    assert bad(check(FakeNetwork(path_mtu=1480), CLIENT.replace("[adsl1]", "mtu = 1408\n[adsl1]"))) == []
    # The interface's own MTU counts, not the file's.
    tun = Interface(9, "mlvpn0", up=True, carrier=True, mtu=1429)
    assert len(bad(check(FakeNetwork(devices=[ETH0, ETH1, tun])))) == 2
    assert bad(check(FakeNetwork(devices=[ETH0, ETH1, tun]), runs=False)) == []  # it is another program's
    tap = CLIENT.replace("[adsl1]", "tuntap = tap\nmtu = 1428\n[adsl1]")
    assert "they have 1514 bytes" in check(FakeNetwork(), tap)[1].text


def test_an_mtu_that_a_bridge_needs_is_left() -> None:
    tap = Interface(9, "mlvpn0", up=True, carrier=True, mtu=1500, bridge=7)
    lan = Interface(8, "lan0", up=True, carrier=True, mtu=1500, bridge=7)
    text = CLIENT.replace("[adsl1]", "tuntap = tap\nmtu = 1500\n[adsl1]")
    assert bad(check(FakeNetwork(devices=[ETH0, ETH1, tap, lan]), text)) == []
    narrow = Interface(8, "lan0", up=True, carrier=True, mtu=1400, bridge=7)
    assert len(bad(check(FakeNetwork(devices=[ETH0, ETH1, tap, narrow]), text))) == 2
