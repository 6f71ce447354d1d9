"""The operator's view in the journal; and a stuck journal."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.services import INSTANCE, Service, ServiceTunnel

LINK_UP = "5b87e6b6709c4e44aa0cca9fc180ce7d"
LINK_DOWN = "b7bb5d6344e349f399649939b108deae"
STUCK_FOR = 5.0


@pytest.fixture
def cut(tunnel: ServiceTunnel) -> Iterator[float]:
    """Line 1 is dead for a while. Yields the time when that began."""
    since = time.time()
    tunnel.lab.line(1).set(up=False)
    try:
        tunnel.client.wait_links("link1", mark="!")
    finally:
        tunnel.lab.line(1).set(up=True)
    yield since
    tunnel.wait_up()


def test_a_link_that_goes_and_comes_is_found_by_its_fields(tunnel: ServiceTunnel, end: Service, cut: float) -> None:
    tunnel.wait_up()
    down = end.wait_entry("MLVPN_EVENT=link-down", since=cut)
    wanted = {
        "MESSAGE_ID": LINK_DOWN,
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "mlvpnd",
        "MLVPN_INSTANCE": INSTANCE,
        "MLVPN_LINK": "link1",
        "MLVPN_REASON": "timeout",
    }
    assert {key: down.get(key) for key in wanted} == wanted
    up = end.wait_entry("MLVPN_EVENT=link-up", since=cut)
    wanted = {"MESSAGE_ID": LINK_UP, "PRIORITY": "5", "MLVPN_LINK": "link1", "MLVPN_STATE": "up"}
    assert {key: up.get(key) for key in wanted} == wanted
    assert end.entries("MLVPN_LINK=link2", since=cut) == []
    text = end.node.run("journalctl", "--catalog", "--no-pager", f"--since=@{cut:.6f}", "MLVPN_EVENT=link-down")
    assert f"Link link1 of tunnel {INSTANCE} is down" in text


def test_a_stuck_journal_does_not_stop_the_tunnel(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    before, restarts = client.pid, client.restarts
    journald = client.node.show("systemd-journald.service", "MainPID")
    client.node.run("mlvpnctl", "log-level", INSTANCE, "debug")
    transfer = tunnel.download(STUCK_FOR + 3)
    for _ in transfer.watch(1):
        pass
    client.node.run("kill", "-STOP", journald)
    try:
        end_at = time.monotonic() + STUCK_FOR
        while time.monotonic() < end_at:
            # Many more lines than fit into journald's socket.
            client.node.run("sh", "-c", f"for i in 1 2 3 4 5; do mlvpnctl reload {INSTANCE}; done")
    finally:
        client.node.run("kill", "-CONT", journald)
    result = transfer.wait()
    assert result.verified
    assert result.own_gap < 1
    client.node.run("mlvpnctl", "log-level", INSTANCE, "info")
    assert (client.pid, client.restarts) == (before, restarts)
