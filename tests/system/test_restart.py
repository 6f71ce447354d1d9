"""What outlives the daemon's process: interface, addresses, routes, sockets, session; and how long traffic waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.lab import wait_until
from tests.support.services import UNIT, Service, ServiceTunnel

RESTART_GAP = 1.0
KILL_GAP = 2.5
WATCHDOG_GAP = 12.5
"""Seconds without a byte, at most."""
BEGUN = 2.0
"""Seconds of a transfer before its disturbance."""
SCRIPT = "/etc/mlvpn/status"
CALLS = "/run/status-calls"


def _restart(service: Service) -> None:
    service.ctl("restart")


def _kill(service: Service) -> None:
    service.signal("KILL")


def _transfer_over(tunnel: ServiceTunnel, end: Service, act: Callable[[Service], None], seconds: float) -> float:
    """Runs a transfer, and does `act` to one end during it. Returns the longest gap, as `own_gap` counts it.

    Afterwards the process must be another one. The administrator's view of the interface must be the same.
    """
    before, pid, count = end.interface(), end.pid, len(end.entries("MLVPN_EVENT=state-restored"))
    transfer = tunnel.download(seconds)
    for _ in transfer.watch(BEGUN):
        pass
    act(end)
    result = transfer.wait()
    assert result.verified, result.error
    tunnel.wait_up()
    assert end.pid not in (0, pid)
    assert end.interface() == before
    assert len(end.entries("MLVPN_EVENT=state-restored")) == count + 1
    print(f"gap {result.longest_gap:.2f} s, {result.own_gap:.2f} s of it our own")
    return result.own_gap


def test_a_transfer_survives_a_restart(tunnel: ServiceTunnel, end: Service) -> None:
    assert _transfer_over(tunnel, end, _restart, 5) <= RESTART_GAP


def test_a_transfer_survives_a_kill(tunnel: ServiceTunnel, end: Service) -> None:
    assert _transfer_over(tunnel, end, _kill, 6) <= KILL_GAP
    assert end.node.show(UNIT, "Result") == "success"


def test_the_watchdog_ends_a_daemon_that_has_stopped_turning(tunnel: ServiceTunnel, end: Service) -> None:
    before, pid, restarts = end.interface(), end.pid, end.restarts
    # Datagrams show when the tunnel works again. After so long a time, TCP itself decides when it tries again.
    stream = tunnel.stream(BEGUN + WATCHDOG_GAP + 3)
    time.sleep(BEGUN)
    end.signal("STOP")
    result = stream.wait()
    assert result.longest_gap > RESTART_GAP
    assert result.own_gap <= WATCHDOG_GAP
    tunnel.wait_up()
    assert end.pid not in (0, pid)
    assert end.interface() == before
    assert end.restarts == restarts + 1


def test_the_peer_is_told_nothing_of_a_restart(tunnel: ServiceTunnel, end: Service) -> None:
    other = tunnel.server if end is tunnel.client else tunnel.client
    since = time.time()
    end.ctl("restart")
    tunnel.wait_up()
    time.sleep(1)  # a link that goes down would be down by now
    assert other.entries("MLVPN_EVENT=link-down", since=since) == []


@pytest.fixture
def scripted(tunnel: ServiceTunnel) -> ServiceTunnel:
    """The tunnel with a status command that records its calls."""
    for node in tunnel.nodes:
        Path(node.root, CALLS.removeprefix("/")).unlink(missing_ok=True)
        node.write(SCRIPT, f'#!/bin/sh\necho "$2 $3" >>{CALLS}\n', mode=0o700)
    # With a timeout of 2 s, the pause after a kill might take a link down.
    tunnel.ensure_up({"statuscommand": SCRIPT, "timeout": 5})
    return tunnel


def _calls(service: Service) -> list[str]:
    return [line.strip() for line in service.node.read(CALLS).splitlines()]


def test_scripts_run_at_a_stop_and_not_at_a_restart(scripted: ServiceTunnel) -> None:
    client = scripted.client
    ups = ["rtun_up link1", "rtun_up link2", "tuntap_up"]
    assert wait_until(lambda: sorted(_calls(client)) == ups, 5), _calls(client)
    client.ctl("restart")
    scripted.wait_up()
    restarts = client.restarts
    client.signal("KILL")
    assert wait_until(lambda: client.restarts == restarts + 1, 5)
    scripted.wait_up()
    time.sleep(1)
    assert sorted(_calls(client)) == ups
    client.ctl("stop")
    assert sorted(_calls(client)[3:]) == ["rtun_down link1", "rtun_down link2", "tuntap_down"]


def test_another_interface_in_the_file_is_opened_at_a_restart(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.configure(tunnel.config("client", {"interface_name": "other0"}))
    client.ctl("restart")
    tunnel.wait_up()
    assert not Path(client.node.root, "sys/class/net/mlvpn0").exists()
    assert client.node.run("ip", "-br", "addr", "show", "other0").count("10.42.0.2/24") == 1
    assert tunnel.ping() == 3
