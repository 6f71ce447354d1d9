"""The system's effects on a running tunnel: deleted interfaces, suspended processes, refused packets, bad lines."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from tests.support.daemons import Daemon, process_name, process_title
from tests.support.lab import SERVER_IPV4, Direction, Host, Lab, Line, wait_until
from tests.support.noise import Stopwatch
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


# The interface.


def test_an_interface_that_is_deleted_comes_back() -> None:
    # The helper configures the client's interface, the status command the server's.
    spec = TunnelSpec(scripted=True, client={"statuscommand": None, "configure_interface": 1})
    with Lab(LINES) as lab, running_tunnel(lab, spec) as tunnel:
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=3, rate=100)
        for host, address in ((lab.client, CLIENT_INNER_IPV6), (lab.server, SERVER_INNER_IPV6)):
            for _ in range(2):
                time.sleep(0.2)
                host.ip("link del mlvpn0")
                assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2
                assert "mtu 1428" in host.run("ip", "link", "show", "mlvpn0")
                assert wait_until(lambda: address in host.run("ip", "addr", "show", "mlvpn0"), 2)  # noqa: B023
        assert stream.wait().duplicates == 0
        # No link noticed.
        for daemon in (tunnel.client, tunnel.server):
            assert all(link["disconnects"] == 0 for link in daemon.links().values())
            assert daemon.log().count("tuntap device closed") == 2


def test_an_interface_that_is_taken_down_and_up() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for host in (lab.client, lab.server):
            host.ip("link set mlvpn0 down")
            ping(lab.client, SERVER_INNER_IPV4, count=3)
            host.ip("link set mlvpn0 up")
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 1
        assert lab.client.run("pgrep", "-P", str(tunnel.client.pid)).split() == [str(tunnel.client.child_pid)]
        # A reload restores what the kernel took: the IPv6 addresses went with the interface.
        for daemon in (tunnel.client, tunnel.server):
            daemon.reload()
        assert wait_for_answer(lab.client, SERVER_INNER_IPV6, 5) < 2
        assert all(link["disconnects"] == 0 for link in tunnel.client.links().values())


# The process.


def test_an_end_that_is_suspended_and_wakes_up() -> None:
    with Lab(LINES) as one, Lab(LINES) as other, running_tunnel(one) as first, running_tunnel(other) as second:
        streams = [UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=9.5, rate=50) for lab in (one, other)]
        pids = [pid for daemon in (first.client, second.server) for pid in (daemon.pid, daemon.child_pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        for lab, tunnel in ((one, first), (other, second)):
            assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2
            tunnel.wait_up()
        for stream in streams:
            assert stream.wait().duplicates == 0


# Packets that the system refuses to send.


def test_a_route_that_is_refused_for_a_while() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        for kind in ("prohibit", "blackhole"):
            lab.client.ip(f"route add {kind} {SERVER_IPV4} table 101")
            time.sleep(2.5)
            # The other link carries everything.
            assert ping(lab.client, SERVER_INNER_IPV4, count=10, interval=0.02).received == 10, kind
            lab.client.ip(f"route del {kind} {SERVER_IPV4} table 101")
            restored = Stopwatch()
            tunnel.wait_up()
            assert restored.own < 2.5
        assert tunnel.client.links()["link2"]["disconnects"] == 0
        assert len(tunnel.client.log().splitlines()) < 100


def test_a_link_that_takes_nothing_is_not_fed_until_its_timeout() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, TunnelSpec(general={"timeout": 60, "pacing": "off"})) as tunnel:
        lab.client.ip(f"route add unreachable {SERVER_IPV4} table 101")
        tunnel.client.wait_for_log("link1 write error: No route to host", timeout=3)
        assert tunnel.client.links()["link1"]["reason"] == "write error: No route to host"
        result = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=1, rate=100).wait()
        assert (result.lost, result.duplicates) == (0, 0)
        lab.client.ip(f"route del unreachable {SERVER_IPV4} table 101")
        tunnel.client.wait_links("connected", timeout=2.5)
        # A refusal for a moment is no reason to take the link down.
        lab.client.ip(f"route add unreachable {SERVER_IPV4} table 101")
        words = ("ping", "-c", "3", "-i", "0.05", "-W", "0.1", SERVER_INNER_IPV4)
        assert " 0% packet loss" not in lab.client.run(*words, check=False)
        lab.client.ip(f"route del unreachable {SERVER_IPV4} table 101")
        time.sleep(1.5)
        assert tunnel.client.links()["link1"]["disconnects"] == 1
        assert tunnel.client.log().count("write error") == 1


def test_a_line_that_takes_less_than_is_sent() -> None:
    with Lab(LINES) as lab, running_tunnel(lab) as tunnel:
        # The queue of the interface is long, so that the socket's buffer fills first.
        lab.server.run(
            "tc", "qdisc", "add", "dev", "wan1", "root", "tbf", "rate", "2mbit", "burst", "4k", "latency", "10s"
        )
        transfer = TcpTransfer(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=3, congestion="cubic")
        result = transfer.wait()
        assert result.verified, result.error
        assert wait_for_answer(lab.client, SERVER_INNER_IPV4, 5) < 2
        # Lines that take less than 1500 bytes at a time, so the kernel makes fragments.
        for number in (1, 2):
            lab.client.ip(f"link set adsl{number} mtu 1300")
            lab.server.ip(f"link set wan{number} mtu 1300")
        assert ping(lab.client, SERVER_INNER_IPV4, count=5, size=1400).received == 5
        assert all(link["disconnects"] == 0 for link in tunnel.server.links().values())


# Bad lines.


def carries(lab: Lab, daemon: Daemon) -> set[str]:
    """The links that carry a burst of the client."""
    before = daemon.links()
    ping(lab.client, SERVER_INNER_IPV4, count=20, size=1000, interval=0.01)
    after = daemon.links()

    def sent(name: str, what: str) -> int:
        return int(after[name][what] - before[name][what])

    # KEEPALIVEs leave by every link; a lossy link sends fifty a second.
    return {name for name in after if sent(name, "sentbytes") > max(4000, 200 * sent(name, "sentpackets"))}


def test_a_link_of_the_last_resort_and_a_lossy_one() -> None:
    # By weights, a few packets show which links are in the schedule.
    spec = TunnelSpec(general={"loss_tolerence": 15, "pacing": "off"}, links={"link3": {"fallback_only": 1}})
    with Lab([*LINES, Line(rate=20)]) as lab, running_tunnel(lab, spec) as tunnel:
        client, lossy = tunnel.client, lab.line(1)
        assert carries(lab, client) == {"link1", "link2"}
        # In v1 the client knows only its own loss on the way in. It stops sending over a link that loses there.
        stream = UdpStream(lab.server, lab.client, CLIENT_INNER_IPV4, seconds=9, rate=200)
        lossy.set(Direction.TO_CLIENT, loss=0.4)
        client.wait_links("lossy link", "link1", timeout=5)
        assert re.search(r"link1 packet loss reached threashold: \d+%/15%", client.log())
        assert wait_until(lambda: process_title(client.child_pid) == "mlvpn: client @link3 @link2 ~link1", 1)
        assert carries(lab, client) == {"link2"}
        assert tunnel.server.links()["link1"]["status"] == "connected"
        # No healthy normal link is left. Only the link of the last resort is left.
        position = len(client.log())
        lab.line(2).set(up=False)
        client.wait_for_log("all tunnels are down, lossy or too slow, switch fallback mode", since=position, timeout=4)
        assert carries(lab, client) == {"link3"}
        assert wait_until(lambda: process_title(client.child_pid) == "mlvpn: client @link3 !link2 ~link1", 1)
        # The normal links come back, and the client leaves the link of the last resort.
        position = len(client.log())
        lossy.set(Direction.TO_CLIENT, loss=0)
        client.wait_for_log("link1 packet loss acceptable again", since=position, timeout=4)
        client.wait_for_log("normal links carry the traffic again", since=position, timeout=1)
        assert carries(lab, client) == {"link1"}
        lab.line(2).set(up=True)
        tunnel.wait_up()
        # The link is on trial first, because it may lose packets too.
        assert wait_until(lambda: carries(lab, client) == {"link1", "link2"}, 3)
        assert stream.wait().duplicates == 0


# Sizes.


def fragments(host: Host) -> int:
    """The number of fragments that a host has made so far."""
    header, values = (line.split() for line in host.run("grep", "^Ip:", "/proc/net/snmp").splitlines())
    ipv6 = host.run("grep", "^Ip6FragCreates", "/proc/net/snmp6").split()[1]
    return int(values[header.index("FragCreates")]) + int(ipv6)


SIZES = {
    "tun over IPv4": (TunnelSpec(), 1428),
    "tap over IPv4": (TunnelSpec(general={"tuntap": "tap"}), 1414),
    "tun over IPv6": (TunnelSpec(ipv6_outside=True), 1408),
    "tun over IPv6, set at first": (TunnelSpec(ipv6_outside=True, server={"mtu": 1300}), 1408),
    "tap over IPv6, status command": (TunnelSpec(general={"tuntap": "tap"}, ipv6_outside=True, scripted=True), 1394),
}


@pytest.mark.parametrize(("spec", "mtu"), SIZES.values(), ids=SIZES.keys())
def test_an_unset_mtu_is_the_largest_that_fits(spec: TunnelSpec, mtu: int) -> None:
    def real_mtu(host: Host) -> str:
        return host.run("cat", "/sys/class/net/mlvpn0/mtu").strip()

    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, spec)
        # A server without an address learns its peers' family from them.
        wildcard: dict[str, Keys] = {"link1": {"bindhost": None}, "link2": {"bindhost": None}}
        tunnel.server.write_config(tunnel.config("server", links=wildcard))
        tunnel.start()
        if "mtu" in spec.server:
            assert real_mtu(lab.server) == "1300"
            tunnel.server.write_config(tunnel.config("server", general={"mtu": None}, links=wildcard))
            tunnel.server.reload()
        for daemon in (tunnel.client, tunnel.server):
            assert wait_until(lambda: real_mtu(daemon.host) == str(mtu), 3), real_mtu(daemon.host)  # noqa: B023
            assert wait_until(lambda: daemon.status()["tuntap"]["mtu"] == mtu, 1)  # noqa: B023
        for host, address in ((lab.client, SERVER_INNER_IPV4), (lab.server, CLIENT_INNER_IPV4)):
            wait_for_answer(host, address, 3)  # neighbours are found, and the packets that wait for them are sent
            before = fragments(lab.client), fragments(lab.server)
            words = ("ping", "-q", "-M", "do", "-i", "0.02", address)
            assert " 0% packet loss" in host.run(*words, "-c", "4", "-W", "2", "-s", str(mtu - 28))
            assert (fragments(lab.client), fragments(lab.server)) == before
            assert "100% packet loss" in host.run(*words, "-c", "1", "-W", "0.1", "-s", str(mtu - 27), check=False)
        # The MTU stays as it is, whatever is read again.
        for daemon in (tunnel.client, tunnel.server):
            daemon.reload()
        time.sleep(0.5)
        assert {real_mtu(lab.client), real_mtu(lab.server)} == {str(mtu)}
        tunnel.stop()


# Titles.


def test_titles_by_option() -> None:
    with Lab(LINES) as lab:
        tunnel = Tunnel(lab, TunnelSpec())
        daemons = [
            Daemon(
                lab.client, lab.directory, name, tunnel.config("client", general={"interface_name": name}), options=more
            )
            for name, more in (("plain", ()), ("natural", ("--natural-title",)), ("named", ("-n", "a b")))
        ]
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            daemon.wait_for_log("link2 bind to")
        plain, natural, named = daemons
        assert wait_until(lambda: process_title(plain.child_pid) == "mlvpn: plain !link2 !link1", 2)
        assert process_title(plain.pid) == "mlvpn: plain [priv]"
        assert wait_until(lambda: process_title(named.child_pid) == "mlvpn: a b !link2 !link1", 2)
        assert process_title(named.pid) == "mlvpn: a b [priv]"
        for pid in (natural.pid, natural.child_pid):
            assert f"-c {natural.config_path}" in process_title(pid)
        for daemon in daemons:
            assert {process_name(pid) for pid in (daemon.pid, daemon.child_pid)} == {"mlvpn"}
            daemon.stop()
