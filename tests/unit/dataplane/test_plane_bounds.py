"""How much of what links bring is taken at once, on both twins.

Others have their turn, and nothing is lost by the limit.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from mlvpnd.config.model import Config, DataPlane, LinkConfig, Mode
from mlvpnd.dataplane.reference import LINK_BURST
from mlvpnd.helper.client import HelperClient
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.wire.wire import PacketType
from mlvpnd.tunnel.interface import Interface
from mlvpnd.tunnel.tunnel import Tunnel
from tests.support import planes
from tests.support.session_pair import packet_of
from tests.unit.tunnel.test_tunnel import LINKS, Helper, Peer

from .failing_program import World
from .test_native_plane_loop import World as NativeWorld

FLOOD = 400
"""Datagrams: fewer than a socket's buffer holds by default, more than either twin takes in a turn."""
MOST_VIEWS = 2048
ROOM = 1 << 20


def run(plane: DataPlane, steps: Callable[[World], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes steps with a server whose two links are up, and whose interface is a socket."""
    monkeypatch.setattr(planes, "wanted", plane)

    async def main() -> None:
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        for end in (ours, kernel):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        links = tuple(LinkConfig(name, bindhost="127.0.0.1", bindport="0") for name in LINKS)
        config = Config(Mode.SERVER, b"x", links=links, reorder_buffer_size=0)
        stub = cast(HelperClient, Helper())
        device = TunDevice(ours.detach())
        tunnel = Tunnel(config, stub, Interface(stub, device, "mlvpn0", 1428), plane=planes.plane())
        world = World(tunnel, device, kernel)
        tunnel.start()
        await tunnel.wait_tried()
        await asyncio.sleep(0.02)
        await world.meet()
        await steps(world)
        await tunnel.stop(1)
        for peer in world.peers:
            peer.close()
        kernel.close()

    planes.run(main())


async def came(world: World, count: int) -> list[bytes]:
    """What the interface is given, until `count` packets have come."""
    found: list[bytes] = []
    for _ in range(500):
        found += world.take()
        if len(found) >= count:
            break
        await asyncio.sleep(0.01)
    return found


def sent(peer: Peer, numbers: range) -> None:
    for number in numbers:
        peer.send(peer.hand.data(packet_of(number)))


@pytest.mark.parametrize("plane", DataPlane, ids=lambda plane: str(plane.value))
def test_a_link_that_brings_much_does_not_shut_another_out(plane: DataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(world: World) -> None:
        world.take()
        sent(world.peers[0], range(FLOOD))
        sent(world.peers[1], range(FLOOD, FLOOD + 1))  # before the loop turns: both are there when it looks
        packets = await came(world, FLOOD // 2)
        assert packets.index(packet_of(FLOOD)) <= LINK_BURST

    run(plane, steps, monkeypatch)


def test_more_than_is_taken_at_once_is_delivered_all_the_same() -> None:
    """The native twin looks at a limited number of datagrams of one reading, then delivers what they brought."""
    world = NativeWorld(links=8)
    world.start()
    runs, datagrams, total = 8, 64, 0
    assert len(world.links) * runs * datagrams > MOST_VIEWS
    for number in range(len(world.links)):
        for _ in range(runs):
            packets = [packet_of(total + index) for index in range(datagrams)]
            data = [world.datagram(number, PacketType.DATA, packet, 2 + total + n) for n, packet in enumerate(packets)]
            world.send_joined(number, data)
            total += datagrams
    for _ in range(3):
        world.loop.run(world.wake, 0.05)
    counts = world.loop.tun_counts()
    # The socket in the interface's place does not hold all packets. The rest is counted, and nothing else is missing.
    assert counts["packets_written"] + counts["full"] == total
    assert world.came(world.kernel)[:3] == [packet_of(number) for number in range(3)]
    world.close()
