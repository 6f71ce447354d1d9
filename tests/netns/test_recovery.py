"""What goes away comes back: a killed end, a line, an address, an interface, a name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.support.lab import HOSTS_DIR, SERVER_IPV4, Lab, Line, LineEnd, wait_until
from tests.support.noise import Stopwatch
from tests.support.traffic import TcpTransfer, UdpStream, ping, wait_for_answer
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    SERVER_INNER_IPV4,
    Keys,
    Tunnel,
    TunnelSpec,
    link_name,
    running_tunnel,
)

pytestmark = pytest.mark.netns

LINES = [Line(rate=20, delay=5), Line(rate=20, delay=10)]
RESTART = 2.5
"""Seconds from the start of a killed end to traffic. A peer may need a second, and a busy machine adds to it."""


def log_end(tunnel: Tunnel) -> dict[str, int]:
    return {daemon.name: len(daemon.log()) for daemon in (tunnel.client, tunnel.server)}


# An end goes away.


def test_an_end_that_is_killed_and_started_again() -> None:
    # The shorter timeout is longer than a busy machine takes to start a daemon.
    timeouts: dict[str, Keys] = {"link1": {"timeout": 10}, "link2": {"timeout": 60}}
    with Lab(LINES) as lab, running_tunnel(lab, TunnelSpec(links=timeouts)) as tunnel:
        streams = [
            UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=7, rate=100),
            UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=7, rate=100),
        ]
        for ends in ([tunnel.client], [tunnel.server], [tunnel.client, tunnel.server]):
            time.sleep(0.3)
            for daemon in ends:
                daemon.kill()
            time.sleep(0.3)
            for daemon in ends:
                daemon.start()
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 10) < RESTART
            tunnel.wait_up()
        for stream in streams:
            result = stream.wait()
            assert (result.duplicates, result.wrong) == (0, 0)
            assert result.received > 20  # sent in the first 0.3 s; a busy machine needs the rest to start the ends
        for sender, receiver, address in (
            (lab.server, lab.client, CLIENT_INNER_IPV4),
            (lab.client, lab.server, SERVER_INNER_IPV4),
        ):
            assert UdpStream(sender, receiver, address, seconds=0.5, rate=100).wait().received > 40
        # Nobody waited for a timeout, and the end that was not killed kept its links.
        for daemon in (tunnel.client, tunnel.server):
            assert " timeout\n" not in daemon.log()
            assert all(link["disconnects"] <= 1 for link in daemon.links().values())


def test_an_end_that_is_stopped_is_missed_at_once() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, TunnelSpec(general={"timeout": 60})) as tunnel:
        for stopped, other in ((tunnel.client, tunnel.server), (tunnel.server, tunnel.client)):
            position = len(other.log())
            stopped.stop()
            for name in ("link1", "link2"):
                other.wait_for_log(f"{name} disconnect received", since=position, timeout=0.5)
            assert {link["status"] for link in other.links().values()} <= {"disconnected", "waiting peer"}
            stopped.start()
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 10) < RESTART
            tunnel.wait_up()


# A line goes away.


def test_a_line_that_is_cut_under_traffic_and_restored() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        line = lab.line(1)
        transfer = TcpTransfer(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=7.5, congestion="cubic")
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=7.5, rate=50)
        time.sleep(2)
        line.set(up=False)
        tunnel.client.wait_links("waiting peer", "link1", timeout=4)
        tunnel.server.wait_links("down", "link1", timeout=4)
        time.sleep(1)
        line.set(up=True)
        restored = Stopwatch()
        tunnel.wait_up()
        assert restored.own < 2
        udp, tcp = stream.wait(), transfer.wait()
        assert tcp.verified, tcp.error
        assert tcp.own_gap < 3
        assert (udp.duplicates, udp.wrong) == (0, 0)
        assert udp.own_gap < 3
        # The other link did not flap, and the cut link carries its share again.
        assert tunnel.client.links()["link2"]["disconnects"] == tunnel.server.links()["link2"]["disconnects"] == 0
        before = tunnel.server.links()["link1"]["sentbytes"]
        ping(lab.server, CLIENT_INNER_IPV4, count=20, size=1000, interval=0.01)
        assert tunnel.server.links()["link1"]["sentbytes"] > before + 5000


def test_all_lines_cut_for_a_while() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for line in lab.lines:
            line.set(up=False)
        for name in ("link1", "link2"):
            tunnel.client.wait_for_log(f"{name} timeout", timeout=4)
        time.sleep(1.5)
        for line in lab.lines:
            line.set(up=True)
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 10) < 2
        tunnel.wait_up()


# Changes on an uplink.


def is_up(tunnel: Tunnel, number: int) -> bool:
    """Whether at least one end considers the link usable."""
    ends = (tunnel.client, tunnel.server)
    return any(daemon.links()[link_name(number)]["status"] == "connected" for daemon in ends)


GONE: dict[str, tuple[Callable[[LineEnd], None], Callable[[LineEnd], None]]] = {
    "carrier": (lambda end: end.set_carrier(up=False), lambda end: end.set_carrier(up=True)),
    "address": (lambda end: end.remove_addresses(), lambda end: end.add_addresses()),
    "interface": (lambda end: end.unplug(), lambda end: end.plug()),
}


def test_what_goes_away_from_an_uplink_and_comes_back() -> None:
    bound: dict[str, Keys] = {
        "link1": {},
        "link2": {"binddevice": "adsl2"},
        # Without the line's own address another address is as good, so this link only misses carrier and interface.
        "link3": {"binddevice": "adsl3", "bindhost": None},
    }
    with Lab([*LINES, *LINES]) as lab, running_tunnel(lab, TunnelSpec(client_links=bound)) as tunnel:
        for what, (take, give) in GONE.items():
            position = log_end(tunnel)
            numbers = (1, 2) if what == "address" else (1, 2, 3)
            for number in numbers:
                take(lab.line(number).client)
            for number in numbers:
                tunnel.server.wait_for_log(f"link{number} timeout", since=position["server"], timeout=4)
                # The end whose uplink went notices it.
                tunnel.client.wait_for_log(f"link{number} {what} ", since=position["client"], timeout=4)
                assert f"link{number} timeout" not in tunnel.client.log()[position["client"] :]
            assert ping(lab.client, SERVER_INNER_IPV4, count=5).received == 5, what
            for number in numbers:
                give(lab.line(number).client)
            given = Stopwatch()
            tunnel.wait_up()
            assert given.own < 5, what
        for daemon in (tunnel.client, tunnel.server):
            assert daemon.links()["link4"]["disconnects"] == 0


def test_what_is_missing_at_the_start_is_waited_for() -> None:
    spec = TunnelSpec(client_links={"link2": {"binddevice": "adsl2", "bindhost": None}})
    with Lab([*LINES, Line(rate=20)]) as lab:
        tunnel = Tunnel(lab, spec)
        lab.line(1).client.remove_addresses()
        lab.line(2).client.unplug()
        tunnel.client.start()
        # The log says once what each link waits for, and nothing else.
        tunnel.client.wait_for_log("link1 bind error: bind to 198.18.1.2:0: Cannot assign requested address")
        tunnel.client.wait_for_log("link2 bind error: binddevice adsl2: No such device")
        tunnel.client.wait_links("down", "link1", "link2")
        # The third has a socket and no answer yet.
        tunnel.client.wait_links("waiting peer", "link3")
        assert tunnel.client.links()["link1"]["reason"].startswith("bind error")
        time.sleep(1.5)
        tunnel.server.start()
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 10) < RESTART
        lab.line(1).client.add_addresses()
        lab.line(2).client.plug()
        tunnel.wait_up()
        assert tunnel.client.log().count("bind error") == 2
        tunnel.stop()


def test_a_peer_whose_address_changes_is_followed() -> None:
    # Not bound to an address: the socket stays as it is when the line gets another address, as behind a NAT.
    spec = TunnelSpec(client_links={"link1": {"bindhost": None, "binddevice": "adsl1"}})
    with Lab(LINES) as lab, running_tunnel(lab, spec) as tunnel:
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=2.5, rate=100)
        time.sleep(0.3)
        for number in (77, 78):
            position = log_end(tunnel)
            lab.line(1).client.remove_addresses()
            lab.line(1).client.add_addresses(number)
            tunnel.server.wait_for_log(f"link1 new connection -> 198.18.1.{number}:", since=position["server"])
            assert wait_until(lambda: tunnel.server.links()["link1"]["peer"].startswith(f"198.18.1.{number}:"), 1)  # noqa: B023
        result = stream.wait()
        assert (result.duplicates, result.wrong) == (0, 0)
        assert result.own_gap < 1.5
        for daemon in (tunnel.client, tunnel.server):
            assert daemon.links()["link1"]["disconnects"] == 0


# Names.


def set_names(lab: Lab, names: Mapping[str, Sequence[str]]) -> None:
    """The names that the client can look up. Its name server refuses all others at once."""
    lab.client.write_hosts(names)
    resolver = HOSTS_DIR / lab.client.name / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


def test_names_are_looked_up_and_their_addresses_tried_until_somebody_answers() -> None:
    links: dict[str, Keys] = {
        "link1": {"remotehost": "two.test"},
        "link2": {"remotehost": "both.test", "bindhost": None},
        "link3": {"remotehost": "later.test"},
    }
    two_addresses = {
        "two.test": ["198.19.0.9", SERVER_IPV4],
        "both.test": ["2001:db8:ffff::9", SERVER_IPV4],
    }
    with Lab([*LINES, Line(rate=20)]) as lab:
        set_names(lab, two_addresses)
        lab.server.ip("addr add 198.19.0.2/32 dev lo")
        tunnel = Tunnel(lab, TunnelSpec(client_links=links))
        tunnel.server.start()
        tunnel.client.start()
        tunnel.client.wait_for_log("link3 getaddrinfo(later.test,5082) failed")
        set_names(lab, {**two_addresses, "later.test": [SERVER_IPV4]})
        tunnel.client.wait_links("connected", "link3", timeout=10)
        # The server moves, and its name changes with it.
        set_names(lab, {**two_addresses, "later.test": ["198.19.0.2"]})
        tunnel.server.write_config(tunnel.config("server", links={"link3": {"bindhost": "198.19.0.2"}}))
        tunnel.server.reload()
        tunnel.client.wait_for_log("link3 disconnect received")
        tunnel.client.wait_links("connected", "link3", timeout=10)
        assert tunnel.client.links()["link3"]["peer"] == "198.19.0.2:5082"
        assert tunnel.client.log().count("later.test") == 1
        # The first addresses of the others are dead.
        tunnel.client.wait_links("connected", "link1", "link2", timeout=8)
        assert tunnel.client.links()["link2"]["peer"] == f"{SERVER_IPV4}:5081"
        tunnel.stop()
