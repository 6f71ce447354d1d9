"""One real daemon on a host of a lab, and the independent peer at the other ends of its links.

daemon 10.42.0.1/24 on mlvpn0  ---link1, link2...---  ScapyPeer, one per link, with 10.42.0.2 behind it
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from .daemons import Daemon, config_text
from .lab import SERVER_IPV4, SERVER_IPV6, Host, Lab
from .noise import Patience
from .peer import Address, ScapyPeer, udp_socket
from .tunnels import FIRST_PORT, PASSWORD, link_name

DAEMON_INNER = "10.42.0.1"
PEER_INNER = "10.42.0.2"
PEER_MAC = "02:00:00:00:00:02"
INTERFACE = "mlvpn0"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """The differences from the plain case: a server of one link, boxed, tun, IPv4 outside, timeout 2."""

    client: bool = False
    """The daemon is the client, on the lab's client."""
    links: int = 1
    """Link i uses line i of the lab."""
    ipv6_outside: bool = False
    general: Mapping[str, object] = field(default_factory=dict)
    filters: Sequence[tuple[str, str]] = ()

    @property
    def clear(self) -> bool:
        """Whether DATA is clear."""
        return bool(self.general.get("cleartext_data"))

    @property
    def tap(self) -> bool:
        """Whether the tunnel carries Ethernet frames."""
        return self.general.get("tuntap") == "tap"


class Site:
    """A started daemon, and a test's actions around it."""

    def __init__(self, lab: Lab, spec: SiteSpec) -> None:
        """Files go into the lab's directory, under names of this site."""
        self.lab = lab
        self.spec = spec
        self.host: Host = lab.client if spec.client else lab.server
        name = f"{'client' if spec.client else 'server'}{next(_numbers)}"
        control = lab.directory / f"{name}.control"
        keys: dict[str, object] = {
            "mode": "client" if spec.client else "server",
            "password": PASSWORD,
            "interface_name": INTERFACE,
            "configure_interface": 1,
            "ip4": f"{DAEMON_INNER}/24",
            "timeout": 2,
            "reorder_buffer_size": 64,
            "control_unix_path": control,
        }
        keys |= spec.general
        links = {link_name(number): self._addresses(number) for number in range(1, spec.links + 1)}
        self.daemon = Daemon(self.host, lab.directory, name, config_text(keys, links, spec.filters), control=control)
        self.key = PASSWORD.encode()

    def _addresses(self, number: int) -> dict[str, object]:
        server, port = self.server_address(number)
        if not self.spec.client:
            return {"bindhost": server, "bindport": port}
        return {"bindhost": self._client_host(number), "remotehost": server, "remoteport": port}

    def _client_host(self, number: int) -> str:
        end = self.lab.line(number).client
        return end.ipv6 if self.spec.ipv6_outside else end.ipv4

    def server_address(self, number: int = 1) -> Address:
        """The address of the server's end of a link."""
        return SERVER_IPV6 if self.spec.ipv6_outside else SERVER_IPV4, FIRST_PORT + number - 1

    def start(self) -> None:
        """Starts the daemon; returns as soon as its sockets are bound."""
        position = len(self.daemon.log())
        self.daemon.start()
        for number in range(1, self.spec.links + 1):
            self.daemon.wait_for_log(f"{link_name(number)} bind to", since=position)

    # The far end.

    def peer(self, number: int = 1, *, port: int = 0, **options: Any) -> ScapyPeer:
        """A far end for a link, not yet running: a client on any port (or `port`), or the server on its own."""
        options = {"cleartext": self.spec.clear, "tap": self.spec.tap, "timeout": 2.0} | options
        if self.spec.client:
            sock = udp_socket(self.server_address(number), host=self.lab.server)
            return ScapyPeer(sock, self.key, server=True, **options)
        sock = udp_socket((self._client_host(number), port), host=self.lab.client)
        return ScapyPeer(sock, self.key, remote=self.server_address(number), **options)

    def frame(self, packet: Packet) -> Packet:
        """A packet as DATA carries it: behind an Ethernet header if the tunnel is a tap."""
        return Ether(src=PEER_MAC, dst=self._own_mac()) / packet if self.spec.tap else packet

    def _own_mac(self) -> str:
        return str(json.loads(self.host.run("ip", "-j", "link", "show", INTERFACE))[0]["address"])

    def introduce_peer(self) -> None:
        """Tells the host of a tap the peer's Ethernet address."""
        if self.spec.tap:
            self.host.ip(f"neigh replace {PEER_INNER} lladdr {PEER_MAC} dev {INTERFACE}")

    # Traffic of the daemon's host.

    def echo(self, peer: ScapyPeer, number: int = 1, *, timeout: float = 3.0, tail: bytes = b"") -> bool:
        """Whether the host answers an echo request that the peer sends through the tunnel."""
        request = IP(src=PEER_INNER, dst=DAEMON_INNER) / ICMP(id=77, seq=number) / b"through the tunnel"
        peer.send_data(bytes(self.frame(request)) + tail)

        def answered() -> bool:
            for data in peer.packets:
                packet = Ether(data) if self.spec.tap else IP(data)
                if ICMP in packet and packet[ICMP].type == 0 and packet[ICMP].seq == number:
                    return bytes(packet[ICMP].payload) == b"through the tunnel"
            return False

        return peer.run_until(answered, timeout)

    @contextlib.contextmanager
    def inbox(self, port: int = 7000) -> Iterator[socket.socket]:
        """A socket of the host that hears `numbered` packets from the peer."""
        with self.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((DAEMON_INNER, port))
            yield sock


def numbered(text: bytes, port: int = 7000) -> IP:
    """A packet from behind the peer for a host's `inbox`."""
    return IP(src=PEER_INNER, dst=DAEMON_INNER) / UDP(sport=7001, dport=port) / text


def hear(sock: socket.socket, count: int, timeout: float = 2.0) -> list[bytes]:
    """Up to `count` datagrams, in order; fewer after `timeout` seconds of our own."""
    heard: list[bytes] = []
    patience = Patience(timeout)
    while len(heard) < count and (left := patience.left) > 0:
        sock.settimeout(left)
        try:
            heard.append(sock.recv(65536))
        except TimeoutError:
            continue
    return heard


@contextlib.contextmanager
def running_site(lab: Lab, spec: SiteSpec | None = None) -> Iterator[Site]:
    """A site whose daemon runs. At the end it is stopped and must end well. If the block failed, it is killed."""
    site = Site(lab, spec or SiteSpec())
    site.start()
    try:
        yield site
    except BaseException:
        if site.daemon.running:
            site.daemon.kill()
        raise
    if site.daemon.running:
        site.daemon.stop()
