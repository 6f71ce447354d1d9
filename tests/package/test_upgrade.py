"""The package replaces C MLVPN's, which has other files under the same names."""

from __future__ import annotations

from tests.support.debs import apt, install, install_by_dpkg
from tests.support.lab import wait_until
from tests.support.nodes import Node
from tests.support.services import CONFIG, UP_LIMIT, Service, ServiceTunnel

from .conftest import Release

DEFAULTS = "/etc/default/mlvpn"
OTHER = "mlvpn@other.service"


def _run_upstreams(service: Service, config: str, release: Release) -> str:
    """Makes the old package run one of two tunnels; returns the administrator's /etc/default/mlvpn."""
    node = service.node
    node.write(CONFIG, config, mode=0o600)
    node.write("/etc/mlvpn/other.conf", config, mode=0o600)
    install(node, release.upstreams)
    defaults = node.read(DEFAULTS).replace('#AUTOSTART="paris berlin"', 'AUTOSTART="mlvpn0"')
    node.write(DEFAULTS, defaults)
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "restart", "mlvpn.service")
    assert "sleep" in node.run("ps", "-o", "args=", "-p", str(service.pid))
    return defaults


def _install_by_dpkg(node: Node, release: Release) -> None:
    """dpkg alone puts the package in the other's place. It leaves the dependencies to apt."""
    done = install_by_dpkg(node, release.package)
    assert done.returncode, done.stdout
    assert "dependency problems" in done.stderr
    assert node.run("dpkg-query", "--show", "--showformat", "${db:Status-Status}", "mlvpnd") == "unpacked"
    apt(node, "--fix-broken", "install")


def _check_taken_over(service: Service, defaults: str) -> None:
    node = service.node
    assert node.run("dpkg-query", "--show", "--showformat", "${db:Status-Status}", "mlvpn") == "config-files"
    assert node.read(DEFAULTS) == defaults, "as the administrator has it, without a question"
    title = node.run("ps", "-o", "args=", "-p", str(service.pid))
    assert title.startswith("mlvpn: mlvpn0 ") or "mlvpnd" in title
    assert node.show(OTHER, "ActiveState") == "inactive"
    for file in ("usr/lib/systemd/system-generators/mlvpn-generator", "usr/lib/systemd/system/mlvpn@.service"):
        assert "mlvpnd" in node.read(file)
    assert node.run("dpkg-divert", "--list", "*mlvpn*") == ""


def _purge_upstreams(service: Service) -> None:
    """A purge of what is left of the old package takes nothing of the new one."""
    node, pid = service.node, service.pid
    apt(node, "purge", "mlvpn")
    assert node.read(DEFAULTS) == ""
    assert node.read("/etc/init.d/mlvpn") == ""
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "restart", "mlvpn.service")
    # systemctl waits only for the unit that it is asked for.
    assert wait_until(lambda: service.state == "active" and service.pid not in (0, pid), UP_LIMIT)
    assert node.show(OTHER, "ActiveState") == "inactive"


def test_it_takes_over_from_upstreams_package(tunnel: ServiceTunnel, release: Release) -> None:
    defaults = _run_upstreams(tunnel.server, tunnel.config("server"), release)
    install(tunnel.server.node, release.package)
    _check_taken_over(tunnel.server, defaults)
    defaults = _run_upstreams(tunnel.client, tunnel.config("client"), release)
    _install_by_dpkg(tunnel.client.node, release)
    _check_taken_over(tunnel.client, defaults)
    tunnel.wait_up()
    assert tunnel.ping() == 3
    for service in (tunnel.server, tunnel.client):
        _purge_upstreams(service)
    tunnel.wait_up()
    assert tunnel.ping() == 3
