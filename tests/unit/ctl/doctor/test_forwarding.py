from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.firewall import Objects
from mlvpnd.ctl.doctor.forwarding import Crossing, check_crossing
from mlvpnd.ctl.doctor.network import TABLE_MAIN, Entry, Interface

from .facts import CLIENT, ETH0, SERVER, FakeNetwork, bad, config_of, only, system_of

TUN = Interface(9, "tun9", up=True, carrier=True, mtu=1428)
DEFAULT = Entry(ip_network("0.0.0.0/0"), TABLE_MAIN, ETH0.index, ip_address("192.0.2.1"))
INNER = SERVER.replace("[adsl1]", "ip4 = 10.42.0.1/24\n[adsl1]")
BOTH = INNER.replace("[adsl1]", "ip6 = fd42::1/64\n[adsl1]")
MASQUERADE = {"rule": {"expr": [{"masquerade": None}]}}


def chain(hook: str, *rules: list[object]) -> Objects:
    place = {"family": "ip", "table": "filter"}
    return [
        {"chain": {**place, "name": "c", "hook": hook, "policy": "drop"}},
        *({"rule": {**place, "chain": "c", "expr": rule}} for rule in rules),
    ]


def check(
    root: Path,
    text: str = INNER,
    *,
    on: bool = True,
    ruleset: Objects | None = (),
    listed: tuple[Entry, ...] = (),
    files: Mapping[str, str] | None = None,
) -> list[Finding]:
    made = {f"proc__sys__net__ipv{n}__conf__all__forwarding": str(int(on)) for n in (4, 6)} | dict(files or {})
    network = FakeNetwork(devices=[ETH0, TUN], listed=[*listed])
    return [*check_crossing(Crossing(config_of(text), "tun9", network, system_of(root, **made), ruleset))]


def test_a_server_that_reaches_itself_alone(tmp_path: Path) -> None:
    (found,) = check(tmp_path, on=False)
    assert (found.severity.value, found.text) == (
        "ok",
        "forwarding of IPv4 is off: clients reach this host alone",
    )
    assert check(tmp_path, SERVER, on=False) == []
    (found,) = check(tmp_path, CLIENT, on=False)
    assert found.text == "forwarding of IPv4 is off: only this host uses the tunnel"


@pytest.mark.parametrize(
    ("text", "ruleset", "files", "reason"),
    [
        (INNER, (), {"proc__net__snmp": "Ip: InAddrErrors\nIp: 12\n"}, "and 12 packets for other hosts were dropped"),
        (INNER, (MASQUERADE,), {}, "and the firewall has NAT for the tunnel"),
        (INNER.replace("[adsl1]", "ip4_routes = 10.9.0.0/16\n[adsl1]", 1), (), {}, "and 10.9.0.0/16 is behind"),
    ],
)
def test_forwarding_is_off(tmp_path: Path, text: str, ruleset: Objects, files: dict[str, str], reason: str) -> None:
    (found,) = check(tmp_path, text, on=False, ruleset=ruleset, files=files)
    assert reason in found.text
    assert found.text.endswith("clients reach this host alone")
    assert found.commands[0] == "sysctl -w net.ipv4.ip_forward=1"


def test_forwarding_is_off_for_the_tunnel_alone(tmp_path: Path) -> None:
    files = {"proc__sys__net__ipv4__ip_forward": "1", "proc__sys__net__ipv4__conf__tun9__forwarding": "0"}
    (found,) = check(tmp_path, ruleset=(MASQUERADE,), files=files)
    assert found.commands[0] == "sysctl -w net.ipv4.conf.tun9.forwarding=1"


def test_the_words_for_a_client(tmp_path: Path) -> None:
    (found,) = check(tmp_path, CLIENT, on=False, files={"proc__net__snmp": "Ip: InAddrErrors\nIp: 1\n"})
    assert found.text.endswith("hosts behind this client do not reach the tunnel")


def test_ipv6_beside_ipv4(tmp_path: Path) -> None:
    off = {"proc__sys__net__ipv6__conf__all__forwarding": "0"}
    assert bad(check(tmp_path / "off", BOTH, files=off)) == []
    found = only(check(tmp_path, BOTH, files=off | {"proc__net__snmp6": "Ip6InAddrErrors 7\n"}), "forwarding")
    assert found.text.startswith("forwarding of IPv6 is off, and 7 packets for other hosts were dropped: ")
    assert "accept_ra" in found.note
    assert bad(check(tmp_path / "on", BOTH)) == []


def test_nat(tmp_path: Path) -> None:
    found = only(check(tmp_path, listed=(DEFAULT,)), "nat")
    assert "private addresses 10.42.0.0/24 on their way out by eth0" in found.text
    assert found.commands[2] == "nft add rule ip mlvpn postrouting ip saddr 10.42.0.0/24 oifname eth0 masquerade"
    (fine,) = check(tmp_path, listed=(DEFAULT,), ruleset=(MASQUERADE,))
    assert fine.check == "nat"
    # No way out, nothing known of the firewall, public addresses, a client.
    assert check(tmp_path) == []
    assert check(tmp_path, listed=(DEFAULT,), ruleset=None) == []
    assert check(tmp_path, INNER.replace("10.42.0.1", "11.42.0.1"), listed=(DEFAULT,)) == []
    assert check(tmp_path, CLIENT, listed=(DEFAULT,)) == []


def test_a_forward_chain(tmp_path: Path) -> None:
    found = only(check(tmp_path, ruleset=chain("forward", [{"drop": None}])), "forward-chain")
    assert "chain ip filter c forwards nothing by default" in found.text
    assert found.commands == (
        "nft insert rule ip filter c iifname tun9 accept",
        "nft insert rule ip filter c oifname tun9 accept",
    )
    assert bad(check(tmp_path, ruleset=chain("forward", [{"accept": None}]))) == []
    assert bad(check(tmp_path / "off", on=False, ruleset=chain("forward"))) == []


def test_segments_without_a_clamp(tmp_path: Path) -> None:
    off = CLIENT.replace("[adsl1]", "mss_clamp = off\n[adsl1]")
    tcp = [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}},
        {"accept": None},
    ]
    found = only(check(tmp_path, off, on=False, ruleset=chain("input", tcp)), "mss")
    assert "its MTU of 1428" in found.text
    assert bad(check(tmp_path, off, on=False, ruleset=chain("input", tcp, [{"accept": None}]))) == []
    assert bad(check(tmp_path, CLIENT, on=False, ruleset=chain("input", tcp))) == []


def test_a_bridge_forwards_by_itself(tmp_path: Path) -> None:
    assert check(tmp_path, INNER.replace("[adsl1]", "tuntap = tap\n[adsl1]", 1), listed=(DEFAULT,)) == []
