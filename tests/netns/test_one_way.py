"""Lines that are dead in one direction only: between real daemons, and beside a peer that acts like C MLVPN."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlvpnd.scapy_layer import AUTH, AUTH_OK, KEEPALIVE
from tests.support.daemons import Daemon
from tests.support.lab import Direction, Lab, Line
from tests.support.peer import Style
from tests.support.sites import SiteSpec, running_site
from tests.support.traffic import TcpTransfer, UdpStream, ping, wait_for_answer
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4, TunnelSpec, running_tunnel

pytestmark = pytest.mark.netns

TIMEOUT = 2
DELAY = 20
"""ms, one way."""
ROUND_TRIP = 2 * DELAY / 1000
SLACK = 0.6
"""Seconds for the scheduling of processes, and for the test's own questions."""
LINES = [Line(rate=20, delay=DELAY), Line(rate=20, delay=DELAY)]
DIRECTIONS = pytest.mark.parametrize("dead", list(Direction), ids=["to-server", "to-client"])
PROFILES = [("idle", "off"), ("ping", "off"), ("tcp", "off"), ("tcp", "auto"), ("udp", "off"), ("udp", "auto")]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(LINES) as running:
        yield running


def wait_down(daemon: Daemon, since: float) -> float:
    """Seconds from `since` until the first link is down at this end."""
    while daemon.links()["link1"]["status"] not in ("disconnected", "waiting peer"):
        assert time.monotonic() < since + 4 * TIMEOUT, f"{daemon.name} still uses the dead line"
        time.sleep(0.02)
    return time.monotonic() - since


@contextmanager
def traffic(lab: Lab, kind: str) -> Iterator[None]:
    """Packets of a kind in both directions while the block runs."""
    seconds = 2.0 * TIMEOUT + 2
    ends = ((lab.client, lab.server, SERVER_INNER_IPV4), (lab.server, lab.client, CLIENT_INNER_IPV4))
    streams: list[TcpTransfer | UdpStream] = []
    if kind == "tcp":
        streams = [TcpTransfer(*one, seconds=seconds) for one in ends]
    elif kind == "udp":
        streams = [UdpStream(*one, seconds=seconds, rate=100) for one in ends]
    pings = lab.client.start("ping", "-q", "-i", "0.5", SERVER_INNER_IPV4) if kind == "ping" else None
    time.sleep(1.0)
    yield
    if pings is not None:
        pings.terminate()
        pings.wait()
    for stream in streams:
        result = stream.wait()
        if isinstance(stream, TcpTransfer):
            assert result.verified, result  # type: ignore[union-attr]


@pytest.mark.parametrize(("kind", "pacing"), PROFILES, ids=["-".join(one) for one in PROFILES])
@DIRECTIONS
def test_it_is_down_at_both_ends_in_time_and_loses_nothing_then(
    lab: Lab, dead: Direction, kind: str, pacing: str
) -> None:
    spec = TunnelSpec(general={"timeout": TIMEOUT, "pacing": pacing})
    with running_tunnel(lab, spec) as tunnel:
        try:
            with traffic(lab, kind):
                since = time.monotonic()
                lab.line(1).set(dead, up=False)
                for daemon in (tunnel.client, tunnel.server):
                    assert wait_down(daemon, since) < TIMEOUT + ROUND_TRIP + SLACK, daemon.name
            # The link stays down while the client asks, and traffic goes by the other link.
            for host, address in ((lab.client, SERVER_INNER_IPV4), (lab.server, CLIENT_INNER_IPV4)):
                assert ping(host, address, count=30, interval=0.05).received == 30
            for daemon in (tunnel.client, tunnel.server):
                assert daemon.links()["link1"]["disconnects"] == 1
        finally:
            lab.line(1).set(dead, up=True)
        tunnel.wait_up()
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 2) < 1


def test_a_server_says_that_its_answers_do_not_arrive(lab: Lab) -> None:
    lab.line(1).set(Direction.TO_CLIENT, up=False)
    try:
        spec = SiteSpec(general={"timeout": TIMEOUT})
        with running_site(lab, spec) as site, site.peer(style=Style.UPSTREAM) as peer:
            site.daemon.wait_for_log("asks and does not hear the answers", timeout=6)
            assert site.daemon.links()["link1"]["status"] == "waiting peer"
            assert not peer.up
            lab.line(1).set(Direction.TO_CLIENT, up=True)
            assert peer.connect(3)
            site.daemon.wait_links("connected", timeout=3)
    finally:
        lab.line(1).set(Direction.TO_CLIENT, up=True)


@DIRECTIONS
@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_beside_a_peer_that_does_as_upstream_does(lab: Lab, client: bool, dead: Direction) -> None:
    """The peer looks at its clock once a second, and says nothing when it gives a link up."""
    spec = SiteSpec(client=client, general={"timeout": TIMEOUT})
    with running_site(lab, spec) as site, site.peer(style=Style.UPSTREAM, timeout=TIMEOUT) as peer:
        try:
            assert peer.connect(5)
            site.daemon.wait_links("connected", timeout=4)
            time.sleep(3)
            since = time.monotonic()
            lab.line(1).set(dead, up=False)
            # Its KEEPALIVEs come in one or two seconds. Each echoes only the last stamp, and three have to come.
            assert wait_down(site.daemon, since) < TIMEOUT + ROUND_TRIP + 2 + SLACK
            asked = AUTH if client else AUTH_OK
            before = sum(one.type == asked for one in list(peer.received))
            time.sleep(4)
            assert site.daemon.links()["link1"]["disconnects"] == 1
            assert dead is Direction.TO_SERVER or client or not peer.up
            assert sum(one.type == KEEPALIVE for one in list(peer.received)) > 2
            assert before >= 1
        finally:
            lab.line(1).set(dead, up=True)
        site.daemon.wait_links("connected", timeout=2 * TIMEOUT)


def test_a_port_whose_answers_go_elsewhere_is_left_for_another(lab: Lab) -> None:
    """A router with a new address keeps the old entry: the client's packets arrive, and no answer comes."""
    port = 5099
    spec = TunnelSpec(general={"timeout": 2}, client_links={"link1": {"bindport": port}})
    table = f"table inet stale {{ chain in {{ type filter hook input priority 0; udp dport {port} drop; }}; }}"
    with running_tunnel(lab, spec) as tunnel:
        assert tunnel.client.links()["link1"]["status"] == "connected"
        lab.client.run("nft", table)
        try:
            tunnel.client.wait_for_log("a free port is tried every other time", timeout=30)
            tunnel.wait_up()
            tunnel.client.wait_links("connected", timeout=5)
        finally:
            lab.client.run("nft", "delete", "table", "inet", "stale")
