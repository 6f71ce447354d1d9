"""Runs as `python -m tests.unit.dataplane.failing_program PLANE`, with `tests.support.failing` in front.

A server with two links, whose interface is a socket, runs while one call after the other fails. The program prints the
outcome of each case as a line of JSON.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple, cast

from mlvpnd.config.model import Config, DataPlane, LinkConfig, Mode
from mlvpnd.dataplane import _native
from mlvpnd.helper.client import HelperClient
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.wire.wire import PacketType
from mlvpnd.tunnel.interface import Interface
from mlvpnd.tunnel.tunnel import Tunnel
from tests.support import planes
from tests.support.failing import Failing, Kind
from tests.support.session_pair import packet_of
from tests.unit.tunnel.test_tunnel import LINKS, Helper, Peer

PACKETS = 40
SMALL, LARGE = 60, 3000
"""Bytes of a packet; no free buffer is kept for the larger one."""
PATIENCE = 5.0
"""Seconds to wait for what passes within milliseconds."""
TURNS = 10
"""Turns of the event loop, one each millisecond; an injected failure must not stop them."""


class Case(NamedTuple):
    """What fails, where, how, and how often: at each call, at each second one, ..."""

    kind: Kind
    where: str
    error: int
    every: int = 1

    @property
    def name(self) -> str:
        error = errno.errorcode[self.error]
        return f"{self.kind.name.lower()}-{self.where}-{error}{f'-{self.every}' if self.every > 1 else ''}"


CASES = (
    *(Case(Kind.SEND, "link", error) for error in (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EPERM)),
    *(Case(Kind.SEND, "tun", error) for error in (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EIO)),
    *(Case(Kind.RECEIVE, "link", error) for error in (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.ECONNREFUSED)),
    *(Case(Kind.RECEIVE, "tun", error) for error in (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN)),
    *(Case(kind, where, errno.EINTR, 2) for kind in (Kind.SEND, Kind.RECEIVE) for where in ("link", "tun")),
    *(Case(kind, where, errno.ENOBUFS, 3) for kind in (Kind.SEND, Kind.RECEIVE) for where in ("link", "tun")),
    Case(Kind.WAIT, "loop", errno.EINTR, 2),
    *(Case(Kind.SOCKET, "open", error) for error in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS)),
    *(Case(Kind.MEMORY, "plane", errno.ENOMEM, every) for every in (1, 2, 3, 7)),
)


class World:
    """The tunnel, its peers and the kernel's end of its interface."""

    def __init__(self, tunnel: Tunnel, device: TunDevice, kernel: socket.socket) -> None:
        self.tunnel = tunnel
        self.device = device
        self.kernel = kernel
        self.peers: list[Peer] = []
        self.faults: list[str] = []
        self.size = SMALL
        """Bytes of the packets from the interface."""
        self._number = 0

    def note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(f"{context['message']} {context.get('exception')!r}")

    def is_open(self) -> bool:
        """Whether the first link has a socket."""
        return self.tunnel.drivers[0].socket is not None

    async def meet(self) -> None:
        """Puts a peer on each link."""
        before = self.peers
        self.peers = [Peer(self.tunnel, number) for number in range(len(LINKS))]
        for peer, old in zip(self.peers, before, strict=False):
            peer.hand = old.hand
            old.close()
        for _ in range(100):
            for path, peer in zip(self.tunnel.session.paths, self.peers, strict=True):
                if not path.up:
                    peer.send(peer.hand.auth())
                peer.send(peer.hand.keepalive())
            await asyncio.sleep(0.02)
            if all(path.up for path in self.tunnel.session.paths):
                return
        raise AssertionError("the links do not come up")

    def exchange(self) -> tuple[list[bytes], list[bytes]]:
        """Sends packets both ways; returns the packets to the interface, and the packets from it."""
        numbers = range(self._number, self._number + PACKETS)
        self._number += PACKETS
        inward = [packet_of(number) for number in numbers]
        outward = [packet_of(1 << 32 | number, self.size) for number in numbers]
        for number, packet in enumerate(inward):
            peer = self.peers[number % len(self.peers)]
            peer.send(peer.hand.data(packet))
        for packet in outward:
            self.kernel.send(packet)
        return inward, outward

    def take(self) -> list[bytes]:
        """What the interface has been given."""
        taken = []
        try:
            while True:
                taken.append(self.kernel.recv(1 << 16))
        except BlockingIOError:
            return taken

    def heard(self) -> int:
        """How many DATA packets the peers have got."""
        return sum(kinds.count(PacketType.DATA) for kinds in (peer.received() for peer in self.peers))

    async def passes(self) -> bool:
        """Whether all packets pass now, both ways."""
        self.take()
        self.heard()
        inward, outward = self.exchange()
        came: list[bytes] = []
        heard = 0
        end_at = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < end_at:
            await asyncio.sleep(0.01)
            came += self.take()
            heard += self.heard()
            if sorted(came) == sorted(inward) and heard == len(outward):
                return True
        print(f"{len(came)} of {len(inward)} came in, {heard} of {len(outward)} went out", file=sys.stderr)
        return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def one(world: World, failing: Failing, case: Case) -> dict[str, Any]:
    """Makes calls fail while packets pass, then looks at what is left of the tunnel."""
    session = world.tunnel.session
    link_socket = world.tunnel.drivers[0].socket
    assert link_socket is not None
    where = {"link": link_socket.fileno(), "tun": world.device.fileno()}
    before = descriptors()
    world.size = LARGE if case.kind is Kind.MEMORY else SMALL
    failing.arm(case.kind, case.error, every=case.every, descriptor=where.get(case.where, -1))
    world.exchange()
    if case.kind is Kind.SOCKET:
        world.tunnel.drivers[0].reopen()
    for _ in range(TURNS):
        await asyncio.sleep(0.001)
        world.kernel.send(packet_of(1, world.size))
    failed = failing.disarm()
    if case.kind is Kind.SOCKET:
        assert not world.is_open()
        for _ in range(300):
            await asyncio.sleep(0.02)
            if world.is_open():
                break
    await asyncio.sleep(0.05)
    if case.kind is Kind.SOCKET or not all(path.up for path in session.paths):
        await world.meet()
    passes = await world.passes()
    faults, world.faults = world.faults, []
    return {
        "name": case.name,
        "failed": failed,
        "passes": passes,
        "faults": faults,
        "descriptors": descriptors() - before,
    }


async def main() -> None:
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    for end in (ours, kernel):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    links = tuple(LinkConfig(name, bindhost="127.0.0.1", bindport="0") for name in LINKS)
    stub = cast(HelperClient, Helper())
    device = TunDevice(ours.detach())
    interface = Interface(stub, device, "mlvpn0", 1428)
    tunnel = Tunnel(Config(Mode.SERVER, b"x", links=links), stub, interface, plane=planes.plane())
    world = World(tunnel, device, kernel)
    asyncio.get_running_loop().set_exception_handler(world.note)
    failing = Failing(Path(_native.__file__))
    tunnel.start()
    await tunnel.wait_tried()
    await asyncio.sleep(0.02)
    await world.meet()
    assert await world.passes()
    for case in CASES:
        print(json.dumps(await one(world, failing, case)), flush=True)
    await tunnel.stop(1)


if __name__ == "__main__":
    planes.wanted = DataPlane(sys.argv[1])
    planes.run(main())
