"""What an operator asks, and what is counted, outlasts restarts and stops of a service. A disabled link is silent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab import wait_until
from tests.support.services import INSTANCE, Service, ServiceTunnel

DIRECTORY = f"/var/lib/mlvpn/{INSTANCE}"
STATE = f"{DIRECTORY}/state.json"
SAID_LIMIT = 0.5
"""Seconds until both ends of a line with a round trip of 20 ms know that the link is disabled."""
SILENCE = 500
"""Bytes on a silent line in three seconds at most: ARP and the like."""


@pytest.fixture(autouse=True)
def _all_enabled(tunnel: ServiceTunnel) -> Iterator[None]:
    yield
    for service in (tunnel.client, tunnel.server):
        if service.state != "active":
            service.ctl("start")
        assert wait_until(lambda service=service: service.node.attempt(*FORGET).returncode == 0, 5)  # type: ignore[misc]
    tunnel.wait_up()


FORGET = ("mlvpnctl", "forget", INSTANCE)


def switch(service: Service, action: str) -> str:
    return service.node.run("mlvpnctl", "link", INSTANCE, "link1", action)


def links(service: Service) -> dict[str, dict[str, Any]]:
    shown = json.loads(service.node.run("mlvpnctl", "--json=short", "links", INSTANCE))
    return {link["Name"]: link for link in shown}


def bytes_of_line(tunnel: ServiceTunnel) -> int:
    """Everything on the client's first line, both ways."""
    device = tunnel.lab.line(1).client.device
    (link,) = json.loads(tunnel.client.node.run("ip", "-j", "-s", "link", "show", "dev", device))
    return int(link["stats64"]["rx"]["bytes"]) + int(link["stats64"]["tx"]["bytes"])


def test_a_disabled_link_carries_nothing_either_way(tunnel: ServiceTunnel, end: Service) -> None:
    other = tunnel.server if end is tunnel.client else tunnel.client
    since = time.time()
    transfer = tunnel.download(5)
    for _ in transfer.watch(1):
        pass
    assert "disabled until it is enabled again" in switch(end, "disable")
    assert wait_until(lambda: "-link1" in end.status_text() and "!link1" in other.status_text(), SAID_LIMIT)
    time.sleep(0.2)  # what was on its way
    before = bytes_of_line(tunnel)
    result = transfer.wait()
    assert result.verified, result.error
    assert result.own_gap < 1
    calls = 3 * 100 if end is tunnel.server else 0  # a client of a disabled server goes on to call
    assert bytes_of_line(tunnel) - before < SILENCE + 3 * calls
    assert links(end)["link1"]["State"] == "disabled"
    assert links(end)["link1"]["Enabled"] is False
    assert links(other)["link1"]["State"] in ("down", "waiting")
    assert "disabled" in end.node.run("mlvpnctl", "--no-pager", "links", INSTANCE)
    switch(end, "enable")
    tunnel.wait_up()
    own = [event for event, link in end.told(since=since) if link == "link1"]
    assert own == ["link-disabled", "link-enabled", "link-up"]


def test_it_stays_disabled_over_restart_kill_and_stop_until_it_is_enabled(tunnel: ServiceTunnel, end: Service) -> None:
    switch(end, "disable")
    assert wait_until(lambda: '"disabled":true' in end.node.read(STATE), 5)
    restarts = end.restarts
    end.ctl("restart")
    end.wait_links("link1", mark="-")
    end.signal("KILL")
    assert wait_until(lambda: end.restarts == restarts + 1, 5)
    end.wait_links("link1", mark="-")
    end.ctl("stop")
    end.ctl("start")
    end.wait_links("link1", mark="-")
    end.wait_links("link2")
    switch(end, "enable")
    tunnel.wait_up()
    end.ctl("restart")
    tunnel.wait_up()


def test_counters_go_on_over_restarts_until_they_are_forgotten(tunnel: ServiceTunnel, end: Service) -> None:
    assert tunnel.ping(20) == 20
    for verbs in (["restart"], ["stop", "start"]):
        before = links(end)["link2"]
        for verb in verbs:
            end.ctl(verb)
        tunnel.wait_up()
        after = links(end)["link2"]
        for name in ("TxBytes", "RxBytes", "TxPackets", "RxPackets", "Disconnects"):
            assert after[name] >= before[name], name
        if verbs == ["restart"]:
            assert after["Disconnects"] == before["Disconnects"]
    end.node.run(*FORGET)
    assert links(end)["link2"]["TxBytes"] < before["TxBytes"]
    assert wait_until(lambda: json.loads(end.node.read(STATE)) == {"version": 1, "links": {}}, 5)


def test_the_file_is_the_tunnels_alone(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.node.run("mkdir", "-p", "/var/lib/mlvpn/other")
    client.node.run("chown", "mlvpn:mlvpn", "/var/lib/mlvpn/other")
    client.ctl("restart")
    tunnel.wait_up()
    switch(client, "disable")
    assert wait_until(lambda: '"disabled":true' in client.node.read(STATE), 5)
    assert client.node.run("stat", "-c", "%U %a", DIRECTORY, STATE).split("\n")[:2] == ["mlvpn 700", "mlvpn 600"]
    assert client.node.run("ls", f"/proc/{client.pid}/root/var/lib/mlvpn").split() == [INSTANCE]
    client.node.run("rmdir", "/var/lib/mlvpn/other")
