"""The password is no longer in the file: it is an encrypted credential of the unit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.services import INSTANCE, PASSWORD, ServiceTunnel

CREDENTIAL = f"mlvpn.{INSTANCE}.password"
STORE = f"/etc/credstore.encrypted/{CREDENTIAL}"


@pytest.fixture
def encrypted(tunnel: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """Both files have no password. Each host has encrypted it with its own key."""
    for service in (tunnel.client, tunnel.server):
        service.ctl("stop")
        service.node.run("mkdir", "-p", "/etc/credstore.encrypted")
        encrypt = ("systemd-creds", "encrypt", "--with-key=host", f"--name={CREDENTIAL}", "-", STORE)
        service.node.run(*encrypt, stdin=f"{PASSWORD}\n")
    yield tunnel
    for service in (tunnel.client, tunnel.server):
        service.node.run("rm", "-f", STORE)
        service.ctl("stop")


def test_the_password_is_a_credential(encrypted: ServiceTunnel) -> None:
    encrypted.ensure_up({"password": None})
    assert encrypted.ping() == 3
    assert PASSWORD not in encrypted.client.node.read(STORE)


def test_a_reload_keeps_it(encrypted: ServiceTunnel) -> None:
    encrypted.ensure_up({"password": None})
    encrypted.client.ctl("reload")
    assert encrypted.ping() == 3


def test_a_file_without_a_password_needs_one(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.ctl("stop")
    client.configure(tunnel.config("client", {"password": None}))
    client.fails("start")
    assert "password" in client.log()
