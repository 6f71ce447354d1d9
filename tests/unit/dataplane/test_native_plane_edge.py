"""A link's edge in the native twin. tests/unit/net/test_link_socket.py asks the same of the reference's."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from mlvpnd.dataplane._native import lib
from mlvpnd.net.link_socket import GSO_PAUSE, LinkSocket
from mlvpnd.protocol.links.path import Address
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.session_pair import packet_of
from tests.unit.dataplane.test_native_plane_loop import NOW, World
from tests.unit.net.test_ancillary import CALLED, Server
from tests.unit.net.test_link_socket import FRAME_HEADERS, OTHER_MESSAGES

AROUND = 28 + 16
"""Bytes of the protocol in a datagram."""


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(links=1, family=request.param)
    world.start()
    yield world
    world.close()


@pytest.mark.parametrize("options", [OTHER_MESSAGES[:1], OTHER_MESSAGES[1:2], OTHER_MESSAGES], ids=["us", "ns", "all"])
def test_a_run_is_found_among_other_control_messages(world: World, options: Sequence[tuple[int, int, int]]) -> None:
    for option in options:
        world.links[0].setsockopt(*option)
    packets = [packet_of(number) for number in range(20)]
    world.send_joined(0, [world.datagram(0, PacketType.DATA, packet, 2 + n) for n, packet in enumerate(packets)])
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
    assert world.came(world.kernel) == packets
    counts, _, _ = world.loop.link_counts(0)
    assert (counts["gro_receives"], counts["gro_segments"]) == (1, 20)


def sent_in_runs(world: World, sizes: Sequence[int]) -> tuple[int, int]:
    """Sends datagrams of these sizes at once; returns how many runs leave, and how many datagrams in runs."""
    before, _, _ = world.loop.link_counts(0)
    world.session.send([packet_of(1, size - AROUND) for size in sizes], NOW)
    world.loop.flush()
    after, _, _ = world.loop.link_counts(0)
    assert [len(datagram) for datagram in world.came(world.peers[0])] == list(sizes)
    return after["gso_sends"] - before["gso_sends"], after["gso_segments"] - before["gso_segments"]


def test_a_run_is_no_longer_than_what_a_device_takes_whole(world: World) -> None:
    world.loop.attach_link(0, world.links[0].fileno(), gso=True, gro=False, answers=False)
    world.peers[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    most = 65535 - FRAME_HEADERS[world.links[0].family]
    whole = most // 1424
    last = most - whole * 1424
    assert sent_in_runs(world, [1424] * whole + [last]) == (1, whole + 1)
    assert sent_in_runs(world, [1424] * whole + [last + 1]) == (1, whole)


def narrow_path() -> None:
    """Runs whose datagrams are too large for the path go in fragments.

    Runs are tried again, for the path takes more later.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        subprocess.run(["ip", "link", "set", "lo", "up", "mtu", "1500"], check=True)
        world = World(links=1, family=family)
        world.start()
        world.loop.attach_link(0, world.links[0].fileno(), gso=True, gro=False, answers=False)
        for sizes, in_runs in (
            ([1400, 1400], (1, 2)),
            ([2000, 2000, 100], (0, 0)),
            ([1400, 1400, 1300], (1, 3)),
            ([2000, 2000], (0, 0)),
        ):
            assert sent_in_runs(world, sizes) == in_runs, sizes
        assert not world.loop.link_counts(0)[0]["gso"]
        subprocess.run(["ip", "link", "set", "lo", "mtu", "9000"], check=True)
        time.sleep(GSO_PAUSE)
        assert sent_in_runs(world, [2000, 2000]) == (1, 2)
        counts, _, _ = world.loop.link_counts(0)
        assert counts["gso"]
        assert counts["send_errors"] == 0
        world.close()


# A server that is bound to no address; see tests/unit/net/test_ancillary.py.


class Called(World):
    """The link's socket is bound to no address of its host, and the peer calls it by any of them."""

    def __init__(self, family: int) -> None:
        super().__init__(links=1)
        self.links[0].close()
        self.links[0] = Server(family)
        self.link = LinkSocket(self.links[0], answers=True)
        self.seq = 1
        self.scope: tuple[int, ...] = ()
        """What follows host and port in the address that the peer calls."""

    def call_from(self, host: str, scope: int = 0) -> None:
        """Gives the peer this IPv6 address."""
        self.peers[0].close()
        self.peers[0] = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.scope = (0, scope)
        self.peers[0].bind((host, 0, *self.scope))
        self.peers[0].settimeout(2)

    def call(self, host: str) -> str:
        """Has the peer call `host`; returns the address that answers."""
        self.seq += 1
        packet = self.datagram(0, PacketType.DATA, packet_of(self.seq), self.seq)
        self.peers[0].sendto(packet, (host, self.links[0].getsockname()[1], *self.scope))
        self.loop.run(self.wake, 0.05)
        self.told()
        assert self.came(self.kernel) == [packet_of(self.seq)]
        return self.answer()

    def told(self) -> list[tuple[bytes, Address]]:
        """Gives Python the datagrams that are for it, and returns them."""
        number, datagrams = self.loop.slow_datagrams(rest=False)
        if datagrams:
            self.loop.deliver(self.session.receive(number, datagrams, NOW))
        return datagrams

    def answer(self, *sizes: int) -> str:
        """Sends packets; returns the address that they come from."""
        self.session.send([packet_of(1, size) for size in sizes or [60]], NOW)
        self.loop.flush()
        (host,) = {self.peers[0].recvfrom(1 << 16)[1][0] for _ in sizes or [60]}
        return str(host)


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "mapped"])
def called(request: pytest.FixtureRequest) -> Iterator[Called]:
    world = Called(request.param)
    world.start()
    attach(world)
    yield world
    world.close()


def attach(world: Called) -> None:
    link = world.link
    world.loop.attach_link(0, link.fileno(), gso=link.gso, gro=link.gro, answers=link.answers)


def test_an_answer_leaves_from_the_address_that_was_called(called: Called) -> None:
    for host in (CALLED, "127.0.0.6", CALLED):
        assert called.call(host) == host
        assert called.call(host) == host
    assert called.answer(1000, 1000, 500) == CALLED
    counts, _, _ = called.loop.link_counts(0)
    assert (counts["gso_sends"], counts["gso_segments"]) == (1, 3)


def test_only_what_is_authentic_and_newest_changes_the_address(called: Called) -> None:
    assert called.call(CALLED) == CALLED
    port = called.links[0].getsockname()[1]
    old = called.datagram(0, PacketType.DATA, packet_of(1), called.seq)
    forged = called.datagram(0, PacketType.DATA, packet_of(1), called.seq + 9)[:-1] + b"x"
    for datagram in (old, forged, b"garbage"):
        called.peers[0].sendto(datagram, ("127.0.0.6", port))
        called.loop.run(called.wake, 0.05)
        called.told()
    assert called.came(called.kernel) == []
    assert called.answer() == CALLED


def addresses_of_ipv6() -> None:
    """Runs in a network namespace of its own."""
    for words in (
        *(f"addr add 2001:db8::{n}/128 dev lo nodad" for n in (1, 2)),
        "link set lo up",
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
        *(f"addr add fe80::{n}/64 dev v0 nodad" for n in (1, 2)),
        "addr add fe80::9/64 dev v1 nodad",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    for host, device, others in (
        ("2001:db8::1", "", ("2001:db8::2", "2001:db8::1")),
        ("fe80::9", "v1", ("fe80::2", "fe80::1")),
    ):
        world = Called(socket.AF_INET6)
        world.call_from(host, socket.if_nametoindex(device) if device else 0)
        world.start()
        attach(world)
        for other in others * 2:
            assert world.call(other) == other
        peer = world.session.path(0).peer
        assert peer is not None
        assert list(peer)[4:] == [others[-1], socket.if_nametoindex("v0") if device else 0]
        world.close()


def address_that_goes() -> None:
    """Runs in a network namespace of its own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    change = ["198.18.9.9/32", "dev", "lo"]
    for family in (socket.AF_INET, socket.AF_INET6):
        subprocess.run(["ip", "addr", "add", *change], check=True)
        world = Called(family)
        world.start()
        attach(world)
        assert world.call("198.18.9.9") == "198.18.9.9"
        subprocess.run(["ip", "addr", "del", *change], check=True)
        assert world.answer(100, 100, 50) == "127.0.0.1"
        assert world.answer() == "127.0.0.1"
        subprocess.run(["ip", "addr", "add", *change], check=True)
        assert world.call("198.18.9.9") == "198.18.9.9"
        assert world.loop.link_counts(0)[0]["send_errors"] == 0
        world.close()
        subprocess.run(["ip", "addr", "del", *change], check=True)


@pytest.mark.netns
@pytest.mark.parametrize("scene", [narrow_path, addresses_of_ipv6, address_that_goes])
def test_in_a_namespace(scene: Callable[[], None]) -> None:
    program = f"from {__name__} import {scene.__name__}; {scene.__name__}()"
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert ran.stderr == ""
