"""A link's edge in the native twin: what tests/unit/net/test_link_socket.py asks of the reference's."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import pytest

from mlvpnd.dataplane import _native
from mlvpnd.net.link_socket import GSO_PAUSE
from mlvpnd.protocol.wire import PacketType
from tests.support.session_pair import packet_of
from tests.unit.dataplane.test_native_loop import NOW, World
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
    assert world.loop.run(world.wake, 0.05) == _native.WOKEN
    assert world.came(world.kernel) == packets
    counts, _, _ = world.loop.link_counts(0)
    assert (counts["gro_receives"], counts["gro_segments"]) == (1, 20)


def sent_in_runs(world: World, sizes: Sequence[int]) -> tuple[int, int]:
    """Has datagrams of such sizes be sent at once: how many leave in how many runs."""
    before, _, _ = world.loop.link_counts(0)
    world.session.send([packet_of(1, size - AROUND) for size in sizes], NOW)
    world.loop.flush()
    after, _, _ = world.loop.link_counts(0)
    assert [len(datagram) for datagram in world.came(world.peers[0])] == list(sizes)
    return after["gso_sends"] - before["gso_sends"], after["gso_segments"] - before["gso_segments"]


def test_a_run_is_no_longer_than_what_a_device_takes_whole(world: World) -> None:
    world.loop.attach_link(0, world.links[0].fileno(), True, False)
    world.peers[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    most = 65535 - FRAME_HEADERS[world.links[0].family]
    whole = most // 1424
    last = most - whole * 1424
    assert sent_in_runs(world, [1424] * whole + [last]) == (1, whole + 1)
    assert sent_in_runs(world, [1424] * whole + [last + 1]) == (1, whole)


def narrow_path() -> None:
    """Where the loopback interface takes no more than a line does, and later takes more."""
    for family in (socket.AF_INET, socket.AF_INET6):
        subprocess.run(["ip", "link", "set", "lo", "up", "mtu", "1500"], check=True)
        world = World(links=1, family=family)
        world.start()
        world.loop.attach_link(0, world.links[0].fileno(), True, False)
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


@pytest.mark.netns
def test_runs_larger_than_the_path_takes_go_in_fragments_and_are_tried_again() -> None:
    program = f"from {__name__} import narrow_path; narrow_path()"
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert ran.stderr == ""
