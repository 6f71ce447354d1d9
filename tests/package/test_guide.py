"""The two scenarios of the examples, with the shipped files, on hosts of each kind.

The server also stands for the routers of the client's lines.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.lab import Direction, Lab, Line, wait_until
from tests.support.linkemu import PROJECT
from tests.support.nodes import Node, Nodes, stage
from tests.support.rootfs import SYSTEM, root_of
from tests.support.services import ServiceTunnel
from tests.support.traffic import ping

SUITE = "bookworm"
EXAMPLES = PROJECT / "examples"
LINES = (Line(rate=8, delay=10), Line(rate=8, delay=15))
SERVER = "10.42.0.1"
LAN = "192.168.0.1"
SIP_PORT = 5060
CALLS = 200
"""Datagrams of a call. Meanwhile a line carries some others, of the tunnel itself."""
NETWORK_LIMIT = 20.0
OTHERS = CALLS // 4


def _ifupdown(node: Node) -> None:
    node.write("/etc/network/interfaces", "source /etc/network/interfaces.d/*\n")
    node.write("/etc/network/interfaces.d/mlvpn", (EXAMPLES / "network/ifupdown/mlvpn").read_text())
    node.run("systemctl", "restart", "networking.service")


def _networkd(node: Node) -> None:
    for file in (EXAMPLES / "network/systemd-networkd").iterdir():
        node.write(f"/etc/systemd/network/{file.name}", file.read_text())
    node.run("systemctl", "start", "systemd-networkd.service")


def _network_manager(node: Node) -> None:
    for file in (EXAMPLES / "network/NetworkManager").iterdir():
        node.write(f"/etc/NetworkManager/system-connections/{file.name}", file.read_text(), mode=0o600)
    node.run("systemctl", "start", "NetworkManager.service")


KINDS = {"ifupdown": _ifupdown, "systemd-networkd": _networkd, "NetworkManager": _network_manager}


@pytest.fixture(scope="module")
def staged(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `make install` puts into a system."""
    directory = tmp_path_factory.mktemp("installed")
    stage(directory)
    return directory


@pytest.fixture(params=sorted(KINDS))
def hosts(request: pytest.FixtureRequest, staged: Path) -> Iterator[ServiceTunnel]:
    """A client and a server. One kind of software has set up the network of the examples on the client."""
    packages = (*SYSTEM.packages, "ifupdown", "network-manager")
    root = root_of(SUITE, replace(SYSTEM, packages=packages, masked=("NetworkManager.service",)))
    with Lab(LINES) as lab:
        _rename(lab)
        with Nodes(lab, root, root_of(SUITE)) as nodes:
            for node in nodes:
                node.install(staged)
            (nodes.client.root / "etc/systemd/system/NetworkManager.service").unlink()
            nodes.client.run("systemctl", "daemon-reload")
            KINDS[request.param](nodes.client)
            assert wait_until(lambda: _has_network(nodes.client), NETWORK_LIMIT), nodes.client.run("ip", "addr")
            yield ServiceTunnel(lab, nodes)


def _rename(lab: Lab) -> None:
    """Leaves the client with bare eth0, eth1 and eth2."""
    lab.client.ip("link add eth0 type veth peer name lan0", "link set lan0 up")
    lab.server.ip("addr add 203.0.113.1/32 dev lo")
    for line in lab.lines:
        number = line.number
        lab.client.ip(
            f"rule del priority {1000 + number}",
            f"link set {line.client.device} down",
            f"addr flush dev {line.client.device}",
            f"link set {line.client.device} name eth{number}",
        )
        lab.client.ip(f"rule del priority {1000 + number}", ipv6=True)
        lab.server.ip(f"addr add 192.168.{number}.1/24 dev {line.server.device}")


def _has_network(node: Node) -> bool:
    """Whether the whole network is there: addresses, and a rule and a table for each line."""
    addresses = node.run("ip", "-4", "-o", "addr")
    rules = node.run("ip", "rule")
    return LAN in addresses and all(
        f"192.168.{number}.2" in addresses
        and f"from 192.168.{number}.2 lookup 10{number}" in rules
        and f"via 192.168.{number}.1" in node.run("ip", "route", "show", "table", f"10{number}", check=False)
        for number in (1, 2)
    )


def _start(hosts: ServiceTunnel, scenario: str, links: tuple[str, str]) -> None:
    for name, service in (("server", hosts.server), ("client", hosts.client)):
        text = (EXAMPLES / scenario / f"{name}.conf").read_text()
        service.configure(text)
        service.ctl("start")
    for service in (hosts.server, hosts.client):
        service.wait_links(*links)


def _sent(hosts: ServiceTunnel) -> list[int]:
    """Frames that each line has carried from the client so far."""
    return [line.stats()[Direction.TO_SERVER].tx for line in hosts.lab.lines]


def _calls(hosts: ServiceTunnel) -> list[int]:
    """Frames on each line while the client makes a call through the tunnel."""
    before = _sent(hosts)
    with hosts.lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        for _ in range(CALLS):
            caller.sendto(b"INVITE", (SERVER, SIP_PORT))
    assert wait_until(lambda: sum(_sent(hosts)) - sum(before) >= CALLS, 5)
    return [now - then for now, then in zip(_sent(hosts), before, strict=True)]


def test_two_adsl_lines(hosts: ServiceTunnel) -> None:
    _start(hosts, "two-adsl", ("adsl1", "adsl2"))
    assert ping(hosts.lab.client, SERVER, source=LAN, count=5).received == 5
    before = _sent(hosts)
    result = hosts.download(3).wait()
    assert result.verified, result.error
    assert min(now - then for now, then in zip(_sent(hosts), before, strict=True)) > 50, "both lines are used"


def test_adsl_and_sdsl_with_voip(hosts: ServiceTunnel) -> None:
    _start(hosts, "adsl-sdsl-voip", ("sdsl", "adsl"))
    sdsl, adsl = _calls(hosts)
    assert sdsl >= CALLS
    assert adsl < OTHERS
    hosts.lab.line(1).set(up=False)
    for service in (hosts.server, hosts.client):
        service.wait_links("sdsl", mark="!")
    sdsl, adsl = _calls(hosts)
    assert adsl >= CALLS


def test_the_scenarios_need_nothing_else(hosts: ServiceTunnel) -> None:
    """`mlvpnctl doctor` finds no problem in the network that the files make."""
    _start(hosts, "two-adsl", ("adsl1", "adsl2"))
    done = hosts.client.node.attempt("mlvpnctl", "doctor", "mlvpn0")
    assert done.returncode == 0, done.stdout + done.stderr
