"""`configure_interface = 1`: when default routes are in, what a kill switch holds, and what others take is put back."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.lab import Host, Lab, LabError, Line, wait_until
from tests.support.noise import Stopwatch
from tests.support.traffic import ping, wait_for_answer
from tests.support.tunnels import CLIENT_INNER_IPV4, CLIENT_INNER_IPV6, SERVER_INNER_IPV4, Tunnel, TunnelSpec

pytestmark = pytest.mark.netns

LINES = [Line(rate=20, delay=5), Line(rate=20, delay=10)]
OUTSIDE, OUTSIDE6 = "203.0.113.9", "2001:db8:aaaa::9"
"""A host of the internet, behind every line and behind the tunnel."""
NEAR = "10.99.0.0/16"
# An IPv6 line's default route has a better metric than a whole one of ours.
ROUTES = {"whole": ("0.0.0.0/0", "::/1 8000::/1"), "halves": ("0.0.0.0/1 128.0.0.0/1", "::/1 8000::/1")}
TIMEOUT = 2
ETH_P_IP = 0x0800


@contextlib.contextmanager
def world(spec: TunnelSpec) -> Iterator[tuple[Lab, Tunnel]]:
    """A lab with a host of the internet, and a tunnel that is not yet started; whatever runs at the end is killed."""
    with Lab(LINES) as lab:
        lab.server.ip(f"addr add {OUTSIDE}/32 dev lo", f"addr add {OUTSIDE6}/128 dev lo nodad")
        # A line's end answers for itself alone, as a provider's router does.
        lab.server.sysctl(ipv4__conf__all__arp_ignore=1)
        tunnel = Tunnel(lab, spec)
        try:
            yield lab, tunnel
        except BaseException:
            tunnel.kill()
            raise
        tunnel.stop()


def way(host: Host, address: str = OUTSIDE) -> str:
    """The device by which the host sends to an address; empty: it refuses to."""
    try:
        words = host.run("ip", "route", "get", address).split()
    except LabError:
        return ""
    return words[words.index("dev") + 1]


def ways(host: Host) -> tuple[str, str]:
    return way(host), way(host, OUTSIDE6)


def by_a_line(host: Host) -> bool:
    return all(device.startswith("adsl") for device in ways(host))


def by_the_tunnel(host: Host) -> bool:
    return ways(host) == ("mlvpn0", "mlvpn0")


@pytest.mark.parametrize("kind", ROUTES)
def test_default_routes_are_in_while_a_link_is_up(kind: str) -> None:
    ip4, ip6 = ROUTES[kind]
    with world(TunnelSpec(client={"ip4_routes": f"{NEAR} {ip4}", "ip6_routes": ip6})) as (lab, tunnel):
        host, client = lab.client, tunnel.client
        client.start()
        client.wait_links("down")
        # The tunnel is not up: its other routes are there, and the internet is reached by the lines.
        assert wait_until(lambda: NEAR in host.run("ip", "route"), 5)
        assert by_a_line(host)
        assert ping(host, OUTSIDE, count=3).received == 3
        tunnel.server.start()
        tunnel.wait_up()
        assert wait_until(lambda: by_the_tunnel(host), 2)
        assert wait_for_answer(host, OUTSIDE, 3) < 2
        # One link is enough; a reload changes nothing.
        lab.line(1).set(up=False)
        client.wait_links("down", "link1")
        client.reload()
        time.sleep(TIMEOUT + 1)
        assert by_the_tunnel(host)
        # None is up: they go after the timeout, and not before.
        tunnel.server.kill()
        client.wait_links("down")
        down = time.monotonic()
        assert by_the_tunnel(host)
        assert wait_until(lambda: by_a_line(host), TIMEOUT + 3)
        assert time.monotonic() - down > TIMEOUT - 1
        assert NEAR in host.run("ip", "route")
        lab.line(1).set(up=True)
        assert ping(host, OUTSIDE, count=3).received == 3
        # A reload does not put them in.
        client.reload()
        time.sleep(1)
        assert by_a_line(host)
        tunnel.server.start()
        tunnel.wait_up()
        assert wait_until(lambda: by_the_tunnel(host), 2)
        client.stop()
        assert by_a_line(host)


def test_a_link_that_comes_back_in_time_leaves_them_alone() -> None:
    with world(TunnelSpec(client={"ip4_routes": "0.0.0.0/0", "timeout": 4})) as (lab, tunnel):
        tunnel.start()
        assert wait_until(lambda: way(lab.client) == "mlvpn0", 2)
        with watching(lambda: way(lab.client) == "mlvpn0") as wrong:
            tunnel.server.stop()
            tunnel.client.wait_links("down")
            tunnel.server.start()
            tunnel.wait_up()
            time.sleep(5)
        assert wrong == []


@contextlib.contextmanager
def watching(holds: Callable[[], bool]) -> Iterator[list[float]]:
    """Looks all the time whether something holds; the list gets the time of each look that found it wrong."""
    wrong: list[float] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            if not holds():
                wrong.append(time.monotonic())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join()


class Leaks:
    """Sends to the host of the internet all the time, and counts what the server sees of it on its lines."""

    def __init__(self, lab: Lab) -> None:
        self.seen = 0
        self.arrived = 0
        """By the tunnel."""
        self.sent = 0
        self._ended = threading.Event()
        self._sender = lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ears = lab.server.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self._threads = [threading.Thread(target=work) for work in (self._send, self._hear)]

    def __enter__(self) -> Leaks:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_what: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._sender.close()
        self._ears.close()

    def _send(self) -> None:
        while not self._ended.wait(0.002):
            self.sent += 1
            with contextlib.suppress(OSError):
                self._sender.sendto(b"secret", (OUTSIDE, 9))

    def _hear(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._ears], [], [], 0.1)[0]:
                continue
            packet, address = self._ears.recvfrom(2000)
            if packet[16:20] == socket.inet_aton(OUTSIDE) and address[2] != socket.PACKET_OUTGOING:
                if address[0].startswith("wan"):
                    self.seen += 1
                else:
                    self.arrived += 1


KILL = {"kill_switch": 1, "ip4_gateway": SERVER_INNER_IPV4, "ip4_routes": f"{NEAR} 0.0.0.0/0", "ip6_routes": "::/0"}


def test_a_kill_switch_holds_the_place() -> None:
    # The first link is bound to a device, and leaves by the main table; the second has a rule.
    spec = TunnelSpec(client=KILL, client_links={"link1": {"bindhost": None, "binddevice": "adsl1"}})
    with world(spec) as (lab, tunnel):
        host, client = lab.client, tunnel.client
        client.start()
        client.wait_links("down")
        assert wait_until(lambda: ways(host) == ("", ""), 5)
        with Leaks(lab) as leaks:
            assert "unreachable" in host.run("ip", "route", "show", "table", "all")
            assert way(host, "198.18.1.1") == "adsl1"
            assert way(host, "10.99.0.1") == "mlvpn0"
            tunnel.server.start()
            tunnel.wait_up()
            assert wait_until(lambda: by_the_tunnel(host), 2)
            assert wait_until(lambda: leaks.arrived > 0, 3)
            # Other links, by a reload: the rules are made anew.
            links = {"link2": {"bindhost": None, "binddevice": "adsl2"}}
            client.write_config(tunnel.config("client", links=links))
            client.reload()
            client.wait_for_log("link2 restart for configuration reload")
            tunnel.wait_up()
            assert wait_until(lambda: "oif adsl2" in host.run("ip", "rule"), 2)
            assert by_the_tunnel(host)
            # Somebody deletes the interface, and takes away the rules.
            host.ip("link del mlvpn0")
            assert wait_until(lambda: by_the_tunnel(host), 5)
            tunnel.server.kill()
            client.wait_links("down")
            assert wait_until(lambda: ways(host) == ("", ""), TIMEOUT + 3)
            # A crash of both processes.
            client.kill()
            assert ways(host) == ("", "")
            client.start()
            tunnel.server.start()
            tunnel.wait_up()
            assert wait_until(lambda: by_the_tunnel(host), 2)
            assert leaks.sent > 1000
            assert leaks.seen == 0
        host.run("ip", "rule", "flush", "protocol", "109")
        assert wait_until(lambda: host.run("ip", "rule").count("proto 109") == 4, 1)
        client.stop()
        assert by_a_line(host)
        assert "109" not in host.run("ip", "rule") + host.run("ip", "-6", "rule")
        assert "unreachable" not in host.run("ip", "route", "show", "table", "all")


def test_a_kill_switch_comes_and_goes_by_a_reload() -> None:
    with world(TunnelSpec(client=KILL)) as (lab, tunnel):
        host, client = lab.client, tunnel.client
        client.start()
        client.wait_links("down")
        assert wait_until(lambda: ways(host) == ("", ""), 5)
        for keys in ({"kill_switch": 0}, {"kill_switch": 1}, {"configure_interface": 0}):
            client.write_config(tunnel.config("client", general=keys))
            client.reload()
            free = keys != {"kill_switch": 1}
            assert wait_until(lambda: by_a_line(host) if free else ways(host) == ("", ""), 3), keys  # noqa: B023


TAKEN = {
    "down": (["link set mlvpn0 down"], "link up"),
    "down and up": (["link set mlvpn0 down", "link set mlvpn0 up"], f"address {CLIENT_INNER_IPV6}/64"),
    "addresses": (["addr flush dev mlvpn0"], f"address {CLIENT_INNER_IPV4}/24"),
    "mtu": (["link set mlvpn0 mtu 1300"], "mtu 1428"),
    "route": ([f"route del {NEAR}"], f"route {NEAR}"),
    "default route": (["route del 0.0.0.0/1"], "route 0.0.0.0/1"),
}


def settings(host: Host) -> tuple[object, ...]:
    """What the client's interface has, but for the link-local address that the kernel gives it."""
    shown = [host.run("ip", *words) for words in (["route"], ["-6", "route"])]
    routes = {line.strip() for text in shown for line in text.splitlines() if "mlvpn0" in line and line[:5] != "fe80:"}
    address = host.run("ip", "-o", "addr", "show", "dev", "mlvpn0")
    up = "state" in (link := host.run("ip", "-o", "link", "show", "mlvpn0")) and ",UP" in link
    mtu = link.split(" mtu ")[1].split()[0]
    return up, mtu, frozenset(routes), CLIENT_INNER_IPV4 in address, CLIENT_INNER_IPV6 in address


@pytest.mark.parametrize("what", [["down", "addresses", "mtu", "route"], ["down and up", "default route"]], ids=str)
def test_what_others_take_is_put_back_within_a_second(what: list[str]) -> None:
    spec = TunnelSpec(client={"ip4_routes": f"{NEAR} 0.0.0.0/1 128.0.0.0/1", "ip6_routes": "fd99::/64"})
    with world(spec) as (lab, tunnel):
        host, client = lab.client, tunnel.client
        tunnel.start()
        assert wait_until(lambda: way(host) == "mlvpn0", 3)
        before = settings(host)
        for one in what:
            commands, thing = TAKEN[one]
            position = len(client.log())
            host.ip(*commands)
            taken = Stopwatch()
            client.wait_for_log("put back", since=position, timeout=3)
            assert settings(host) == before, one
            assert taken.own < 1
            time.sleep(0.3)
            said = [line for line in client.log()[position:].splitlines() if "somebody took away" in line]
            assert len(said) == 1, said
            assert thing in said[0]
            assert client.status()["tuntap"]["mtu"] == 1428
        assert wait_for_answer(host, SERVER_INNER_IPV4, 5) < 2
        assert all(link["disconnects"] == 0 for link in client.links().values())


def test_what_others_take_again_and_again_is_given_up_until_a_reload() -> None:
    with world(TunnelSpec()) as (lab, tunnel):
        host, client = lab.client, tunnel.client
        tunnel.start()
        position = 0
        for _ in range(5):
            host.ip("link set mlvpn0 mtu 1300")
            position = client.wait_for_log("put back", since=position, timeout=3)
        client.wait_for_log("mlvpn0 was changed 5 times within a minute: nothing is put back any more", timeout=2)
        host.ip("link set mlvpn0 mtu 1300")
        time.sleep(1)
        assert client.status()["tuntap"]["mtu"] == 1300
        assert client.log().count("somebody took away") == 5
        client.reload()
        assert wait_until(lambda: client.status()["tuntap"]["mtu"] == 1428, 3)
        time.sleep(0.5)  # what is taken during the reload is put back by it
        host.ip("addr flush dev mlvpn0")
        client.wait_for_log("put back", since=client.log().rindex("reload (SIGHUP)"), timeout=3)


def test_without_configure_interface_nothing_is_put_back() -> None:
    with world(TunnelSpec(scripted=True)) as (lab, tunnel):
        tunnel.start()
        host, client = lab.client, tunnel.client
        host.ip("link set mlvpn0 mtu 1300", "addr flush dev mlvpn0")
        time.sleep(1)
        assert client.status()["tuntap"]["mtu"] == 1300
        assert CLIENT_INNER_IPV4 not in host.run("ip", "addr")
        assert "somebody" not in client.log()


def test_a_bindhost_that_is_an_interface() -> None:
    spec = TunnelSpec(client_links={"link1": {"bindhost": "adsl1"}})
    with world(spec) as (lab, tunnel):
        client = tunnel.client
        start = Stopwatch()
        tunnel.start()
        assert start.own < 4
        warning = "link1 bindhost adsl1 is the name of an interface: the link is bound to adsl1, as with binddevice"
        assert client.log().count(warning) == 1
        # It is a device also while the interface is away.
        end = lab.line(1).client
        end.unplug()
        client.wait_links("down", "link1", timeout=3)
        time.sleep(2)
        assert "getaddrinfo" not in client.log()
        end.plug()
        client.wait_links("connected", timeout=5)
        os.kill(client.pid, signal.SIGHUP)
        time.sleep(1)
        assert client.links()["link1"]["disconnects"] == 1
