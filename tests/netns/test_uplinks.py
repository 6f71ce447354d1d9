"""Uplinks that go and come back: the daemon notices at once, by the kernel's news, long before any timeout."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.daemons import Daemon
from tests.support.lab import Lab, Line, LineEnd, wait_until
from tests.support.noise import Stopwatch
from tests.support.traffic import UdpStream, ping
from tests.support.tunnels import SERVER_INNER_IPV4, Keys, Tunnel, TunnelSpec, link_name, running_tunnel

pytestmark = pytest.mark.netns

LINES = [Line(rate=20, delay=5), Line(rate=20, delay=10), Line(rate=20, delay=10)]
SPEC = TunnelSpec(
    general={"timeout": 60},
    # The first link is bound to an address, the second to an interface too. The third is bound to nothing.
    client_links={"link2": {"binddevice": "adsl2"}, "link3": {"bindhost": None}},
)
LOST = 0.5
BACK = 1.5
"""Seconds from an uplink's return until its link is up: AUTH goes out each second."""


def set_down(end: LineEnd) -> None:
    end.host.ip(f"link set {end.device} down")


def set_up(end: LineEnd) -> None:
    end.host.ip(f"link set {end.device} up")
    end.add_addresses()  # IPv6 addresses, and routes, which went with it


# The event, its undoing, the numbers of its links, and the client's words for it.
GONE: dict[str, tuple[Callable[[LineEnd], None], Callable[[LineEnd], None], tuple[int, ...], set[str]]] = {
    "address": (LineEnd.remove_addresses, LineEnd.add_addresses, (1, 2), {"address gone"}),
    # The kernel reports up to a second late if an interface's peer has the same number, as with line 1's ends here.
    "carrier": (lambda end: end.set_carrier(up=False), lambda end: end.set_carrier(up=True), (2,), {"carrier lost"}),
    # The interface is set down before it goes, and setting it down takes a moment.
    "interface": (LineEnd.unplug, LineEnd.plug, (1, 2), {"interface down", "interface gone"}),
    "setting": (set_down, set_up, (1, 2), {"interface down"}),
}


# IPv6 addresses go when their interface is set down.
@pytest.mark.parametrize(
    ("what", "ipv6"), [*((what, False) for what in GONE), ("address", True), ("setting", True)], ids=str
)
def test_a_link_follows_its_uplink_at_once(what: str, ipv6: bool) -> None:
    take, give, numbers, reasons = GONE[what]
    with Lab(LINES) as lab, running_tunnel(lab, replace(SPEC, ipv6_outside=ipv6)) as tunnel:
        client = tunnel.client
        for number in numbers:
            name, end, position = link_name(number), lab.line(number).client, len(client.log())
            watch = Stopwatch()
            take(end)
            client.wait_links("down", name)
            assert watch.own < LOST
            # All traffic takes other links. The server was not told, and goes on sending to an address that nobody has.
            result = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=1.5, rate=100).wait()
            assert (result.lost, result.duplicates) == (0, 0)
            time.sleep(1)  # so that the pauses between attempts grow
            reason = client.links()[name]["reason"]
            assert reason in reasons or reason.startswith("bind error")
            watch = Stopwatch()
            give(end)
            client.wait_links("connected", name)
            assert watch.own < BACK
            # One line for the loss and one for the return, besides the lines for the attempts.
            said = [line.partition(f" {name} ")[2] for line in client.log()[position:].splitlines()]
            lost, back = [text for text in said if text and not text.startswith("bind")]
            assert lost in reasons
            assert back == "authenticated"
            assert client.links()[name]["disconnects"] == 1
        assert client.links()["link3"]["disconnects"] == 0
        assert ping(lab.client, SERVER_INNER_IPV4, count=5).received == 5


def test_an_interface_that_was_made_anew_is_bound_to_at_once() -> None:
    """As with a modem's interface: the new one has the old one's name and another number."""
    spec = TunnelSpec(general={"timeout": 60}, client_links={"link2": {"binddevice": "adsl2", "bindhost": None}})
    with Lab(LINES) as lab, running_tunnel(lab, spec) as tunnel:
        client, position = tunnel.client, len(tunnel.client.log())
        lab.client.ip("link add fresh type veth peer name other", "link set adsl2 down", "link set adsl2 name old")
        lab.client.ip("link set fresh name adsl2", "link set adsl2 up")
        watch = Stopwatch()
        client.wait_links("down", "link2")
        assert watch.own < LOST
        assert client.log()[position:].count("link2 interface ") == 1
        lab.client.ip("link set adsl2 name fresh", "link set old name adsl2", "link set adsl2 up")
        lab.line(2).client.add_addresses()
        watch = Stopwatch()
        client.wait_links("connected", "link2")
        assert watch.own < BACK


@pytest.mark.parametrize("what", ["carrier", "interface", "setting"])
def test_an_interface_by_another_of_its_names(what: str) -> None:
    """udev gives most devices another name. An operator takes whichever name he sees."""
    take, give, _, reasons = GONE[what]
    spec = TunnelSpec(general={"timeout": 60}, client_links={"link2": {"binddevice": "wan-two", "bindhost": None}})
    with Lab(LINES) as lab:
        lab.client.ip("link property add dev adsl2 altname wan-two")
        with running_tunnel(lab, spec) as tunnel:
            end, client = lab.line(2).client, tunnel.client
            watch = Stopwatch()
            take(end)
            client.wait_links("down", "link2")
            assert watch.own < LOST
            reason = client.links()["link2"]["reason"]
            assert reason in reasons or reason.startswith("bind error")
            watch = Stopwatch()
            give(end)
            client.wait_links("connected", "link2")
            assert watch.own < BACK
            assert client.links()["link2"]["disconnects"] == 1
            assert client.links()["link1"]["disconnects"] == 0


def test_a_name_that_moves_to_another_interface() -> None:
    spec = TunnelSpec(general={"timeout": 60}, client_links={"link2": {"binddevice": "wan-two", "bindhost": None}})
    with Lab(LINES) as lab:
        lab.client.ip("link property add dev adsl2 altname wan-two")
        with running_tunnel(lab, spec) as tunnel:
            lab.client.ip("link property del dev adsl2 altname wan-two", "link property add dev adsl3 altname wan-two")
            assert wait_until(lambda: tunnel.client.links()["link2"]["disconnects"] == 1, 2 * LOST)
            tunnel.client.wait_links("connected", "link2")
            assert tunnel.server.links()["link2"]["peer"].startswith(lab.line(3).client.ipv4)


def test_what_does_not_concern_a_link_does_not_disturb_it() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, SPEC) as tunnel:
        lab.server.ip(
            "link add spare type veth peer name other", "addr add 192.0.2.1/24 dev spare", "link set spare up"
        )
        lab.client.ip(
            "link add spare type veth peer name other", "addr add 192.0.2.2/24 dev spare", "link set spare up"
        )
        lab.client.ip("addr add 198.18.1.77/24 dev adsl1", "link add wanbridge type bridge", "link set wanbridge up")
        lab.client.ip(
            "link add port type veth peer name trop", "link set port master wanbridge", "link set port nomaster"
        )
        for host in (lab.server, lab.client):
            host.ip("link set spare down", "link del spare")
        lab.client.ip("addr del 198.18.1.77/24 dev adsl1", "link del port", "link del wanbridge")
        # Replaced within a moment, as by a restarted DHCP client.
        lab.client.ip("addr del 198.18.1.2/24 dev adsl1", "addr add 198.18.1.2/24 dev adsl1")
        lab.line(1).client.add_addresses()
        # The address of the server's links is on an interface that never has a carrier to lose.
        lab.server.ip("link set lo mtu 32768")
        time.sleep(0.5)
        assert ping(lab.client, SERVER_INNER_IPV4, count=20).received == 20
        for daemon in (tunnel.client, tunnel.server):
            assert all(link["disconnects"] == 0 for link in daemon.links().values())


def test_a_server_whose_address_goes_and_comes_back() -> None:
    bound: dict[str, Keys] = {"link1": {"bindhost": "198.19.0.2"}}
    with Lab(LINES) as lab:
        lab.server.ip("addr add 198.19.0.2/32 dev lo")
        tunnel = Tunnel(lab, TunnelSpec(general={"timeout": 60}, client_links={"link1": {"remotehost": "198.19.0.2"}}))
        tunnel.server.write_config(tunnel.config("server", links=bound))
        tunnel.start()
        watch = Stopwatch()
        lab.server.ip("addr del 198.19.0.2/32 dev lo")
        tunnel.server.wait_links("down", "link1")
        assert watch.own < LOST
        time.sleep(1)
        watch = Stopwatch()
        lab.server.ip("addr add 198.19.0.2/32 dev lo")
        tunnel.server.wait_links("connected", "link1")
        # A DISCONNECT answers the client's next KEEPALIVE, and the client asks again.
        assert watch.own < BACK + 1
        tunnel.wait_up()
        assert "link1 address gone\n" in tunnel.server.log()
        assert tunnel.server.links()["link2"]["disconnects"] == 0
        tunnel.stop()


def test_an_uplink_that_flaps() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, SPEC) as tunnel:
        client, end, position = tunnel.client, lab.line(1).client, len(tunnel.client.log())
        stream = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=4, rate=100)
        watch = Stopwatch()
        while watch.elapsed < 3:
            end.remove_addresses()
            time.sleep(0.04)
            end.add_addresses()
            time.sleep(0.04)
        passed = watch.elapsed
        client.wait_links("connected", "link1", timeout=5)
        # Four tries a second, and each writes at most one line. The link came up after some of them.
        said = [line for line in client.log()[position:].splitlines() if " link1 " in line]
        assert 2 < len(said) < 4 * passed * 3
        result = stream.wait()
        assert result.duplicates == 0
        # What was sent to the link while it was up is lost. More than half of the packets had the other links.
        assert result.received > 200
        assert client.links()["link2"]["disconnects"] == client.links()["link3"]["disconnects"] == 0


BURST = 5000
RATE = 100
"""Packets per second."""
GAP = 0.5
"""Seconds without a packet, at most, while the daemon reads the news."""


def add_thousands(lab: Lab) -> None:
    """Far more news than the kernel keeps for a process that does not read."""
    addresses = [f"10.77.{number // 250}.{number % 250}/32" for number in range(BURST)]
    lab.client.ip(
        "link add many type veth peer name others", *(f"addr add {address} dev many" for address in addresses)
    )


def test_a_burst_of_thousands_does_not_stop_the_tunnel() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, SPEC) as tunnel:
        stream = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=3, rate=RATE)
        add_thousands(lab)
        lab.client.ip("link del many")
        watch = Stopwatch()
        lab.line(1).client.remove_addresses()
        tunnel.client.wait_links("down", "link1")
        assert watch.own < LOST
        result = stream.wait()
        assert result.own_gap < GAP
        assert result.count - result.received < RATE * GAP  # packets given to the link that was lost
        for name in ("link2", "link3"):
            assert tunnel.client.links()[name]["disconnects"] == 0


def lost_news(lab: Lab) -> int:
    """The number of news that the kernel dropped, for all listeners on the client."""
    rows = [line.split() for line in lab.client.run("cat", "/proc/net/netlink").splitlines()]
    return sum(int(row[rows[0].index("Drops")]) for row in rows[1:])


def stopped(daemon: Daemon, what: Callable[[], None]) -> None:
    """Does something while the daemon does not run."""
    os.kill(daemon.child_pid, signal.SIGSTOP)
    what()
    os.kill(daemon.child_pid, signal.SIGCONT)


def test_what_was_missed_is_found() -> None:
    with Lab(LINES) as lab, running_tunnel(lab, SPEC) as tunnel:

        def lose() -> None:
            add_thousands(lab)
            assert lost_news(lab) > 0
            lab.line(1).client.remove_addresses()

        def give_back() -> None:
            lab.client.ip("link del many")
            add_thousands(lab)
            assert lost_news(lab) > 0
            lab.line(1).client.add_addresses()

        stopped(tunnel.client, lose)
        watch = Stopwatch()
        tunnel.client.wait_links("down", "link1")
        assert watch.own < LOST + 0.5  # the daemon asks for everything after a quarter of a second
        assert "link1 address gone\n" in tunnel.client.log()
        time.sleep(1)
        stopped(tunnel.client, give_back)
        assert wait_until(lambda: tunnel.client.links()["link1"]["status"] == "connected", BACK + 2)
        assert tunnel.client.links()["link2"]["disconnects"] == 0
