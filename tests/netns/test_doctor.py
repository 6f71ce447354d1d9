"""`mlvpnctl doctor` on hosts with the faults that operators' hosts have."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.lab import SERVER_IPV4, Host, Lab, Line, wait_until
from tests.support.tunnels import Tunnel, TunnelSpec

pytestmark = pytest.mark.netns

COMMAND = (sys.executable, "-m", "mlvpnd.cli.mlvpnctl", "--json=short", "doctor")
HOST_CHECKS = {"tun-device", "user", "clock"}
"""Checks of the machine that runs the tests, not of the lab."""


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of `doctor` about a tunnel."""

    findings: list[dict[str, object]]

    def bad(self) -> list[tuple[object, object]]:
        """Check and link of every finding that is not `ok`."""
        return [(one["Check"], one["Link"]) for one in self.findings if one["Severity"] != "ok"]

    def one(self, check: str, link: str = "") -> dict[str, object]:
        """The finding of a check that is not `ok`."""
        (found,) = [
            one for one in self.findings if (one["Check"], one["Link"]) == (check, link) and one["Severity"] != "ok"
        ]
        return found

    def commands(self, check: str, link: str = "") -> list[str]:
        """The commands that a finding tells the operator to type."""
        commands = self.one(check, link)["Commands"]
        assert isinstance(commands, list)
        return commands


def doctor(host: Host, path: Path) -> Report:
    findings = json.loads(host.run(*COMMAND, str(path), check=False))
    return Report([one for one in findings if one["Check"] not in HOST_CHECKS])


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=20, delay=5), Line(rate=20, delay=30)]) as one:
        yield one


def start_measured(tunnel: Tunnel) -> None:
    """Starts both ends and waits until each link has measured a round trip."""
    tunnel.start()
    for daemon in (tunnel.client, tunnel.server):
        assert wait_until(lambda: all(link["srtt_ms"] for link in daemon.links().values()), 10)  # noqa: B023 - called here


def test_a_healthy_tunnel(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    start_measured(tunnel)
    for daemon in (tunnel.client, tunnel.server):
        report = doctor(daemon.host, daemon.config_path)
        assert report.bad() == []
        text = "\n".join(str(one["Text"]) for one in report.findings)
        assert "link2: the peer answers" in text
        assert "the reorder buffer covers" in text
    tunnel.stop()


def test_what_it_says_to_type_mends_routing(lab: Lab) -> None:
    """The rules are gone, then the tables too. Each time the commands, typed as printed, bring the links back."""
    tunnel = Tunnel(lab, TunnelSpec())
    client, path = lab.client, tunnel.client.config_path
    client.run("ip", "rule", "del", "from", "198.18.2.0/24")
    report = doctor(client, path)
    assert ("route", "link2") in report.bad()
    assert ("shared-uplink", "") not in report.bad()  # it has the same cause
    assert report.commands("route", "link2") == ["ip rule add from 198.18.2.2 lookup 102"]
    client.run("ip", "route", "flush", "table", "102")
    commands = doctor(client, path).commands("route", "link2")
    assert commands == [
        "ip route replace default via 198.18.2.1 dev adsl2 table 103",  # 101 and 102 have IPv6 routes
        "ip rule add from 198.18.2.2 lookup 103",
    ]
    for command in commands:
        client.run(*command.split())
    assert ("route", "link2") not in doctor(client, path).bad()
    # A rule leads into an empty table: only the route is missing.
    client.run("ip", "route", "flush", "table", "103")
    client.ip("route del default via 198.18.2.1 dev adsl2 metric 102")
    assert doctor(client, path).commands("route", "link2") == [
        "ip route replace default via GATEWAY dev adsl2 table 103"
    ]


def test_routes_that_lead_nowhere_and_into_the_tunnel(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    tunnel.start()
    lab.client.ip(f"route add {SERVER_IPV4}/32 dev mlvpn0 table 101")
    lab.client.ip("route replace unreachable default table 102")
    report = doctor(lab.client, tunnel.client.config_path)
    assert "into the tunnel's own interface mlvpn0" in str(report.one("route", "link1")["Text"])
    assert report.commands("route", "link1") == [f"ip route replace {SERVER_IPV4} via 198.18.1.1 dev adsl1 table 101"]
    assert "there is no route to the peer" in str(report.one("route", "link2")["Text"])


def test_addresses_and_interfaces(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    path = tunnel.client.config_path
    lab.line(1).client.remove_addresses()
    lab.client.ip("link set adsl2 down")
    report = doctor(lab.client, path)
    assert "no interface of this host has its bindhost 198.18.1.2" in str(report.one("address", "link1")["Text"])
    assert report.commands("interface", "link2") == ["ip link set adsl2 up"]
    lab.client.ip("link set adsl2 up")
    lab.line(2).client.set_carrier(up=False)
    assert "no carrier" in str(doctor(lab.client, path).one("interface", "link2")["Text"])


def test_an_interface_by_another_of_its_names(lab: Lab) -> None:
    lab.client.ip("link property add dev adsl1 altname wan-one")
    tunnel = Tunnel(lab, TunnelSpec(client_links={"link1": {"binddevice": "wan-one"}}))
    tunnel.start()
    report = doctor(lab.client, tunnel.client.config_path)
    assert not [check for check, link in report.bad() if link == "link1" and check in ("interface", "address")]
    lab.line(1).client.set_carrier(up=False)
    assert "interface adsl1 has no carrier" in str(
        doctor(lab.client, tunnel.client.config_path).one("interface", "link1")["Text"]
    )


def test_strict_source_check(lab: Lab) -> None:
    """Links bound to devices need no rule. But strict rp_filter needs one."""
    devices = {f"link{number}": {"binddevice": f"adsl{number}", "bindhost": None} for number in (1, 2)}
    tunnel = Tunnel(lab, TunnelSpec(client_links=devices))
    lab.client.run("ip", "rule", "del", "from", "198.18.2.0/24")
    path = tunnel.client.config_path
    assert "rp-filter" not in [check for check, _ in doctor(lab.client, path).bad()]
    lab.client.sysctl(ipv4__conf__adsl2__rp_filter=1)
    report = doctor(lab.client, path)
    assert [link for check, link in report.bad() if check == "rp-filter"] == ["link2"]
    lab.client.run(*report.commands("rp-filter", "link2")[0].split())
    assert "rp-filter" not in [check for check, _ in doctor(lab.client, path).bad()]


def test_outer_mtu(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    lab.client.ip("link set adsl2 mtu 1492")
    report = doctor(lab.client, tunnel.client.config_path)
    assert "mtu = 1420" in str(report.one("mtu", "link2")["Text"])
    tunnel.client.write_config(tunnel.config("client", general={"mtu": 1420}))
    assert "mtu" not in [check for check, _ in doctor(lab.client, tunnel.client.config_path).bad()]


def test_peers_that_do_not_answer(lab: Lab) -> None:
    """Nobody listens at the port; a router refuses; the router of a line is dead."""
    tunnel = Tunnel(lab, TunnelSpec())
    path = tunnel.client.config_path
    report = doctor(lab.client, path)
    assert "link1 and link2: the peer" in str(report.one("peer")["Text"])
    assert "nothing listens at its ports 5080, 5081" in str(report.one("peer")["Text"])
    lab.server.ip(f"rule add from 198.18.1.2 to {SERVER_IPV4} prohibit priority 1")
    lab.line(2).set(up=False)
    lab.client.ip("neigh flush dev adsl2")
    report = doctor(lab.client, path)
    assert "the router 198.18.2.1 on adsl2 does not answer" in str(report.one("peer", "link2")["Text"])


def test_a_wrong_password(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(client={"password": "another"}))
    tunnel.server.start()
    tunnel.client.start()
    tunnel.client.wait_links("waiting peer")
    report = doctor(lab.client, tunnel.client.config_path)
    assert "is the password the same at both ends" in str(report.one("peer")["Text"])
    found = doctor(lab.server, tunnel.server.config_path).one("password")
    assert "link1 and link2: " in str(found["Text"])
    assert "the client has another password" in str(found["Text"])
    tunnel.stop()


def test_a_port_that_is_taken(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    with lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((SERVER_IPV4, 5081))
        report = doctor(lab.server, tunnel.server.config_path)
        ours = Path("/proc/self/comm").read_text().strip()
        assert f"UDP port 5081 is taken by {ours} (pid {os.getpid()})" in str(report.one("port", "link2")["Text"])
        assert ("port", "link1") not in report.bad()


@pytest.mark.skipif(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="needs nft")
def test_firewall(lab: Lab) -> None:
    """The commands that `doctor` prints let the links in."""
    tunnel = Tunnel(lab, TunnelSpec())
    for host in (lab.server, lab.client):
        host.run("nft", "add table inet filter")
        host.run("nft", "add chain inet filter input { type filter hook input priority 0; policy drop; }")
        host.run("nft", "add rule inet filter input tcp dport 22 accept")
        host.run("nft", "add rule inet filter input iifname lo accept")
    report = doctor(lab.server, tunnel.server.config_path)
    for command in report.commands("firewall"):
        lab.server.run(*command.split())
    assert "firewall" not in [check for check, _ in doctor(lab.server, tunnel.server.config_path).bad()]
    report = doctor(lab.client, tunnel.client.config_path)
    lab.client.run(*report.commands("firewall")[0].split())
    assert "firewall" not in [check for check, _ in doctor(lab.client, tunnel.client.config_path).bad()]
    tunnel.start()
    tunnel.stop()


def test_a_reorder_buffer_that_is_too_small(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(general={"reorder_buffer_size": 8}))
    start_measured(tunnel)
    assert "reorder_buffer_size = 8" in str(doctor(lab.client, tunnel.client.config_path).one("reorder")["Text"])
    tunnel.stop()


def test_files(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(scripted=True))
    path = tunnel.client.config_path
    path.chmod(0o644)
    assert doctor(lab.client, path).commands("config") == [f"chmod 600 {path}"]
    path.chmod(0o600)
    script = lab.directory / "client.status"
    script.chmod(0o755)
    assert f"chmod 700 {script}" in doctor(lab.client, path).commands("status-command")
    path.write_text("[general]\nmode = client\n")
    report = doctor(lab.client, path)
    assert report.one("config")["Commands"] == [f"mlvpnctl check-config {path}"]
    path.unlink()
    assert "does not exist" in str(doctor(lab.client, path).one("config")["Text"])
