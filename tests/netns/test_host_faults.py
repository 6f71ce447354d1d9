"""Faults of operators' hosts, each made in a namespace: what `mlvpnctl doctor` finds, and whether its commands mend it.

docs/doctor.md has a row for each fault here; `tests/unit/test_doctor_table.py` compares them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.daemons import Daemon
from tests.support.lab import SERVER_IPV4, Lab, Line, wait_until
from tests.support.own_files import OwnFiles
from tests.support.traffic import UdpStream, ping
from tests.support.tunnels import SERVER_INNER_IPV4, SERVER_INNER_IPV6, Tunnel, TunnelSpec

pytestmark = pytest.mark.netns

COMMAND = (sys.executable, "-m", "mlvpnd.cli.mlvpnctl", "--no-pager", "--json=short", "doctor")
OF_THE_MACHINE = {"user", "clock", "service"}
"""Checks of the machine that runs the tests, and whether the tunnel of the test runs."""
NAME = "vpn.example"
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
    stream = UdpStream(scene.lab.server, scene.lab.client, "10.42.0.2", seconds=6, rate=500)
    assert wait_until(lambda: scene.tunnel.client.links()["link2"]["loss"] >= 10, 15)
    scene.cleanup.callback(stream.wait)


def crowded(scene: Scene) -> None:
    """More than the line can send waits in it."""
    started(scene)
    scene.lab.line(1).set(rate=2, queue=400)
    stream = UdpStream(scene.lab.client, scene.lab.server, SERVER_INNER_IPV4, seconds=6, rate=1000, size=1200)
    scene.cleanup.callback(stream.wait)
    link = scene.tunnel.client.links
    assert wait_until(lambda: link()["link1"]["srtt_ms"] > 2 * link()["link1"]["min_rtt_ms"] + 100, 15)


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


# What the rows need.

BOUND = {f"link{number}": {"binddevice": f"adsl{number}", "bindhost": None} for number in (1, 2)}
NAMED = {f"link{number}": {"remotehost": NAME} for number in (1, 2)}
ALL4, ALL6 = "0.0.0.0/1 128.0.0.0/1", "::/1 8000::/1"


def chain(hook: str, policy: str, table: str = "inet filter", name: str = "") -> tuple[str, str]:
    """Commands that make a chain; their braces are doubled for `typed`."""
    rule = f"{{{{ type filter hook {hook} priority 0; policy {policy}; }}}}"
    return f"nft add table {table}", f"nft add chain {table} {name or hook} '{rule}'"


FAULTS = (
    Fault("tun device", typed("rm /dev/net/tun"), "tun-device", "without it no tunnel has an interface", mends=True),
    Fault("user", nothing, "user", "there is no user mlvpn", mends=True),
    Fault("connections", connections_full, "conntrack", "table of connections is full"),
    Fault("file mode", typed("chmod 644 {file}"), "config", "others have access to it (mode 0644)", mends=True),
    Fault("file owner", typed("chown 12345 {file}"), "config", "it belongs to user 12345", mends=True),
    Fault("file missing", typed("rm {file}"), "config", "does not exist"),
    Fault("file error", typed("sed -i s/client/clinet/ {file}"), "config", "mode"),
    Fault(
        "script mode",
        typed("chmod 757 {directory}/client.status"),
        "status-command",
        "the status command would not be run",
        mends=True,
        spec=TunnelSpec(scripted=True),
    ),
    Fault(
        "nobody configures",
        nothing,
        "status-command",
        "nobody configures the interface",
        spec=TunnelSpec(general={"configure_interface": 0}),
    ),
    Fault(
        "interface missing",
        nothing,
        "interface",
        "there is no interface wwan0",
        links=("link1",),
        spec=TunnelSpec(client_links={"link1": {"binddevice": "wwan0"}}),
    ),
    Fault(
        "interface down",
        typed("ip link set adsl2 down"),
        "interface",
        "adsl2 is switched off",
        links=("link2",),
        mends=True,
    ),
    Fault("no carrier", carrier_lost, "interface", "adsl2 has no carrier", links=("link2",)),
    Fault(
        "address gone",
        address_gone,
        "address",
        "no interface of this host has its bindhost 198.18.1.2",
        links=("link1",),
        mends=True,
        spec=TunnelSpec(client_links={"link1": {"binddevice": "adsl1"}}),
    ),
    Fault(
        "device without a route",
        typed(
            *(f"ip rule del from 198.18.{n}.0/24" for n in (1, 2)),
            *(f"ip route flush table {100 + n}" for n in (1, 2)),
            *(f"ip route del default dev adsl{n}" for n in (1, 2)),
        ),
        "route",
        f"there is no route to the peer {SERVER_IPV4}",
        links=("link1", "link2"),
        mends=True,
        spec=TunnelSpec(client_links=BOUND),
        known={f"GATEWAY dev adsl{n}": f"198.18.{n}.1 dev adsl{n}" for n in (1, 2)},
    ),
    Fault(
        "lines without tables",
        typed(
            *(f"ip rule del from 198.18.{n}.0/24" for n in (1, 2)),
            *(f"ip route flush table {100 + n}" for n in (1, 2)),
        ),
        "route",
        "leave by adsl1 and not by adsl2",
        links=("link2",),
        mends=True,
    ),
    Fault(
        "into the tunnel",
        typed(f"ip route add {SERVER_IPV4} dev mlvpn0 table 101", start=True),
        "route",
        "into the tunnel's own interface mlvpn0",
        links=("link1",),
        mends=True,
    ),
    Fault(
        "strict rp_filter",
        typed("ip rule del from 198.18.2.0/24", "sysctl -w net.ipv4.conf.adsl2.rp_filter=1"),
        "rp-filter",
        "rp_filter is strict",
        links=("link2",),
        mends=True,
        spec=TunnelSpec(client_links=BOUND),
    ),
    Fault("line's MTU", typed("ip link set adsl2 mtu 1492"), "mtu", "'mtu = 1420'", links=("link2",)),
    Fault(
        "bridge's MTU",
        bridged,
        "bridge-mtu",
        "takes 1500 bytes",
        spec=TunnelSpec(general={"tuntap": "tap"}),
    ),
    Fault(
        "look-up hangs",
        silent_name_server,
        "look-up",
        f"link1 and link2: {NAME} cannot be looked up: not finished within 3 s",
        spec=TunnelSpec(client_links=NAMED),
    ),
    Fault(
        "look-up fails",
        nothing,
        "look-up",
        f"link1 and link2: {NAME} cannot be looked up",
        spec=TunnelSpec(client_links=NAMED),
    ),
    Fault(
        "stale address",
        renamed,
        "stale-remote",
        f"the link goes to {SERVER_IPV4}, but {NAME} is 198.19.0.9 now",
        links=("link2",),
        spec=TunnelSpec(client_links={"link2": {"remotehost": NAME}}),
    ),
    Fault("port taken", port_taken, "port", "UDP port 5081 is taken by", end="server", links=("link2",)),
    Fault("runs already", runs_unseen, "port", "UDP ports 5080, 5081 are taken by mlvpn", end="server"),
    Fault(
        "firewall of the server",
        typed(*chain("input", "drop"), "nft add rule inet filter input tcp dport 22 accept", end="server"),
        "firewall",
        "no rule in it accepts UDP port 5080, 5081",
        end="server",
        mends=True,
    ),
    Fault(
        "firewall of the client",
        typed(*chain("input", "drop"), "nft add rule inet filter input iifname lo accept"),
        "firewall",
        "no rule in it accepts the peer's answers",
        mends=True,
        beside=frozenset({"peer"}),  # the server does not run
    ),
    Fault(
        "firewall's rule",
        typed(*chain("input", "accept"), "nft add rule inet filter input udp dport 5081 drop", end="server"),
        "firewall",
        "drops UDP port 5081",
        end="server",
        links=("link2",),
        mends=True,
    ),
    Fault(
        "firewall rejects the rest",
        typed(
            *chain("input", "accept"),
            "nft add rule inet filter input tcp dport 22 accept",
            "nft add rule inet filter input reject",
            end="server",
        ),
        "firewall",
        "no rule in it accepts UDP port 5080, 5081",
        end="server",
        mends=True,
    ),
    Fault(
        "firewall of outgoing packets",
        typed(*chain("output", "accept"), "nft add rule inet filter output udp dport 5080-5081 drop"),
        "peer",
        "link1 and link2: a firewall refuses packets",
    ),
    Fault(
        "no forwarding",
        lambda scene: for_others(scene, "203.0.113.9", ipv6=False),
        "forwarding",
        "forwarding of IPv4 is off, and",
        end="server",
        mends=True,
    ),
    Fault(
        "no forwarding of IPv6",
        lambda scene: for_others(scene, "2001:db8:abc::9", ipv6=True),
        "forwarding",
        "forwarding of IPv6 is off, and",
        end="server",
        mends=True,
    ),
    Fault(
        "no NAT",
        typed("sysctl -w net.ipv4.ip_forward=1", "ip route add default dev wan1", end="server", start=True),
        "nat",
        "private addresses 10.42.0.0/24",
        end="server",
        mends=True,
    ),
    Fault(
        "forward chain",
        typed(
            "sysctl -w net.ipv4.ip_forward=1",
            *chain("forward", "drop", "ip filter", "FORWARD"),
            "nft add rule ip filter FORWARD iifname docker0 accept",
            end="server",
            start=True,
        ),
        "forward-chain",
        "no rule in it lets through what comes out of mlvpn0",
        end="server",
        mends=True,
    ),
    Fault(
        "segments",
        typed(*chain("forward", "drop"), "nft add rule inet filter forward tcp dport 80 accept", start=True),
        "mss",
        "mss_clamp is off",
        spec=TunnelSpec(client={"mss_clamp": "off"}),
    ),
    Fault(
        "default route refused",
        default_route_before,
        "inner-route",
        "the default route through mlvpn0 was not taken by the kernel: one by adsl1 via 198.18.1.1 with metric 0",
        mends=True,
        spec=TunnelSpec(client={"ip4_routes": "0.0.0.0/0"}),
    ),
    Fault(
        "IPv6 round the tunnel",
        started,
        "ipv6-leak",
        "IPv6 goes round it by adsl1",
        mends=True,
        spec=TunnelSpec(client={"ip4_routes": ALL4}),
    ),
    Fault(
        "DNS round the tunnel",
        typed("echo nameserver 198.18.1.1 >/etc/resolv.conf", start=True),
        "dns",
        "the name server 198.18.1.1 is asked by adsl1",
        spec=TunnelSpec(client={"ip4_routes": ALL4, "ip6_routes": ALL6}),
    ),
    Fault(
        "name inside the tunnel",
        name_inside,
        "dns-loop",
        f"link1 and link2: {NAME} can be looked up only through the tunnel",
        mends=True,
        spec=TunnelSpec(client={"ip4_routes": ALL4, "ip6_routes": ALL6}, client_links=NAMED),
    ),
    Fault(
        "another password",
        shut_out,
        "password",
        "the client has another password",
        end="server",
        spec=TunnelSpec(client={"password": "another"}),
    ),
    Fault(
        "another password, at the client",
        shut_out,
        "peer",
        "link1 and link2: the link is waiting; no packet comes back",
        spec=TunnelSpec(client={"password": "another"}),
    ),
    Fault(
        "one line for two links",
        nothing,
        "shared-uplink",
        "link1 and link2 leave by the same uplink, adsl1 via 198.18.1.1",
        spec=TunnelSpec(client_links={"link2": {"bindhost": "198.18.1.2"}}),
        beside=frozenset({"peer"}),  # the server does not run
    ),
    Fault("dead line", line_dead, "peer", "the router 198.18.2.1 on adsl2 does not answer", links=("link2",)),
    Fault("server off", nothing, "peer", "nothing listens at its ports 5080, 5081"),
    Fault("way refused", refused_on_the_way, "peer", f"the way to the peer {SERVER_IPV4} ends", links=("link1",)),
    Fault("loss", lossy, "peer", "the link loses", links=("link2",)),
    Fault(
        "bandwidth of the interface",
        nothing,
        "bandwidth",
        "This is the speed of the interface adsl1",
        links=("link1",),
        spec=TunnelSpec(client_links={"link1": {"bandwidth_upload": 1_250_000_000}}),
        beside=frozenset({"peer"}),  # the server does not run
    ),
    Fault("bandwidth above the line's", crowded, "bandwidth", "its packets wait in the line", links=("link1",)),
    Fault("slow host", slow_host, "receive-buffer", "mlvpnd did not read them in time", end="server"),
    Fault(
        "reorder buffer",
        started,
        "reorder",
        "reorder_buffer_size = 8 is enough up to",
        spec=TunnelSpec(general={"reorder_buffer_size": 8}),
    ),
    Fault(
        "network of the LAN",
        typed("ip addr add 10.42.0.77/24 dev adsl2", start=True),
        "inner-address",
        "overlaps with 10.42.0.0/24 of adsl2",
    ),
    Fault(
        "interface in use",
        typed("ip link add mlvpn0 type veth peer name other", "ip link set mlvpn0 up", "ip link set other up"),
        "tunnel-interface",
        "in use by something other",
        beside=frozenset({"peer"}),  # the server does not run
    ),
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=20, delay=5), Line(rate=20, delay=30)]) as one:
        yield one


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault, lab: Lab) -> None:
    scene = Scene(lab, fault.spec)
    try:
        fault.make(scene)
        findings = scene.examine(fault.end)
        told = {(str(one["Check"]), str(one["Link"])) for one in findings}
        wanted = {(fault.check, link) for link in fault.links}
        assert wanted <= told, findings
        # One cause, one finding.
        others = {check for check, _ in told - wanted} - OF_THE_MACHINE - fault.beside
        # An end that does not run has a peer that does not answer.
        assert not others - ({"peer"} if not scene.tunnel.server.running else set()), findings
        ours = [one for one in findings if (one["Check"], one["Link"]) in wanted]
        assert len(ours) == len(wanted)
        assert all(fault.text in str(one["Text"]) for one in ours), ours
        if fault.mends:
            for command in commands_of(ours, fault.known):
                scene.files(fault.end).type(command)
            left = scene.examine(fault.end)
            assert not wanted & {(one["Check"], one["Link"]) for one in left}, left
    finally:
        scene.end()


def commands_of(findings: list[Finding], known: Mapping[str, str]) -> Iterator[str]:
    """The commands of findings, with what an operator knows."""
    for one in findings:
        commands = one["Commands"]
        assert isinstance(commands, list)
        assert commands, one
        for command in map(str, commands):
            for word, value in known.items():
                command = command.replace(word, value)
            yield command


def test_a_look_up_that_hangs_delays_nothing(lab: Lab) -> None:
    """Findings come at once, and the program ends within its limit, though the resolver waits for a minute."""
    scene = Scene(lab, TunnelSpec(client_links=NAMED))
    try:
        silent_name_server(scene)
        words = [word for word in COMMAND if word != "--json=short"]
        began = time.monotonic()
        process = lab.client.start(
            *scene.client.enter, *words, str(scene.tunnel.client.config_path), stdout=-1, stderr=-1
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        at_first = time.monotonic() - began
        rest = process.stdout.read().decode()
        process.wait()
        whole = time.monotonic() - began
    finally:
        scene.end()
    assert first == b"this host\n"
    assert at_first < 3
    assert "not finished within 3 s" in rest
    assert whole - at_first < 6
    assert "packets to" not in rest  # nothing is known of the way


def test_doctor_on_a_healthy_client_gives_no_advice(lab: Lab) -> None:
    """Also not the server's: that nobody has called is nothing that a client waits for."""
    scene = Scene(lab, TunnelSpec())
    try:
        started(scene)
        assert ping(lab.client, SERVER_INNER_IPV6, count=1).received == 1
        for end in ("client", "server"):
            assert [one for one in scene.examine(end) if one["Check"] not in OF_THE_MACHINE] == []
    finally:
        scene.end()
