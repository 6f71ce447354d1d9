"""What the system does to a running tunnel: interfaces deleted, processes suspended, packets refused, lines bad."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.daemons import Daemon, process_title
from tests.support.lab import SERVER_IPV4, Direction, Host, Lab, Line, wait_until
from tests.support.traffic import TcpTransfer, UdpStream, ping, wait_for_answer
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    CLIENT_INNER_IPV6,
    SERVER_INNER_IPV4,
    SERVER_INNER_IPV6,
    Keys,
    Tunnel,
    TunnelSpec,
    running_tunnel,
)

pytestmark = pytest.mark.netns

LINES = [Line(rate=20, delay=5), Line(rate=20, delay=10)]


def sent(daemon: Daemon, link: str) -> int:
    return int(daemon.links()[link]["sentbytes"])


# The interface.


@pytest.mark.parametrize("scripted", [False, True])
def test_an_interface_that_is_deleted_comes_back(scripted: bool) -> None:
    with Lab(LINES) as lab, running_tunnel(lab, TunnelSpec(scripted=scripted)) as tunnel:
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=4, rate=100)
        for host in (lab.client, lab.server, lab.client):
            time.sleep(0.3)
            host.ip("link del mlvpn0")
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2
            assert "mtu 1428" in host.run("ip", "link", "show", "mlvpn0")
            assert wait_until(lambda: SERVER_INNER_IPV6 in lab.server.run("ip", "addr", "show", "mlvpn0"), 2)
            assert wait_until(lambda: CLIENT_INNER_IPV6 in lab.client.run("ip", "addr", "show", "mlvpn0"), 2)
        assert stream.wait().duplicates == 0
        # No link noticed.
        for daemon in (tunnel.client, tunnel.server):
            assert all(link["disconnects"] == 0 for link in daemon.links().values())
            assert "tuntap device closed" in daemon.log()


def test_an_interface_that_is_taken_down_and_up() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for host in (lab.client, lab.server):
            host.ip("link set mlvpn0 down")
            ping(lab.client, SERVER_INNER_IPV4, count=3)
            host.ip("link set mlvpn0 up")
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 1
        assert lab.client.run("pgrep", "-P", str(tunnel.client.pid)).split() == [str(tunnel.client.child_pid)]
        # A reload puts back what the kernel took: IPv6 addresses go with the interface.
        for daemon in (tunnel.client, tunnel.server):
            daemon.reload()
        assert wait_for_answer(lab.client, SERVER_INNER_IPV6, 5) < 2
        assert all(link["disconnects"] == 0 for link in tunnel.client.links().values())


# The process.


def test_an_end_that_is_suspended_and_wakes_up() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=13, rate=50)
        for daemon, seconds in ((tunnel.client, 8), (tunnel.server, 3)):
            pids = (daemon.pid, daemon.child_pid)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2
            tunnel.wait_up()
        assert stream.wait().duplicates == 0


# What the system refuses to send.


def test_a_route_that_is_refused_for_a_while() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for kind in ("unreachable", "prohibit", "blackhole"):
            lab.client.ip(f"route add {kind} {SERVER_IPV4} table 101")
            time.sleep(3)
            # The other link carries everything.
            assert ping(lab.client, SERVER_INNER_IPV4, count=10, interval=0.02).received == 10, kind
            lab.client.ip(f"route del {kind} {SERVER_IPV4} table 101")
            restored = time.monotonic()
            tunnel.wait_up()
            assert time.monotonic() - restored < 2.5
        assert tunnel.client.links()["link2"]["disconnects"] == 0
        assert len(tunnel.client.log().splitlines()) < 100


def test_a_link_that_takes_nothing_is_not_fed_until_its_timeout() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, TunnelSpec(general={"timeout": 60})) as tunnel:
        lab.client.ip(f"route add unreachable {SERVER_IPV4} table 101")
        tunnel.client.wait_for_log("link1 write error: No route to host", timeout=3)
        assert tunnel.client.links()["link1"]["reason"] == "write error: No route to host"
        result = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=1, rate=100).wait()
        assert (result.lost, result.duplicates) == (0, 0)
        lab.client.ip(f"route del unreachable {SERVER_IPV4} table 101")
        tunnel.client.wait_links("connected", timeout=2.5)
        # A moment's refusal is no reason.
        lab.client.ip(f"route add unreachable {SERVER_IPV4} table 101")
        words = ("ping", "-c", "3", "-i", "0.05", "-W", "0.1", SERVER_INNER_IPV4)
        assert " 0% packet loss" not in lab.client.run(*words, check=False)
        lab.client.ip(f"route del unreachable {SERVER_IPV4} table 101")
        time.sleep(1.5)
        assert tunnel.client.links()["link1"]["disconnects"] == 1
        assert tunnel.client.log().count("write error") == 1


def test_a_line_that_takes_less_than_is_sent() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        # The queue of the interface is long, so that the socket's buffer is full first.
        lab.server.run(
            "tc", "qdisc", "add", "dev", "wan1", "root", "tbf", "rate", "2mbit", "burst", "4k", "latency", "10s"
        )
        transfer = TcpTransfer(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=4, congestion="cubic")
        result = transfer.wait()
        assert result.verified, result.error
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2
        assert all(link["disconnects"] == 0 for link in tunnel.server.links().values())
