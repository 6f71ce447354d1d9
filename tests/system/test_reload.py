"""`systemctl reload` waits for the answer, and says what is wrong with the file; also without a bus."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.services import CONFIG, INSTANCE, UNIT, Service, ServiceTunnel

WRONG = {"mode": None}


def _reload_good(tunnel: ServiceTunnel, service: Service, reorder_size: int) -> None:
    since, before = time.time(), service.pid
    service.configure(tunnel.config("client", {"reorder_buffer_size": reorder_size}))
    service.ctl("reload")
    assert service.entries("MLVPN_EVENT=reloaded", f"MLVPN_INSTANCE={INSTANCE}", since=since)
    assert f"to {reorder_size}" in service.log(since=since)
    assert (service.state, service.pid) == ("active", before)
    assert tunnel.ping() == 3


def _reload_wrong(tunnel: ServiceTunnel, service: Service) -> None:
    since, before = time.time(), service.pid
    service.configure(tunnel.config("client", WRONG))
    place = f"{CONFIG}:1: mode:"
    service.fails("reload")
    said = service.entries(f"_SYSTEMD_UNIT={UNIT}", "_TRANSPORT=stdout", since=since)
    assert any(place in entry["MESSAGE"] for entry in said), said
    assert service.entries("MLVPN_EVENT=reload-failed", since=since)
    assert (service.state, service.pid) == ("active", before)
    assert tunnel.ping() == 3
    done = service.node.attempt("mlvpnctl", "reload", INSTANCE)
    assert done.returncode == 1
    assert place in done.stderr


def test_a_good_file(tunnel: ServiceTunnel) -> None:
    _reload_good(tunnel, tunnel.client, 700)


def test_a_wrong_file(tunnel: ServiceTunnel) -> None:
    _reload_wrong(tunnel, tunnel.client)


@pytest.fixture
def without_bus(tunnel: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """The client's bus is stopped, and started again at the end."""
    node = tunnel.client.node
    node.run("systemctl", "stop", "dbus.socket", "dbus.service")
    yield tunnel
    node.run("systemctl", "start", "dbus.socket", "dbus.service")


def test_a_good_file_without_a_bus(without_bus: ServiceTunnel) -> None:
    _reload_good(without_bus, without_bus.client, 800)


def test_a_wrong_file_without_a_bus(without_bus: ServiceTunnel) -> None:
    _reload_wrong(without_bus, without_bus.client)
