"""A peer knows the password, and comes and goes as fast as it can. The tests count the cost to a real daemon."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd.protocol.links.damping import HOLD, QUICK_ENDS
from mlvpnd.scapy_layer import AUTH, MLVPN
from mlvpnd.tunnel.scripts import RUN_BURST, RUN_INTERVAL
from tests.support.flapping import flap, hostile
from tests.support.hand_peer import HandPeer
from tests.support.lab import Lab, Line, wait_until
from tests.support.peer import Address, udp_socket
from tests.support.sites import Site, SiteSpec, running_site
from tests.support.tunnels import PASSWORD, link_name

pytestmark = pytest.mark.netns

FLOOD = 8.0
"""Seconds for which the peer flaps."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=100, delay=2)]) as running:
        yield running


def recorder(lab: Lab) -> Path:
    """A status command that writes down its arguments."""
    path = lab.directory / "recorder"
    path.touch(mode=0o700)
    path.write_text(f'#!/bin/sh\necho "$2 $3" >>{lab.directory}/calls\n')
    return path


def calls(lab: Lab) -> list[str]:
    path = lab.directory / "calls"
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


def cpu(*pids: int) -> float:
    """Seconds of processor time of some processes, and of the children that they waited for."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(sum(map(int, field[11:15])) for field in fields) / os.sysconf("SC_CLK_TCK")


def flap_at_a_server(site: Site, peer: HandPeer, seconds: float) -> int:
    """Joins and leaves by turns; returns how often."""
    with udp_socket((site.lab.line(1).client.ipv4, 0), host=site.lab.client) as sock:
        return flap(sock, site.server_address(), (peer.auth, peer.keepalive, peer.disconnect), seconds)


def flap_at_a_client(site: Site, peer: HandPeer, seconds: float) -> int:
    """Tells a client again and again that it is let in, and throws it out each time; returns how often."""
    with udp_socket(site.server_address(), host=site.lab.server) as sock:
        return flap(sock, where_it_asks(sock), (peer.auth_ok, peer.disconnect), seconds)


def where_it_asks(sock: socket.socket) -> Address:
    """The address of a client that says AUTH."""
    sock.settimeout(5)
    while True:
        datagram, source = sock.recvfrom(65536)
        if MLVPN(datagram).type == AUTH:
            return source[0], source[1]


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_a_peer_that_flaps(lab: Lab, client: bool) -> None:
    spec = SiteSpec(client=client, general={"statuscommand": recorder(lab), "configure_interface": None})
    with running_site(lab, spec) as site:
        daemon, name, peer = site.daemon, link_name(1), hostile(PASSWORD)
        before, position = cpu(daemon.pid, daemon.child_pid), len(daemon.log())
        begin = time.monotonic()
        rounds = (flap_at_a_client if client else flap_at_a_server)(site, peer, FLOOD)
        took = time.monotonic() - begin
        used = cpu(daemon.pid, daemon.child_pid) - before
        lines, ran = daemon.log()[position:].splitlines(), calls(lab)
        ups = sum("authenticated" in line for line in lines)
        print(f"{rounds} rounds in {took:.1f} s: {ups} times up, {len(ran)} runs, {len(lines)} lines, {used:.2f} s CPU")
        assert rounds > 50 * FLOOD
        assert 3 <= ups <= QUICK_ENDS + took / HOLD + 1
        # Runs for the link, and for the interface, which goes with its only link.
        most = RUN_BURST + took / RUN_INTERVAL + 1
        assert sum(name in call for call in ran) <= most
        assert sum(call.startswith("tuntap") for call in ran) <= most
        assert len(lines) < 8 * most
        assert used < 0.25 * took
        # The log has the answer to an operator's request.
        daemon.reload()
        daemon.wait_for_log("configuration reloaded", since=position)
        # The script ran for the last state, whatever it was.
        last = "up" if daemon.links()[name]["up"] else "down"
        assert wait_until(lambda: [c for c in calls(lab) if name in c][-1] == f"rtun_{last} {name}", 2 * RUN_INTERVAL)
    # An interface that comes and goes during a run needs no run of its own.
    assert [call for call in calls(lab) if call.startswith("tuntap")][-1:] in ([], ["tuntap_down"])


def test_an_honest_line_that_flaps_comes_back_at_once(lab: Lab) -> None:
    with running_site(lab) as site:
        peer = hostile(PASSWORD)
        for turn in range(QUICK_ENDS):
            begin = time.monotonic()
            with udp_socket((lab.line(1).client.ipv4, 0), host=lab.client) as sock:
                for datagram in peer.joins():
                    sock.sendto(datagram, site.server_address())
                assert wait_until(lambda: site.daemon.links()["link1"]["up"], 5), turn
                took = time.monotonic() - begin
                sock.sendto(peer.disconnect(), site.server_address())
                assert wait_until(lambda: not site.daemon.links()["link1"]["up"], 5), turn
            assert took < HOLD / 2
