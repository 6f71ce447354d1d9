"""The package takes the place of C MLVPN's, which has other files under the same names."""

from __future__ import annotations

from tests.support.nodes import Node
from tests.support.services import CONFIG, UNIT, ServiceTunnel

from .conftest import Release, apt, install

DEFAULTS = "/etc/default/mlvpn"
OTHER = "mlvpn@other.service"


def _status(node: Node, package: str) -> str:
    return node.run("dpkg-query", "--show", "--showformat", "${db:Status-Status}", package)


def test_it_takes_over_from_upstreams_package(tunnel: ServiceTunnel, release: Release) -> None:
    for end, service in (("server", tunnel.server), ("client", tunnel.client)):
        node = service.node
        node.write(CONFIG, tunnel.config(end), mode=0o600)
        node.write("/etc/mlvpn/other.conf", tunnel.config(end), mode=0o600)
        install(node, release.upstreams)
        defaults = node.read(DEFAULTS).replace('#AUTOSTART="paris berlin"', 'AUTOSTART="mlvpn0"')
        node.write(DEFAULTS, defaults)
        node.run("systemctl", "daemon-reload")
        node.run("systemctl", "restart", "mlvpn.service")
        assert service.state == "active"
        assert "sleep" in node.run("ps", "-o", "args=", "-p", str(service.pid))

        install(node, release.package)
        assert _status(node, "mlvpn") == "config-files"
        assert node.read(DEFAULTS) == defaults, "the administrator's file, without a question"
        service.wait_links("link1", "link2", mark="@" if end == "client" else "!")
        assert node.run("ps", "-o", "args=", "-p", str(service.pid)).startswith("mlvpn: mlvpn0 ")
        assert node.show(OTHER, "ActiveState") == "inactive"
        for file in ("usr/lib/systemd/system-generators/mlvpn-generator", "usr/lib/systemd/system/mlvpn@.service"):
            assert "mlvpnd" in node.read(file)
    tunnel.wait_up()
    assert tunnel.ping() == 3

    for service in (tunnel.server, tunnel.client):
        node, pid = service.node, service.pid
        apt(node, "purge", "mlvpn")
        assert 'AUTOSTART="mlvpn0"' in node.read(DEFAULTS)
        assert node.read("/etc/init.d/mlvpn") == ""
        node.run("systemctl", "daemon-reload")
        node.run("systemctl", "restart", "mlvpn.service")
        assert node.show(UNIT, "ActiveState") == "active"
        assert service.pid not in (0, pid)
        assert node.show(OTHER, "ActiveState") == "inactive"
    tunnel.wait_up()
    assert tunnel.ping() == 3
