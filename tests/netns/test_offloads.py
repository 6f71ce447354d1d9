"""Super-packets and runs of datagrams between real daemons: used where the system has them, and avoided elsewhere.

The lines of a lab carry frames one by one, as real lines do. Here a veth pair also joins the hosts: it hands runs over
as they were sent.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Mapping

import pytest

from tests.support.daemons import Daemon
from tests.support.lab import Lab, Line
from tests.support.traffic import TcpTransfer, ping
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    CLIENT_INNER_IPV6,
    SERVER_INNER_IPV4,
    SERVER_INNER_IPV6,
    Keys,
    Tunnel,
    TunnelSpec,
    insist,
)

pytestmark = pytest.mark.netns

DEVICE = "direct"
ENDS = {4: ("198.18.200.1", "198.18.200.2"), 6: ("2001:db8:200::1", "2001:db8:200::2")}
"""Server's and client's address on the veth pair, by IP version."""
SIZE = 2_000_000
ETH_P_ALL = socket.htons(3)
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
OLD = (sys.executable, "-m", "tests.netns.old_tun_program")


@contextlib.contextmanager
def direct_tunnel(
    *, general: Keys | None = None, version: int = 4, mtu: int = 1500, off: str = "", bound: bool = True
) -> Iterator[Tunnel]:
    """A tunnel that is not started yet. Its only link goes over a veth pair.

    `off` is what ethtool turns off at both ends; `bound`: the server's link has a bindhost.
    """
    with Lab([Line(rate=400)]) as lab:
        server, client = ENDS[version]
        lab.server.ip(f"link add {DEVICE} mtu {mtu} type veth peer name {DEVICE} mtu {mtu} netns {lab.client.name}")
        for host, address in ((lab.server, server), (lab.client, client)):
            host.ip(f"link set {DEVICE} up", f"addr add {address}/{24 if version == 4 else 64} dev {DEVICE}")
            if off:
                host.run("ethtool", "-K", DEVICE, *(word for name in off.split() for word in (name, "off")))
        spec = TunnelSpec(
            general=general or {},
            links={"link1": {"bindhost": server if bound else None}},
            client_links={"link1": {"bindhost": client, "remotehost": server}},
        )
        tunnel = Tunnel(lab, spec)
        yield tunnel
        tunnel.stop()


def carry(tunnel: Tunnel) -> None:
    """Sends TCP of both families each way, checks it, and checks that no packet is lost on the way."""
    server, client = tunnel.server.host, tunnel.client.host
    for transfer in (
        TcpTransfer(server, client, CLIENT_INNER_IPV4, size=SIZE),
        TcpTransfer(client, server, SERVER_INNER_IPV6, size=SIZE),
        TcpTransfer(client, server, SERVER_INNER_IPV4, size=SIZE),
        TcpTransfer(server, client, CLIENT_INNER_IPV6, size=SIZE),
    ):
        result = transfer.wait()
        assert result.verified, result.error
    assert ping(client, SERVER_INNER_IPV4, count=5).received == 5
    for daemon in (tunnel.server, tunnel.client):
        assert set(daemon.status()["packets"]["tun_drops"].values()) == {0}
        assert daemon.links()["link1"]["drops"]["send_error"] == 0


def moved(daemon: Daemon) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """The counters of the interface, and the counters of its link."""
    return daemon.status()["offload"], daemon.links()["link1"]["offload"]


KINDS: dict[str, tuple[int, Keys, bool]] = {
    "boxed tun over IPv4": (4, {}, True),
    "clear tun over IPv6": (6, {"cleartext_data": 1}, True),
    "boxed tap over IPv6": (6, {"tuntap": "tap"}, True),
    "clear tap over IPv4": (4, {"tuntap": "tap", "cleartext_data": 1}, True),
    "boxed tun over IPv4 to any address": (4, {}, False),
    "clear tun over IPv6 to any address": (6, {"cleartext_data": 1}, False),
}


@pytest.mark.parametrize(("version", "general", "bound"), KINDS.values(), ids=KINDS.keys())
def test_bulk_goes_in_super_packets_and_runs(version: int, general: Keys, *, bound: bool) -> None:
    with direct_tunnel(version=version, general=general, bound=bound) as tunnel:
        tunnel.start()
        carry(tunnel)
        for daemon in (tunnel.server, tunnel.client):
            tun, link = moved(daemon)
            assert (tun["tso"], link["gso"], link["gro"]) == (True, True, True)
            for calls, packets in ((tun["tso_reads"], tun["tso_segments"]), (link["gso_sends"], link["gso_segments"])):
                assert calls > 0
                assert packets >= 2 * calls
            assert tun["coalesced_segments"] >= 2 * tun["coalesced_writes"] > 0
            assert link["gro_segments"] >= 2 * link["gro_receives"] > 0


@pytest.mark.parametrize(("version", "mtu"), [(4, 1380), (4, 1266), (6, 1380), (6, 1169)])
def test_runs_of_any_mtu_reach_the_device_whole(version: int, mtu: int) -> None:
    """A run that is a few bytes too long with its headers: the kernel cuts it, and the device sees datagrams."""
    with direct_tunnel(version=version, general={"mtu": mtu}) as tunnel:
        tunnel.start()
        server, client = tunnel.server.host, tunnel.client.host
        with client.socket(socket.AF_PACKET, socket.SOCK_RAW, ETH_P_ALL) as tap:
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
            tap.bind((DEVICE, socket.ntohs(ETH_P_ALL)))
            tap.setblocking(False)
            result = TcpTransfer(client, server, SERVER_INNER_IPV4, size=4 * SIZE).wait()
            assert result.verified, result.error
            sent = outgoing(tap)
        assert sum(sent) / len(sent) > 4500  # 3000 if the longest runs are cut; a quiet machine has 20000
        assert max(sent) < 1 << 16


def outgoing(tap: socket.socket) -> list[int]:
    """The bytes of each frame that left by the tapped interface, as the device got it."""
    sizes = []
    with contextlib.suppress(BlockingIOError):
        while True:
            size, _, _, address = tap.recvmsg_into([bytearray(1)], 0, socket.MSG_TRUNC)
            if address[2] == socket.PACKET_OUTGOING:
                sizes.append(size)
    return sizes


@pytest.mark.parametrize("off", ["gro gso tso tx-udp-segmentation", "gro gso tso tx-udp-segmentation tx rx sg"])
def test_a_link_whose_device_has_none(off: str) -> None:
    """The kernel or the daemon cuts the runs; each datagram comes alone."""
    with direct_tunnel(off=off) as tunnel:
        tunnel.start()
        carry(tunnel)
        for daemon in (tunnel.server, tunnel.client):
            tun, link = moved(daemon)
            assert tun["tso_reads"] > 0
            assert tun["coalesced_writes"] > 0  # also of datagrams that came one by one
            assert link["gro_receives"] == 0
            assert bool(link["gso"]) == (link["gso_sends"] > 0)


def test_a_path_too_narrow_for_a_run() -> None:
    """The tunnel's MTU stays that of a line of 1500 bytes, so the largest datagrams go in fragments."""
    with direct_tunnel(mtu=1400) as tunnel:
        tunnel.start()
        carry(tunnel)
        for daemon in (tunnel.server, tunnel.client):
            _, link = moved(daemon)
            assert not link["gso"]


@pytest.mark.parametrize("general", [{}, {"tuntap": "tap"}], ids=["tun", "tap"])
def test_an_interface_of_an_earlier_version(general: Keys) -> None:
    with direct_tunnel(general=general) as tunnel:
        tunnel.client.program = OLD
        tunnel.start()
        carry(tunnel)
        tun, link = moved(tunnel.client)
        assert not any(tun.values())
        assert link["gro_segments"] > 0  # the other end cut them from its super-packets
        tun, _ = moved(tunnel.server)
        assert tun["tso_reads"] > 0
        assert tun["coalesced_writes"] > 0


def test_packets_for_an_interface_that_is_down_are_counted_so() -> None:
    with direct_tunnel() as tunnel:
        tunnel.start()
        insist(tunnel.client.host, "link set mlvpn0 down", "state DOWN")
        ping(tunnel.server.host, CLIENT_INNER_IPV4, count=3)
        drops = tunnel.client.status()["packets"]["tun_drops"]
        assert drops.pop("down") >= 3
        assert set(drops.values()) == {0}


def test_an_interface_that_stays_is_left_as_it_was() -> None:
    """The next program that opens it may know nothing of super-packets."""

    def cuts(tunnel: Tunnel) -> list[str]:
        shown = tunnel.client.host.run("ethtool", "-k", "mlvpn0").splitlines()
        return [line.split()[1] for line in shown if line.strip().startswith(("tx-tcp-segmentation:", "tx-tcp6"))]

    with direct_tunnel() as tunnel:
        tunnel.client.host.ip("tuntap add mlvpn0 mode tun")
        tunnel.start()
        assert cuts(tunnel) == ["on", "on"]
        carry(tunnel)
        tunnel.client.stop()
        assert cuts(tunnel) == ["off", "off"]
