"""`mlvpnctl list` and `status` of tunnels that do not run, and what `systemctl status` says while nobody answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.lab import wait_until
from tests.support.nodes import Node
from tests.support.services import CONFIG, INSTANCE, ServiceTunnel

BROKEN, IDLE = "broken", "idle"
STRANGER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")
OFF = 6.0
"""Seconds: the limit of five, and a look at the unit."""


@pytest.fixture
def node(tunnel: ServiceTunnel) -> Iterator[Node]:
    """The client, also with a tunnel whose file is wrong and that is started again and again, and one never started."""
    node = tunnel.nodes.client
    node.write(f"/etc/mlvpn/{BROKEN}.conf", "[general]\nmode = client\n", mode=0o600)
    node.write(f"/etc/mlvpn/{IDLE}.conf", tunnel.config("client", {"interface_name": IDLE}), mode=0o600)
    node.run("systemctl", "daemon-reload")
    node.attempt("systemctl", "start", "--no-block", f"mlvpn@{BROKEN}.service")
    yield node
    node.run("systemctl", "stop", f"mlvpn@{BROKEN}.service")
    node.run("rm", f"/etc/mlvpn/{BROKEN}.conf", f"/etc/mlvpn/{IDLE}.conf")
    node.run("systemctl", "daemon-reload")


def _states(node: Node, *before: str) -> dict[str, str]:
    listed = json.loads(node.run(*before, "mlvpnctl", "--json=short", "list"))
    return {one["Name"]: one["State"] for one in listed}


def test_every_tunnel_is_listed(node: Node) -> None:
    wanted = {INSTANCE: "up", BROKEN: "restarting", IDLE: "stopped"}
    assert wait_until(lambda: _states(node) == wanted, 20), _states(node)
    again = f"{BROKEN}: systemd has started it again"  # before the first time it says that systemd is about to
    assert wait_until(lambda: again in node.attempt("mlvpnctl", "list").stderr, 20)
    done = node.attempt("mlvpnctl", "list")
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        [BROKEN, "restarting"],
        [IDLE, "stopped"],
        [INSTANCE, "up"],
    ]
    assert again in done.stderr
    assert f"mlvpnctl status {BROKEN}" in done.stderr


def test_the_status_of_a_crash_loop_has_the_cause(node: Node) -> None:
    assert wait_until(lambda: _states(node).get(BROKEN) == "restarting", 20)
    done = node.attempt("mlvpnctl", "status", BROKEN)
    print(done.stdout, done.stderr)
    assert done.returncode == 3
    assert "State: restarting" in done.stdout
    assert f"mlvpnctl: {BROKEN}: not running, but restarting" in done.stderr
    assert f"/etc/mlvpn/{BROKEN}.conf:1: password:" in done.stdout  # from the journal
    idle = node.attempt("mlvpnctl", "status", IDLE)
    assert (idle.returncode, "State: stopped" in idle.stdout) == (3, True)
    assert f"systemctl start mlvpn@{IDLE}" in idle.stderr
    assert node.attempt("mlvpnctl", "status", "absent").returncode == 4
    assert node.attempt("mlvpnctl", "status").returncode == 0


def test_the_status_of_a_tunnel_that_runs(node: Node) -> None:
    (status,) = json.loads(node.run("mlvpnctl", "--json=short", "status", INSTANCE))
    assert status["Addresses"] == ["10.42.0.2/24"]
    assert status["Routes"] == ["10.99.0.0/24"]
    assert status["Log"]
    assert all(link["LastPacketTimestampMonotonic"] and link["StateChangeTimestamp"] for link in status["Links"])
    print(text := node.run("mlvpnctl", "status", INSTANCE))
    assert "State: up since " in text
    assert "Addresses: 10.42.0.2/24\n" in text
    print(node.run("mlvpnctl", "list"), node.run("mlvpnctl", "links", INSTANCE))


def test_an_ordinary_user_sees_what_can_be_seen(node: Node) -> None:
    assert wait_until(lambda: _states(node, *STRANGER).get(BROKEN) == "restarting", 20)
    done = node.attempt(*STRANGER, "mlvpnctl", "list")
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "/etc/mlvpn cannot be read as this user" in done.stderr
    status = node.attempt(*STRANGER, "mlvpnctl", "status", INSTANCE)
    assert status.returncode == 0
    assert "State: up since " in status.stdout
    assert "the journal shows nothing to this user" in status.stderr


def test_systemctl_says_that_nobody_answers(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    tunnel.server.ctl("stop")
    client.ctl("stop")
    client.ctl("start")
    refused = "refuses: no program has this port"
    assert wait_until(lambda: refused in client.status_text(), OFF), client.status_text()
    text = client.node.attempt("systemctl", "status", f"mlvpn@{INSTANCE}").stdout
    print(text)
    assert "!link2 !link1 connecting since " in text
    entry = client.wait_entry("MLVPN_EVENT=no-answer")
    assert (entry["MLVPN_STATE"], entry["PRIORITY"]) == ("connecting", "4")
    listed = client.node.run("mlvpnctl", "list", "--no-legend")
    assert listed.split()[:2] == [INSTANCE, "connecting"]
    tunnel.server.ctl("start")
    tunnel.wait_up()
    assert client.status_text() == "@link2 @link1"
    assert client.node.read(CONFIG)


def test_one_link_that_is_down_degrades_the_tunnel(tunnel: ServiceTunnel) -> None:
    tunnel.lab.line(2).client.set_carrier(up=False)
    try:
        tunnel.client.wait_links("link2", mark="!")
        assert tunnel.client.node.run("mlvpnctl", "list", "--no-legend").split()[:2] == [INSTANCE, "degraded"]
    finally:
        tunnel.lab.line(2).client.set_carrier(up=True)
    tunnel.wait_up()
    assert tunnel.client.node.run("mlvpnctl", "list", "--no-legend").split()[:2] == [INSTANCE, "up"]


def test_the_log_of_a_link_has_what_operators_did_to_it(tunnel: ServiceTunnel) -> None:
    node = tunnel.nodes.client
    node.run("mlvpnctl", "bandwidth", INSTANCE, "link1", "3Mbit")
    node.run("mlvpnctl", "link", INSTANCE, "link1", "reconnect")
    tunnel.wait_up()
    node.run("journalctl", "--sync")
    log = node.run("mlvpnctl", "log", INSTANCE, "link1", "--no-pager")
    assert "BandwidthUpload=375000 asked for by uid 0" in log
    assert "Reconnect asked for by uid 0" in log
    assert "link2" not in log
