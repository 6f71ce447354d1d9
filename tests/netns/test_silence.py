"""A client that nobody answers says so within five seconds, and why as far as it can be known."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.daemons import Daemon
from tests.support.lab import HOSTS_DIR, SERVER_IPV4, Lab, Line, wait_until
from tests.support.noise import Noise
from tests.support.tunnels import Keys, Tunnel, TunnelSpec

pytestmark = pytest.mark.netns

LIMIT = 5.0
"""Seconds within which a line must stand in the log."""
AWAY, NOWHERE = "198.18.1.77", "203.0.113.1"
"""Addresses that nobody has: one in the network of the first line."""
MUTE = f"""
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("{SERVER_IPV4}", 53))
time.sleep(60)
"""
"""A name server that says nothing."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=20, delay=5), Line(rate=10, delay=10)]) as lab:
        yield lab


def silent(daemon: Daemon) -> str:
    """Starts a client; returns its first line of silence. Everything that an operator can see must have it by then."""
    noise, begin, since = Noise(), time.time(), len(daemon.log())
    daemon.start()
    found = wait_until(lambda: "no answer for " in daemon.log()[since:], LIMIT)
    assert found or wait_until(lambda: "no answer for " in daemon.log()[since:], noise.seconds + 0.1), daemon.log()
    status = daemon.status()
    assert status["state"] == "connecting"
    assert begin - 1 <= status["state_since"] <= begin + LIMIT + noise.seconds
    (line,) = (line for line in daemon.log()[since:].splitlines() if "no answer for " in line)
    text = line.partition("works): ")[2]
    assert status["reason"] == text
    assert f"mlvpn_state_since_seconds {status['state_since']}" in daemon.control("metrics")
    return text


def test_a_server_that_is_off(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    try:
        text = silent(tunnel.client)
        refused = "refuses: no program has this port"
        assert text == f"link1: {SERVER_IPV4}:5080 {refused}; link2: {SERVER_IPV4}:5081 {refused}"
        assert tunnel.client.links()["link1"]["reason"] == f"{SERVER_IPV4}:5080 {refused}"
        tunnel.server.start()
        tunnel.wait_up()
        status = tunnel.client.status()
        assert (status["state"], status["reason"]) == ("up", "")
        assert {link["reason"] for link in status["tunnels"]} == {""}
        since = len(tunnel.client.log())
        # Later the server goes for good: that is told once more, and no event.
        tunnel.server.stop()
        assert wait_until(lambda: tunnel.client.status()["state"] == "connecting", LIMIT)
        assert wait_until(lambda: "no answer for " in tunnel.client.log()[since:], 2 * LIMIT), tunnel.client.log()
    finally:
        tunnel.kill()


def test_another_password(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(client={"password": "another password"}, lines=[1]))
    try:
        tunnel.server.start()
        assert silent(tunnel.client) == f"link1: no answer from {SERVER_IPV4}:5080"
    finally:
        tunnel.kill()


def test_ways_that_end(lab: Lab) -> None:
    """The first peer is a neighbour that does not answer; to the second there is no route."""
    links: dict[str, Keys] = {"link1": {"remotehost": AWAY}, "link2": {"remotehost": NOWHERE, "bindhost": None}}
    tunnel = Tunnel(lab, TunnelSpec(client_links=links))
    routes = (f"{AWAY} dev {lab.line(1).client.device} table 101", f"throw {NOWHERE}")
    lab.client.ip(*(f"route add {route}" for route in routes))
    try:
        assert silent(tunnel.client) == (
            f"link1: {AWAY}:5080 cannot be reached: No route to host;"
            f" link2: {NOWHERE}:5081 cannot be reached: Network is unreachable"
        )
    finally:
        tunnel.kill()
        lab.client.ip(*(f"route del {route}" for route in routes))


def test_a_name_server_that_does_not_answer(lab: Lab) -> None:
    lab.client.write_hosts({})
    resolver = HOSTS_DIR / lab.client.name / "resolv.conf"
    resolver.write_text(f"nameserver {SERVER_IPV4}\noptions timeout:30 attempts:1\n")
    tunnel = Tunnel(lab, TunnelSpec(client_links={"link1": {"remotehost": "vpn.test"}}, lines=[1]))
    mute = lab.server.start(sys.executable, "-c", MUTE)
    try:
        assert silent(tunnel.client) == "link1: the look-up of vpn.test is not answered"
    finally:
        tunnel.kill()
        mute.kill()
        mute.wait()


def test_one_link_of_two_that_never_came_up(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(client_links={"link2": {"remoteport": 5999}}))
    text = f"link2: {SERVER_IPV4}:5999 refuses: no program has this port"
    try:
        tunnel.server.start()
        tunnel.client.start()
        tunnel.wait_up("link1")
        assert wait_until(lambda: text in tunnel.client.log(), LIMIT + 1), tunnel.client.log()
        status = tunnel.client.status()
        assert (status["state"], status["reason"]) == ("degraded", "")
    finally:
        tunnel.kill()
