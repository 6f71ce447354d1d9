"""`mlvpnctl doctor` on booted systems: services, sockets, links that an operator disabled, and systemd-networkd.

Where a finding has commands, they are typed as they are printed, and the finding is gone. docs/doctor.md has the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.support.lab import SERVER_IPV4, Lab, wait_until
from tests.support.nodes import Nodes
from tests.support.rootfs import PYTHONS, root_of
from tests.support.services import CONFIG, INSTANCE, UNIT, Service, ServiceTunnel

from .conftest import LINES

NAME = "vpn.example"
OTHER = "198.19.0.2"
"""Another address of the server."""
DROP_IN = f"/etc/systemd/system/{UNIT}.d/once.conf"
Finding = Mapping[str, object]


def examine(service: Service) -> dict[tuple[str, str], Finding]:
    """The findings that are not `ok`, by check and link."""
    found = json.loads(service.node.attempt("mlvpnctl", "--json=short", "doctor", INSTANCE).stdout)
    return {(one["Check"], one["Link"]): one for one in found if one["Severity"] != "ok"}


def mend(service: Service, check: str, link: str, text: str) -> None:
    """The finding is there. Its commands are typed, and it is gone."""
    findings = examine(service)
    assert (check, link) in findings, findings
    found = findings[check, link]
    assert text in str(found["Text"])
    commands = found["Commands"]
    assert isinstance(commands, list)
    assert commands
    for command in commands:
        service.node.run("sh", "-c", str(command))
    assert wait_until(lambda: (check, link) not in examine(service), 10), examine(service)


def test_a_masked_service(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.ctl("stop")
    client.ctl("mask")
    try:
        mend(client, "service", "", f"the service mlvpn@{INSTANCE} is masked")
    finally:
        client.node.attempt("systemctl", "unmask", UNIT)


def test_a_failed_service(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.node.write(DROP_IN, "[Service]\nRestart=no\n")
    client.node.run("systemctl", "daemon-reload")
    try:
        client.signal("KILL")
        assert wait_until(lambda: client.state == "failed", 5)
        mend(client, "service", "", "has failed (signal)")
    finally:
        client.node.run("rm", DROP_IN)
        client.node.run("systemctl", "daemon-reload")


def test_a_tunnel_that_no_boot_starts(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    try:
        mend(client, "boot", "", f"the tunnel {INSTANCE} runs, but its service is not enabled")
    finally:
        client.ctl("disable")


def test_helper_sockets_that_do_not_listen(tunnel: ServiceTunnel) -> None:
    """The service runs on, and fails at the next thing that needs root."""
    tunnel.client.node.run("systemctl", "stop", f"mlvpn-helper@{INSTANCE}.socket")
    mend(tunnel.client, "helper", "", f"mlvpn-helper@{INSTANCE}.socket does not listen")


def test_a_link_that_an_operator_disabled(tunnel: ServiceTunnel) -> None:
    tunnel.client.node.run("mlvpnctl", "link", INSTANCE, "link1", "disable")
    mend(tunnel.client, "disabled", "link1", "link1: disabled by an operator")


@pytest.fixture
def named(tunnel: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """The client's second link goes to a name, which had another address when the tunnel started."""
    client, server = tunnel.client, tunnel.server
    hosts = client.node.read("/etc/hosts")
    server.node.host.ip(f"addr add {OTHER}/32 dev lo")
    client.node.write("/etc/hosts", f"{hosts}\n{SERVER_IPV4} {NAME}\n")
    first, second = client.node.read(CONFIG).split("[link2]")
    client.ctl("stop")
    client.configure(f"{first}[link2]{second.replace(SERVER_IPV4, NAME)}")
    client.ctl("start")
    client.wait_links("link1", "link2")
    client.node.write("/etc/hosts", f"{hosts}\n{OTHER} {NAME}\n")
    yield tunnel
    client.node.write("/etc/hosts", hosts)
    server.node.host.ip(f"addr del {OTHER}/32 dev lo")


def test_a_name_that_has_another_address_now(named: ServiceTunnel) -> None:
    mend(named.client, "stale-remote", "link2", f"the link goes to {SERVER_IPV4}, but {NAME} is {OTHER} now")


def test_the_server_knows_that_the_password_is_another(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.ctl("stop")
    client.configure(tunnel.config("client", {"password": "something else"}))
    client.ctl("start")
    assert wait_until(lambda: ("password", "") in examine(tunnel.server), 20)
    findings = examine(tunnel.server)
    assert "link1 and link2: " in str(findings["password", ""]["Text"])
    assert not [check for check, _ in findings if check == "peer"]  # it has the same cause


@pytest.fixture(params=sorted(PYTHONS))
def networkd(request: pytest.FixtureRequest, installed: Path) -> Iterator[Service]:
    """A client whose lines are configured by systemd-networkd, each with a default route in the main table."""
    root = root_of(request.param)
    with Lab(LINES) as lab, Nodes(lab, root, root) as nodes:
        for node in nodes:
            node.install(installed)
        tunnel = ServiceTunnel(lab, nodes)
        tunnel.ensure_up()
        for line in lab.lines:
            lab.client.ip(f"route flush table {100 + line.number}")
            lab.client.run("ip", "-4", "addr", "flush", "dev", line.client.device)
            nodes.client.write(
                f"/etc/systemd/network/10-line{line.number}.network",
                f"[Match]\nName={line.client.device}\n\n[Network]\nAddress={line.client.ipv4}/24\n\n"
                f"[Route]\nGateway=198.18.{line.number}.1\nMetric={100 + line.number}\n",
            )
        nodes.client.run("systemctl", "start", "systemd-networkd")
        assert wait_until(partial(_configured, tunnel.client), 10)
        yield tunnel.client


def _configured(service: Service) -> bool:
    return len(service.node.host.run("ip", "-4", "route", "show", "default", "proto", "static").splitlines()) == len(
        LINES
    )


def test_networkd_keeps_what_doctor_says(networkd: Service) -> None:
    """networkd removed the rules. What doctor says to type mends it, and is there after networkd starts again."""
    mend(networkd, "route", "link2", "leave by adsl1 and not by adsl2")
    networkd.node.run("systemctl", "restart", "systemd-networkd")
    assert wait_until(partial(_configured, networkd), 10)
    assert ("route", "link2") not in examine(networkd)
