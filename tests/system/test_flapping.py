"""A peer knows the password, and comes and goes as fast as it can. The test counts the cost to a service."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from mlvpnd.bus.signals import BURST, INTERVAL
from mlvpnd.protocol.links.damping import HOLD, QUICK_ENDS
from mlvpnd.tunnel.scripts import RUN_BURST, RUN_INTERVAL
from tests.support.flapping import flap, hostile
from tests.support.lab import SERVER_IPV4, wait_until
from tests.support.peer import udp_socket
from tests.support.services import INSTANCE, PASSWORD, ServiceTunnel
from tests.support.tunnels import FIRST_PORT

SCRIPT = "/etc/mlvpn/status"
CALLS = "/run/status-calls"
FLOOD = 8.0
"""Seconds for which the peer flaps."""
LISTEN = max(RUN_INTERVAL, INTERVAL) + 4
"""Seconds for which the test listens to signals beyond the time of the flood, so that the last signals come."""


def test_a_peer_that_flaps(tunnel: ServiceTunnel) -> None:
    server, node = tunnel.server, tunnel.server.node
    Path(node.root, CALLS.removeprefix("/")).unlink(missing_ok=True)
    node.write(SCRIPT, f'#!/bin/sh\necho "$2 $3" >>{CALLS}\n', mode=0o700)
    tunnel.ensure_up({"statuscommand": SCRIPT})
    tunnel.client.ctl("stop")
    server.wait_links("link1", "link2", mark="!")
    time.sleep(RUN_INTERVAL)
    before, since = len(node.read(CALLS).splitlines()), time.time()
    # The command ends by itself, because nsenter passes no signal on.
    words = ("timeout", f"{FLOOD + LISTEN:g}", "busctl", "monitor", f"org.mlvpn1.Tunnel.{INSTANCE}")
    with subprocess.Popen([*node.enter, *words, "--match=type=signal"], stdout=subprocess.PIPE, text=True) as listening:
        time.sleep(1)
        peer, begin = hostile(PASSWORD), time.monotonic()
        with udp_socket((tunnel.lab.line(1).client.ipv4, 0), host=tunnel.lab.client) as sock:
            rounds = flap(sock, (SERVER_IPV4, FIRST_PORT), (peer.auth, peer.keepalive, peer.disconnect), FLOOD)
        took = time.monotonic() - begin
        told, _ = listening.communicate(timeout=FLOOD + 2 * LISTEN)
    calls = node.read(CALLS).splitlines()[before:]
    ups = len(server.entries("MLVPN_EVENT=link-up", since=since))
    lines = len(server.log(since=since).splitlines())
    signals = {member: told.count(f"Member={member}") for member in ("PropertiesChanged", "LinkUp", "LinkDown")}
    print(f"{rounds} rounds in {took:.1f} s: {ups} times up, {len(calls)} runs, {lines} lines, {signals}")
    assert rounds > 50 * FLOOD
    assert QUICK_ENDS <= ups <= QUICK_ENDS + took / HOLD + 1
    runs = RUN_BURST + (took + RUN_INTERVAL) / RUN_INTERVAL + 1
    assert sum("link1" in call for call in calls) <= runs
    assert sum(call.startswith("tuntap") for call in calls) <= runs
    most = BURST + (took + INTERVAL) / INTERVAL + 2
    assert 0 < signals["LinkUp"] + signals["LinkDown"] <= most
    assert 0 < signals["PropertiesChanged"] <= 6 * most
    assert lines < 300
    # The last state was run and told.
    assert [call.strip() for call in calls if "link1" in call][-1] == "rtun_down link1"
    assert server.status_text().split().count("!link1") == 1
    node.run("mlvpnctl", "reload", INSTANCE)
    assert server.wait_entry("MLVPN_EVENT=reloaded", since=since)
    assert wait_until(lambda: server.state == "active", 5)
