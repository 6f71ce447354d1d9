"""How faults of operators' hosts are made in a lab. The rows are in `test_host_faults.py`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.daemons import Daemon
from tests.support.lab import SERVER_IPV4, Lab, wait_until
from tests.support.own_files import OwnFiles
from tests.support.traffic import UdpStream
from tests.support.tunnels import SERVER_INNER_IPV4, Tunnel, TunnelSpec

COMMAND = (sys.executable, "-m", "mlvpnd.cli.mlvpnctl", "--no-pager", "--json=short", "doctor")
OF_THE_MACHINE = {"user", "clock", "service"}
"""Checks of the machine that runs the tests, and whether the tunnel of the test runs."""
NAME = "vpn.example"
STREAM = 60
"""Seconds of traffic: it must last until doctor has looked. The end of the lab ends it."""
Finding = Mapping[str, object]


class Scene:
    """A lab with a tunnel, and the two ends as an operator has them."""

    def __init__(self, lab: Lab, spec: TunnelSpec) -> None:
        self.lab = lab
        self.tunnel = Tunnel(lab, spec)
        self.client = OwnFiles(lab.client)
        self.server = OwnFiles(lab.server)
        self.cleanup = contextlib.ExitStack()

    def daemon(self, end: str) -> Daemon:
        return self.tunnel.server if end == "server" else self.tunnel.client

    def files(self, end: str) -> OwnFiles:
        return self.server if end == "server" else self.client

    def examine(self, end: str) -> list[Finding]:
        """The findings at an end that are not `ok`."""
        found: list[Finding] = json.loads(self.files(end).run(*COMMAND, str(self.daemon(end).config_path)))
        return [one for one in found if one["Severity"] != "ok"]

    def hosts(self, address: str) -> None:
        """The address of the peer's name for the client's daemon."""
        self.lab.client.write_hosts({NAME: address})

    def end(self) -> None:
        self.cleanup.close()
        self.tunnel.kill()


@dataclass(frozen=True, slots=True)
class Fault:
    """A row: a fault, how it is made, and what doctor says."""

    name: str
    make: Callable[[Scene], None]
    check: str
    text: str
    """A part of the finding's text."""
    end: str = "client"
    links: tuple[str, ...] = ("",)
    """A finding for each."""
    mends: bool = False
    """Whether the commands of the finding, typed as they are, remove it."""
    spec: TunnelSpec = field(default_factory=TunnelSpec)
    known: Mapping[str, str] = field(default_factory=dict)
    """What an operator puts into the place of words in capitals."""
    looks: int = 1
    """How often doctor may be asked until it has the finding: what it looks at may swing."""
    beside: frozenset[str] = frozenset()
    """Checks of findings that have a cause of their own."""


# How faults are made.


def typed(*commands: str, end: str = "client", start: bool = False) -> Callable[[Scene], None]:
    """Commands that make the fault; `start`: before them, the tunnel comes up."""

    def make(scene: Scene) -> None:
        if start:
            started(scene)
        for command in commands:
            scene.files(end).type(command.format(file=scene.daemon(end).config_path, directory=scene.lab.directory))

    return make


def started(scene: Scene) -> None:
    """The tunnel is up, and has measured."""
    scene.tunnel.start()
    for daemon in (scene.tunnel.client, scene.tunnel.server):
        assert wait_until(lambda: all(link["srtt_ms"] for link in daemon.links().values()), 10)  # noqa: B023 - called here


def server_listens(scene: Scene) -> None:
    scene.tunnel.server.start()
    scene.tunnel.server.wait_for_log("link2 bind to")


def nothing(scene: Scene) -> None:
    """The configuration itself is the fault."""


def carrier_lost(scene: Scene) -> None:
    scene.lab.line(2).client.set_carrier(up=False)


def line_dead(scene: Scene) -> None:
    scene.lab.line(2).set(up=False)
    scene.lab.client.ip("neigh flush dev adsl2")
    server_listens(scene)


def address_gone(scene: Scene) -> None:
    scene.lab.client.ip("addr del 198.18.1.2/24 dev adsl1")


def refused_on_the_way(scene: Scene) -> None:
    server_listens(scene)
    for command in chain("input", "accept"):
        scene.server.type(command.format())
    scene.server.type(
        "nft add rule inet filter input ip saddr 198.18.1.2 udp dport 5080 reject with icmp host-unreachable"
    )


def bridged(scene: Scene) -> None:
    scene.lab.client.ip(
        "link add lan0 type veth peer name lan1",
        "link set lan0 up",
        "link set lan1 up",
        "link add br0 type bridge",
        "link set lan0 master br0",
    )
    started(scene)
    scene.lab.client.ip("link set mlvpn0 master br0", "link set br0 up")


def silent_name_server(scene: Scene) -> None:
    server = scene.cleanup.enter_context(scene.lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind(("127.0.0.1", 53))
    scene.client.type("echo nameserver 127.0.0.1 >/etc/resolv.conf")


def renamed(scene: Scene) -> None:
    scene.hosts(SERVER_IPV4)
    started(scene)
    scene.client.type(f"echo 198.19.0.9 {NAME} >>/etc/hosts")


def name_inside(scene: Scene) -> None:
    """The one name server is behind the tunnel. It knows one name."""
    scene.hosts(SERVER_IPV4)
    started(scene)
    server = scene.cleanup.enter_context(scene.lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind((SERVER_INNER_IPV4, 53))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                query, sender = server.recvfrom(512)
                question = query[12 : query.index(b"\0", 12) + 5]
                known = question[-3:-2] == b"\x01"  # type A, not AAAA
                record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton(SERVER_IPV4)
                head = query[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if known else b"\0\0") + b"\0\0\0\0"
                server.sendto(head + question + (record if known else b""), sender)

    threading.Thread(target=answer, daemon=True).start()
    scene.client.type(f"echo nameserver {SERVER_INNER_IPV4} >/etc/resolv.conf")


def port_taken(scene: Scene) -> None:
    other = scene.cleanup.enter_context(scene.lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM))
    other.bind((SERVER_IPV4, 5081))


def runs_unseen(scene: Scene) -> None:
    server_listens(scene)
    scene.tunnel.server.write_config(scene.tunnel.config("server", general={"control_unix_path": None}))


def default_route_before(scene: Scene) -> None:
    scene.lab.client.ip("route add default via 198.18.1.1 dev adsl1")
    started(scene)


def for_others(scene: Scene, address: str, *, ipv6: bool) -> None:
    """The client sends packets for another host into the tunnel."""
    started(scene)
    scene.lab.server.ip("route add default dev wan1", ipv6=ipv6)
    scene.lab.client.ip(f"route add {address} dev mlvpn0", ipv6=ipv6)
    scene.lab.client.run("ping", "-c", "3", "-i", "0.2", "-W", "1", address, check=False)


def shut_out(scene: Scene) -> None:
    scene.tunnel.server.start()
    scene.tunnel.client.start()
    scene.tunnel.server.wait_links("down")
    scene.tunnel.client.wait_links("waiting peer")
    links = scene.tunnel.server.links
    assert wait_until(lambda: all(link["drops"].get("not_authentic") for link in links().values()), 15)


def lossy(scene: Scene) -> None:
    started(scene)
    scene.lab.line(2).set(loss=0.3)
    UdpStream(scene.lab.server, scene.lab.client, "10.42.0.2", seconds=STREAM, rate=500)
    assert wait_until(lambda: scene.tunnel.client.links()["link2"]["loss"] >= 10, 15)


def crowded(scene: Scene) -> None:
    """More than the line can send waits in it."""
    started(scene)
    scene.lab.line(1).set(rate=1, queue=1000)
    UdpStream(scene.lab.client, scene.lab.server, SERVER_INNER_IPV4, seconds=STREAM, rate=1000, size=1200)
    link = scene.tunnel.client.links
    assert wait_until(lambda: link()["link1"]["srtt_ms"] > 2 * link()["link1"]["min_rtt_ms"] + 200, 15)


def slow_host(scene: Scene) -> None:
    """The daemon stands still, and its socket's buffer runs over."""
    started(scene)
    child = scene.tunnel.server.child_pid
    os.kill(child, signal.SIGSTOP)
    try:
        with scene.lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(30000):
                sender.sendto(bytes(400), (SERVER_IPV4, 5080))
    finally:
        os.kill(child, signal.SIGCONT)
    scene.tunnel.wait_up()


def connections_full(scene: Scene) -> None:
    count = "/proc/sys/net/netfilter/nf_conntrack_count"
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    scene.client.type(f"echo {most} >{scene.lab.directory}/count && mount --bind {scene.lab.directory}/count {count}")


def chain(hook: str, policy: str, table: str = "inet filter", name: str = "") -> tuple[str, str]:
    """Commands that make a chain; their braces are doubled for `typed`."""
    rule = f"{{{{ type filter hook {hook} priority 0; policy {policy}; }}}}"
    return f"nft add table {table}", f"nft add chain {table} {name or hook} '{rule}'"
