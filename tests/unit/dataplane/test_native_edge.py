"""A link's edge in the native twin: what tests/unit/net/test_link_socket.py asks of the reference's."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

import pytest

from mlvpnd.dataplane import _native
from mlvpnd.protocol.wire import PacketType
from tests.support.session_pair import packet_of
from tests.unit.dataplane.test_native_loop import World
from tests.unit.net.test_link_socket import OTHER_MESSAGES


@pytest.fixture
def world() -> Iterator[World]:
    world = World(links=1)
    world.start()
    yield world
    world.close()


@pytest.mark.parametrize("options", [OTHER_MESSAGES[:1], OTHER_MESSAGES[1:2], OTHER_MESSAGES], ids=["us", "ns", "all"])
def test_a_run_is_found_among_other_control_messages(world: World, options: Sequence[tuple[int, int, int]]) -> None:
    for option in options:
        world.links[0].setsockopt(*option)
    packets = [packet_of(number) for number in range(20)]
    world.send_joined(0, [world.datagram(0, PacketType.DATA, packet, 2 + n) for n, packet in enumerate(packets)])
    assert world.loop.run(world.wake, 0.05) == _native.WOKEN
    assert world.came(world.kernel) == packets
    counts, _, _ = world.loop.link_counts(0)
    assert (counts["gro_receives"], counts["gro_segments"]) == (1, 20)
