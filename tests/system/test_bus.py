"""The tunnel on a real system bus with its policy, and what happens when the bus goes away."""

from __future__ import annotations

import json

from tests.support.lab import wait_until
from tests.support.services import INSTANCE, Service, ServiceTunnel

NAME = f"org.mlvpn1.Tunnel.{INSTANCE}"
TUNNEL = f"/org/mlvpn1/tunnel/{INSTANCE}"
STRANGER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")


def _is_on_the_bus(service: Service) -> bool:
    return NAME in service.node.run("busctl", "list", "--no-legend", "--no-pager", check=False)


def test_the_tree_is_the_tunnel_and_its_links(tunnel: ServiceTunnel) -> None:
    text = tunnel.client.node.run("busctl", "tree", "--list", "--no-pager", "org.mlvpn1")
    found = set(text.split())
    assert {f"{TUNNEL}/link/{name}" for name in tunnel.links} | {TUNNEL, "/org/mlvpn1"} <= found


def test_properties_and_introspection(tunnel: ServiceTunnel) -> None:
    node = tunnel.client.node
    get = ("busctl", "get-property", NAME)
    assert node.run(*get, TUNNEL, "org.mlvpn1.Tunnel", "State") == 's "up"\n'
    assert node.run(*get, f"{TUNNEL}/link/link1", "org.mlvpn1.Link", "State") == 's "up"\n'
    text = node.run("busctl", "introspect", "--no-pager", NAME, TUNNEL)
    assert "org.mlvpn1.Tunnel" in text
    assert ".Reload" in text


def test_an_ordinary_user_may_look_and_not_touch(tunnel: ServiceTunnel) -> None:
    node = tunnel.client.node
    get = (*STRANGER, "busctl", "get-property", NAME, TUNNEL, "org.mlvpn1.Tunnel", "Name")
    assert node.run(*get) == f's "{INSTANCE}"\n'
    done = node.attempt(*STRANGER, "mlvpnctl", "--no-ask-password", "reload", INSTANCE)
    assert done.returncode == 5
    assert node.attempt(*STRANGER, "mlvpnctl", "links", INSTANCE).returncode == 0


def test_what_mlvpnctl_shows(tunnel: ServiceTunnel) -> None:
    node = tunnel.client.node
    tunnels = node.run("mlvpnctl", "list", "--no-legend").split()
    assert tunnels[:4] == [INSTANCE, "up", "client", INSTANCE]
    assert sorted(tunnels[-2:]) == ["@link1", "@link2"]
    assert "State: up" in node.run("mlvpnctl", "status", INSTANCE)
    rows = [line.split()[:2] for line in node.run("mlvpnctl", "links", INSTANCE, "--no-legend").splitlines()]
    assert rows == [["link1", "up"], ["link2", "up"]]
    assert json.loads(node.run("mlvpnctl", "links", INSTANCE, "--json=short"))
    assert node.attempt("mlvpnctl", "status", "typo").returncode == 4
    node.run("mlvpnctl", "reload", INSTANCE)


def test_a_bus_that_is_restarted(tunnel: ServiceTunnel) -> None:
    service = tunnel.client
    before = service.pid
    transfer = tunnel.download(6)
    for _ in transfer.watch(1):
        pass
    service.node.run("systemctl", "stop", "dbus.socket", "dbus.service")
    for _ in transfer.watch(2):
        pass
    service.node.run("systemctl", "start", "dbus.socket", "dbus.service")
    assert transfer.wait().own_gap < 1
    assert wait_until(lambda: _is_on_the_bus(service), 15)
    assert service.pid == before
    service.node.run("mlvpnctl", "links", INSTANCE)


def test_a_tunnel_starts_without_a_bus_and_joins_it_later(tunnel: ServiceTunnel) -> None:
    service = tunnel.client
    service.node.run("systemctl", "stop", "dbus.socket", "dbus.service")
    try:
        service.ctl("stop")
        service.ctl("start")
        tunnel.wait_up()
        assert tunnel.ping() == 3
    finally:
        service.node.run("systemctl", "start", "dbus.socket", "dbus.service")
    assert wait_until(lambda: _is_on_the_bus(service), 15)
