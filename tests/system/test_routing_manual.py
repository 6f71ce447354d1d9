"""The example of mlvpn-routing(7) works as it stands, and after a reboot. Its files are written, its commands typed.

home 192.168.0.x -- eth0 [client] eth1, eth2 == lines == wan1, wan2 [server] eth0 203.0.113.1 -- internet
                                                              site 192.168.9.10 -- eth1

The server's node also stands for the routers of the lines.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSRR
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.support.lab import Host, Lab, Line, wait_until
from tests.support.manual import source
from tests.support.nodes import Node, Nodes
from tests.support.rootfs import PYTHONS, SYSTEM, root_of
from tests.support.traffic import TcpTransfer, ping

PAGE = source("mlvpn-routing.7")
LINES = (Line(rate=20, delay=10), Line(rate=10, delay=15))
SERVER, WEB, RESOLVER = "203.0.113.1", "198.51.100.1", "203.0.113.53"
WEB6 = "2001:db8:99::53"
SITE = "192.168.9.10"
LAN6 = "2001:db8:77:1:"
NAME, ADDRESS = "www.example.org", "198.51.100.7"
UP_LIMIT = 30.0
SIZE = 1_000_000
"""Bytes of a transfer out of the client's LAN."""
ETH_P_IP = 0x0800
_numbers = itertools.count(1)

# The other ends of the client's lines: each gives the client an address, itself as its router, and a useless resolver.
_ROUTER = """\
[Match]
Name=wan{number}
[Network]
Address=192.168.{number}.1/24
DHCPServer=yes
[DHCPServer]
DNS=192.168.{number}.1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A piece of the example: a file, or commands if it has no path."""

    host: str
    instead: bool
    path: str
    mode: int
    text: str


def entries() -> list[Entry]:
    """The example in the order of the page."""
    head = (
        r"^On (?:the|a) \*(\w+)\*( \(instead\))?(?: of that LAN)?, (?:_(\S+)_(?:, mode (\d+))?|type):\n\n```\n(.*?)^```"
    )
    found = re.findall(head, PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == PAGE.count("```") // 2 - 1, "each block but the drawing is a part of the example"
    return [
        Entry(host, bool(instead), path, int(mode or "644", 8), text.replace("\\\\", "\\"))
        for host, instead, path, mode, text in found
    ]


def fixed(entry: Entry) -> list[Entry]:
    """The piece for lines with fixed addresses, of which the page has the first, and says what the second has."""
    if entry.instead:
        second = entry.text.replace("192.168.1", "192.168.2").replace("eth1", "eth2")
        second = second.replace("101", "102")
        return [replace(entry, instead=False), Entry(entry.host, False, entry.path.replace("1.", "2."), 0o644, second)]
    if entry.path.endswith(("eth1.network", "eth2.network")):
        return []
    text = re.sub(r'binddevice = "eth(\d)"', r'bindhost = "192.168.\1.2"', entry.text)
    return [replace(entry, text=text)]


def example(lines: str) -> list[Entry]:
    if lines == "fixed":
        return [one for entry in entries() for one in fixed(entry)]
    return [entry for entry in entries() if not entry.instead]


class World:
    """The example's hosts, as the operator has found them."""

    def __init__(self, lab: Lab, nodes: Nodes, internet: Host, home: Host, site: Host) -> None:
        self.lab, self.nodes = lab, nodes
        self.internet, self.home, self.site = internet, home, site

    def follow(self, pieces: list[Entry]) -> None:
        """Writes the files and types the commands, in the order of the page but the server's first, as it has it."""
        for entry in pieces:
            if entry.host == "host":
                for command in entry.text.splitlines():
                    self.site.run(*command.split())
                continue
            node = {"client": self.nodes.client, "server": self.nodes.server}[entry.host]
            if entry.path:
                node.write(entry.path, _for_routers_too(entry), mode=entry.mode)
                continue
            for command in entry.text.splitlines():
                self._type(node, command)

    def _type(self, node: Node, command: str) -> None:
        if command.startswith("mlvpnctl links"):  # the reader's eyes
            assert wait_until(lambda: self.up(node), UP_LIMIT), node.run("journalctl", "--no-pager", "-n", "60")
        done = node.attempt("sh", "-c", command, timeout=60)
        journal = node.run("journalctl", "--no-pager", "-n", "30") if done.returncode else ""
        assert done.returncode == 0, f"{node.name}: {command}: {done.stdout}{done.stderr}{journal}"

    def up(self, node: Node) -> bool:
        """Whether both links are up."""
        return node.run("mlvpnctl", "--no-legend", "links", "home", check=False).count(" up ") == 2

    def lease(self) -> tuple[str, str, str]:
        """The address, the router and the name server that a host of the LAN gets by DHCP."""
        with self.home.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("eth0", ETH_P_IP))
            sock.settimeout(3)
            offered, offer = self._ask_dhcp(sock, [("message-type", "discover")])
            wanted = [("requested_addr", offered), ("server_id", offer["server_id"])]
            address, given = self._ask_dhcp(sock, [("message-type", "request"), *wanted])
            return address, given["router"], given["name_server"]

    def _ask_dhcp(self, sock: socket.socket, options: list[tuple[str, str]]) -> tuple[str, dict[str, str]]:
        """Sends one message; returns the address and the options of the answer."""
        mac = sock.getsockname()[4]
        ask = Ether(dst="ff:ff:ff:ff:ff:ff", src=mac) / IP(src="0.0.0.0", dst="255.255.255.255")
        ask /= UDP(sport=68, dport=67) / BOOTP(chaddr=mac, xid=next(_numbers), flags=0x8000)
        sock.send(bytes(ask / DHCP(options=[*options, ("param_req_list", [3, 6]), "end"])))
        while True:
            answer = Ether(sock.recv(2000))
            if DHCP in answer and answer[BOOTP].op == 2:
                given = {option[0]: option[1] for option in answer[DHCP].options if isinstance(option, tuple)}
                return answer[BOOTP].yiaddr, given

    def check(self) -> None:
        """What the page promises."""
        nodes, home, internet = self.nodes, self.home, self.internet
        assert wait_until(lambda: all(map(self.up, nodes)), UP_LIMIT), [node.run("mlvpnctl", "links") for node in nodes]
        # The LAN gets its addresses, and the internet, with the server's IPv4 address and its own IPv6 address.
        address, router, resolver = self.lease()
        assert (router, resolver) == ("192.168.0.1", RESOLVER)
        home.ip("addr flush dev eth0 scope global permanent", f"addr add {address}/24 dev eth0")
        home.ip(f"route replace default via {router}")
        assert wait_until(lambda: LAN6 in home.run("ip", "-6", "-o", "addr", "show", "dev", "eth0"), UP_LIMIT)
        assert ping(home, WEB, count=2).received == 2
        assert wait_until(lambda: ping(home, WEB6, count=2).received == 2, 10)
        assert TcpTransfer(home, internet, WEB, size=SIZE).wait().verified
        # So has the client itself, and names.
        assert ping(nodes.client.host, WEB, count=2).received == 2
        assert ADDRESS in nodes.client.run("getent", "ahostsv4", NAME)
        # Both LANs reach each other with their own addresses; the internet reaches none by itself.
        assert ping(home, SITE, count=2).received == 2
        assert ping(self.site, address, count=2).received == 2
        (mine,) = re.findall(rf"{LAN6}[\w:]+", home.run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "-deprecated"))
        assert ping(internet, mine, count=2).received == 0

    def forget(self) -> None:
        """Undoes what is in the kernel, where a boot of a machine would find nothing."""
        for node in self.nodes:
            node.host.sysctl(ipv4__ip_forward=0, ipv6__conf__all__forwarding=0)
            node.run("nft", "flush", "ruleset")
        for number in range(3):
            self.lab.client.ip(f"addr flush dev eth{number}", f"link set eth{number} down")


def _for_routers_too(entry: Entry) -> str:
    """The server's firewall would keep the client from its lines' routers, which are on the same node."""
    return entry.text.replace("tcp dport 22 accept", 'tcp dport 22 accept\n\t\tiifname { "wan1", "wan2" } accept')


def _answer(sock: socket.socket) -> None:
    """The name server."""
    while True:
        try:
            data, asker = sock.recvfrom(2000)
        except OSError:
            return
        ask = DNS(data)
        answer = DNS(id=ask.id, qr=1, ra=1, qd=ask.qd, an=DNSRR(rrname=ask.qd[0].qname, ttl=1, rdata=ADDRESS))
        sock.sendto(bytes(answer), asker)


def _cable(router: Host, device: str, host: Host) -> None:
    router.ip(f"link add {device} type veth peer name eth0 netns {host.name}", f"link set {device} up")
    host.ip("link set eth0 up")


def _lay_out(lab: Lab) -> tuple[Host, Host, Host]:
    """Gives both hosts the interfaces of the page, without the client's addresses."""
    internet, home, site = (lab.add_host(label) for label in ("internet", "home", "site"))
    for host in (internet, home, site):
        host.sysctl(ipv6__conf__all__accept_dad=0, ipv6__conf__default__accept_dad=0)
    _cable(lab.server, "eth0", internet)
    _cable(lab.server, "eth1", site)
    _cable(lab.client, "eth0", home)
    lab.server.ip(f"addr add {SERVER}/24 dev eth0", "addr add 2001:db8:99::1/64 dev eth0 nodad")
    internet.ip(f"addr add {RESOLVER}/24 dev eth0", f"addr add {WEB6}/64 dev eth0 nodad", f"addr add {WEB}/32 dev lo")
    internet.ip("route add 2001:db8:77::/48 via 2001:db8:99::1", ipv6=True)
    lab.server.ip(f"route add default via {RESOLVER}", "addr add 192.168.9.1/24 dev eth1")
    site.ip(f"addr add {SITE}/24 dev eth0")
    for line in lab.lines:
        number, device = line.number, line.client.device
        lab.client.ip(f"link set {device} down", f"addr flush dev {device}", f"link set {device} name eth{number}")
        lab.client.ip(f"rule del priority {1000 + number}", f"link set eth{number} up")
        lab.client.ip(f"rule del priority {1000 + number}", ipv6=True)
        lab.server.ip(f"addr flush dev {line.server.device}")
    return internet, home, site


@pytest.fixture(params=sorted(PYTHONS))
def world(request: pytest.FixtureRequest, installed: Path) -> Iterator[World]:
    """The hosts of the page with Debian, mlvpnd and nftables on both ends of the tunnel."""
    root = root_of(request.param, replace(SYSTEM, packages=(*SYSTEM.packages, "nftables")))
    with Lab(LINES) as lab:
        internet, home, site = _lay_out(lab)
        with Nodes(lab, root, root) as nodes, internet.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
            resolver.bind((RESOLVER, 53))
            threading.Thread(target=_answer, args=(resolver,), daemon=True).start()
            for node in nodes:
                node.install(installed)
            for number in (1, 2):
                nodes.server.write(f"/etc/systemd/network/wan{number}.network", _ROUTER.format(number=number))
            nodes.server.run("systemctl", "enable", "--now", "systemd-networkd")
            yield World(lab, nodes, internet, home, site)


@pytest.mark.parametrize("lines", ["DHCP", "fixed"])
def test_the_example_works_and_lasts(world: World, lines: str) -> None:
    world.follow(example(lines))
    world.check()
    world.forget()
    world.nodes.server.reboot()
    world.nodes.client.reboot()
    world.check()
