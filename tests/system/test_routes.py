"""The routes of `configure_interface = 1` as a service: over restarts and crashes, by the helper in its sandbox."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from tests.support.lab import Host, LabError, wait_until
from tests.support.linkemu import PROJECT
from tests.support.noise import Stopwatch
from tests.support.services import INSTANCE, ROUTED, Keys, Service, ServiceTunnel

OUTSIDE = "203.0.113.9"
EXAMPLES = PROJECT / "examples" / "network" / "systemd-networkd"
NETWORKD = "systemd-networkd.service"
HELPER = f"mlvpn-helper@{INSTANCE}.service"
TIMEOUT = 2


def _way(host: Host) -> str:
    """The device by which the host reaches the internet; empty: it refuses to."""
    try:
        words = host.run("ip", "route", "get", OUTSIDE).split()
    except LabError:
        return ""
    return words[words.index("dev") + 1]


@contextlib.contextmanager
def _always(holds: Callable[[], bool]) -> Iterator[None]:
    """Looks all the time whether something holds; it must at each look."""
    looks: list[bool] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            looks.append(holds())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert looks
    assert all(looks), f"{looks.count(False)} of {len(looks)} looks"


def _begin(tunnel: ServiceTunnel, **keys: object) -> tuple[Service, Host]:
    """Starts the client with a default route; returns when it is in."""
    general: Keys = {"ip4_routes": f"{ROUTED} 0.0.0.0/0", "timeout": TIMEOUT, **keys}
    client = tunnel.client
    client.ctl("stop")
    client.configure(tunnel.config("client", general))
    client.ctl("start")
    tunnel.wait_up()
    assert wait_until(lambda: _way(client.node.host) == INSTANCE, 3)
    return client, client.node.host


def _restart_in_any_way(tunnel: ServiceTunnel, client: Service) -> None:
    client.ctl("restart")
    tunnel.wait_up()
    pid = client.pid
    client.signal("KILL")
    assert wait_until(lambda: client.pid not in (0, pid), 5)
    tunnel.wait_up()


def test_default_routes_stay_over_restarts_and_go_with_the_last_link(tunnel: ServiceTunnel) -> None:
    client, host = _begin(tunnel)
    with _always(lambda: _way(host) == INSTANCE):
        _restart_in_any_way(tunnel, client)
    tunnel.server.ctl("stop")
    assert wait_until(lambda: _way(host).startswith("adsl"), TIMEOUT + 4)
    client.ctl("restart")
    assert _way(host).startswith("adsl")
    tunnel.server.ctl("start")
    tunnel.wait_up()
    assert wait_until(lambda: _way(host) == INSTANCE, 3)
    client.ctl("stop")
    assert _way(host).startswith("adsl")


def test_a_kill_switch_holds_until_a_stop(tunnel: ServiceTunnel) -> None:
    client, host = _begin(tunnel, kill_switch=1)
    with _always(lambda: _way(host) == INSTANCE):
        _restart_in_any_way(tunnel, client)
    with _always(lambda: _way(host) in (INSTANCE, "")):
        tunnel.server.ctl("stop")
        assert wait_until(lambda: _way(host) == "", TIMEOUT + 4)
        pid = client.pid
        client.signal("KILL")
        assert wait_until(lambda: client.pid not in (0, pid), 5)
        client.ctl("restart")
    client.ctl("stop")
    assert _way(host).startswith("adsl")
    assert "proto 109" not in host.run("ip", "rule")


def test_what_others_take_is_put_back_by_a_helper_that_must_be_started(tunnel: ServiceTunnel) -> None:
    client, host = _begin(tunnel)
    before, since = client.interface(), time.time()
    for command in ("link set mlvpn0 down", "addr flush dev mlvpn0", "link set mlvpn0 mtu 1300"):
        client.node.run("systemctl", "stop", HELPER)
        host.ip(command)
        taken = Stopwatch()
        assert wait_until(lambda: _way(host) == INSTANCE and client.interface()["mtu"] == before["mtu"], 5), command
        assert taken.own < 1, command
        assert client.interface()["routes"] == before["routes"]
    taken_away: list[str] = []

    def told() -> bool:
        """The line follows what was done."""
        entries = client.entries("MLVPN_EVENT=interface-changed", since=since)
        taken_away[:] = [entry["MLVPN_TAKEN"] for entry in entries]
        return len(taken_away) >= 3

    assert wait_until(told, 3), taken_away
    assert ["link up" in text for text in taken_away] == [True, False, False]
    assert taken_away[-1] == "mtu 1428"
    assert tunnel.ping() == 3


def test_a_stop_leaves_nothing_on_an_interface_that_stays(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    client.ctl("stop")
    host = client.node.host
    host.ip(f"tuntap add dev {INSTANCE} mode tun")
    try:
        _begin(tunnel)
        client.ctl("stop")
        assert "10.42." not in host.run("ip", "addr", "show", "dev", INSTANCE)
        assert host.run("ip", "route", "show", "dev", INSTANCE) == ""
    finally:
        host.ip(f"tuntap del dev {INSTANCE} mode tun")


def test_the_examples_tell_networkd_to_leave_it_alone(tunnel: ServiceTunnel) -> None:
    """Without them it manages the interface by the host's own file, and removes all rules that it has not made."""
    client, host = _begin(tunnel, kill_switch=1)
    node = client.node
    before, rules, since = client.interface(), host.run("ip", "rule"), time.time()
    node.write("/etc/systemd/network/50-all.network", "[Match]\nName=mlvpn*\n[Network]\nKeepConfiguration=yes\n")
    for name, directory in (("05-mlvpn.network", "network"), ("mlvpn.conf", "networkd.conf.d")):
        node.write(f"/etc/systemd/{directory}/{name}", (EXAMPLES / name).read_text())
    try:
        node.run("systemctl", "start", NETWORKD)
        with _always(lambda: _way(host) == INSTANCE):
            time.sleep(3)
        (state,) = (line for line in node.run("networkctl", "list").splitlines() if INSTANCE in line)
        assert "unmanaged" in state
        assert (client.interface(), host.run("ip", "rule")) == (before, rules)
        assert client.entries("MLVPN_EVENT=interface-changed", since=since) == []
    finally:
        node.run("systemctl", "stop", "systemd-networkd.socket", NETWORKD)
        node.run("sh", "-c", "rm -rf /etc/systemd/network/*.network /etc/systemd/networkd.conf.d")
