"""`[filters]` and `[rules]` between real daemons: which line their packets take, and which packets arrive.

The emulator of each line counts what goes by the line. The daemons' own words do not count.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.lab import Direction, Host, Lab, Line, wait_until
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    CLIENT_INNER_IPV6,
    SERVER_INNER_IPV4,
    SERVER_INNER_IPV6,
    Tunnel,
    TunnelSpec,
)

pytestmark = pytest.mark.netns

# Of the first two lines neither is nearer. So bulk takes both, and packets sent one by one take the first. The third
# would be the last choice. The fourth carries nothing while another one does.
LINES = [Line(rate=10, delay=5), Line(rate=9, delay=5), Line(rate=10, delay=40), Line(rate=10, delay=5)]
PLAIN, PREFERRED, PINNED, PINNED_AMONG, DUPLICATED, DROPPED, FILTERED, ON_FALLBACK, FILTER_FIRST = range(6000, 6009)
"""UDP ports of the server. Each has a filter or a rule, except the first."""
SIZE = 1000
"""Bytes of payload."""
LONG = 4000
"""Bytes of payload of a SIP message with much content. The interface gets it in three fragments."""
ADDRESSES = {4: (SERVER_INNER_IPV4, CLIENT_INNER_IPV4), 6: (SERVER_INNER_IPV6, CLIENT_INNER_IPV6)}
"""Addresses of server and client, by the version of IP."""
NOISE = 5000
"""Bytes: more than the KEEPALIVEs of a second take on a line."""


def about(port: int) -> str:
    return f"udp dst port {port}"


SPEC = TunnelSpec(
    links={"link4": {"fallback_only": 1}},
    client_filters=[
        ("link3", about(FILTERED)),
        ("link2", about(FILTERED)),
        ("link4", about(ON_FALLBACK)),
        ("link2", about(FILTER_FIRST)),
    ],
    client_rules=[
        ("prefer link4 link3 link2", about(PREFERRED)),
        ("pin", about(PINNED)),
        ("pin link2 link3", about(PINNED_AMONG)),
        ("duplicate link1 link2", about(DUPLICATED)),
        ("drop", about(DROPPED)),
        ("drop", about(FILTER_FIRST)),
        ("prefer link3", about(DROPPED)),
    ],
)


class World:
    """A tunnel, and flows from its client to its server."""

    def __init__(self, lab: Lab, tunnel: Tunnel) -> None:
        self.lab = lab
        self.tunnel = tunnel

    def carried(self) -> dict[int, int]:
        """Bytes of frames that each line got on the way to the server, by the line's number."""
        return {line.number: line.stats()[Direction.TO_SERVER].rx_bytes for line in self.lab.lines}

    def heal(self) -> None:
        """Every line is as it was, up, and measured, because the schedule goes by round trips."""
        for line in self.lab.lines:
            line.set(loss=0.0)
            line.client.set_carrier(up=True)
        # In this order: the server learns late that a line was cut, but it has heard of a line that is up again.
        for daemon in (self.tunnel.client, self.tunnel.server):
            daemon.wait_links("connected")
        assert wait_until(self._is_known, 5)

    def _is_known(self) -> bool:
        links = self.tunnel.client.links().values()
        return all(link["srtt_ms"] is not None for link in links)

    def cut(self, number: int) -> None:
        """A line dies because its cable is pulled, and the client knows."""
        self.lab.line(number).client.set_carrier(up=False)
        self.tunnel.client.wait_links("down", f"link{number}")


@pytest.fixture(scope="module", params=["native", "reference"])
def running(request: pytest.FixtureRequest) -> Iterator[World]:
    general = {"peer": "mlvpnd", "data_plane": request.param}
    with Lab(LINES) as lab:
        spec = TunnelSpec(general, links=SPEC.links, client_filters=SPEC.client_filters, client_rules=SPEC.client_rules)
        tunnel = Tunnel(lab, spec)
        tunnel.start()
        assert tunnel.client.status()["rules"] == len(SPEC.client_rules)
        yield World(lab, tunnel)
        tunnel.stop()


@pytest.fixture
def world(running: World) -> World:
    running.heal()
    return running


def bound(host: Host, address: str, port: int = 0) -> socket.socket:
    sock = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((address, port))
    return sock


class Flow:
    """Numbered datagrams from a port of the client to a port of the server."""

    def __init__(
        self, world: World, to: tuple[str, int], sender: socket.socket, receiver: socket.socket, size: int
    ) -> None:
        self._world = world
        self._to = to
        self._sender = sender
        self._receiver = receiver
        self._size = size

    def send(self, count: int, *, gap: float = 0.002, arrive: bool = True) -> tuple[list[int], set[int]]:
        """Sends `count` datagrams, `gap` seconds apart.

        Returns the numbers that arrived, and the lines that carried more than their KEEPALIVEs. Waits until all have
        arrived; without `arrive`, waits for as long as they would need.
        """
        before, begun = self._world.carried(), time.monotonic()
        for number in range(count):
            self._sender.sendto(number.to_bytes(4) + bytes(self._size - 4), self._to)
            time.sleep(gap)
        arrived: list[int] = []

        def enough() -> bool:
            with contextlib.suppress(BlockingIOError):
                while True:
                    arrived.append(int.from_bytes(self._receiver.recv(self._size, socket.MSG_DONTWAIT)[:4]))
            return arrive and len(set(arrived)) == count

        wait_until(enough, 2 if arrive else 0.5)
        time.sleep(0.1)  # for a datagram that comes twice
        enough()
        after = self._world.carried()
        noise = NOISE * max(time.monotonic() - begun, 1.0)  # a busy machine takes longer for all of it
        return sorted(arrived), {number for number in after if after[number] - before[number] > noise}


@contextlib.contextmanager
def flow(world: World, port: int, *, size: int = SIZE, version: int = 4) -> Iterator[Flow]:
    """A flow of datagrams with `size` bytes of payload."""
    there, here = ADDRESSES[version]
    server = bound(world.lab.server, there, port)
    with server, bound(world.lab.client, here) as client:
        yield Flow(world, (there, port), client, server, size)


def lines_of(world: World, port: int, count: int = 50, gap: float = 0.002) -> set[int]:
    """The lines of a new flow; each packet arrives exactly once."""
    with flow(world, port) as one:
        arrived, lines = one.send(count, gap=gap)
    assert arrived == list(range(count))
    return lines


def test_what_nothing_is_about_goes_by_the_schedule(world: World) -> None:
    """The tests below rest on this: by itself, the schedule would do nothing of what they ask for."""
    assert 3 not in lines_of(world, PLAIN)
    assert lines_of(world, PLAIN, gap=0) == {1, 2}


def test_prefer_and_filters_name_lines_in_order(world: World) -> None:
    ports = (PREFERRED, FILTERED)
    # The first link that `prefer` names is a fallback and does not carry traffic. Filters use it all the same.
    assert [lines_of(world, port) for port in ports] == [{3}, {3}]
    assert lines_of(world, ON_FALLBACK) == {4}
    world.cut(3)
    assert [lines_of(world, port) for port in ports] == [{2}, {2}]
    world.cut(2)
    # The link that carries traffic is not named: `prefer` takes the named fallback instead.
    assert [lines_of(world, port) for port in ports] == [{4}, {1}]
    world.cut(4)
    # No named link is left: any other one is used.
    assert [lines_of(world, port) for port in ports] == [{1}, {1}]
    world.heal()
    assert [lines_of(world, port) for port in ports] == [{3}, {3}]


def test_a_pinned_flow_stays_on_one_line(world: World) -> None:
    with flow(world, PINNED) as one, flow(world, PINNED_AMONG) as among:
        # Bursts, for which the schedule uses both of the first lines.
        for pinned, allowed in ((one, {1, 2, 3}), (among, {2, 3})):
            arrived, first = pinned.send(40, gap=0)
            assert arrived == list(range(40))
            assert len(first) == 1
            assert first <= allowed
            assert [pinned.send(40, gap=0)[1] for _ in range(3)] == [first] * 3
        # A line that dies gives its flows to another one, and does not get them back.
        (number,) = among.send(5)[1] or among.send(40)[1]
        world.cut(number)
        assert among.send(40, gap=0) == (list(range(40)), {5 - number})
        world.heal()
        assert among.send(40, gap=0)[1] == {5 - number}


def test_what_is_duplicated_survives_either_line_and_comes_once(world: World) -> None:
    with flow(world, DUPLICATED) as stream:
        copies = sum(link["drops"].get("copy", 0) for link in world.tunnel.server.links().values())
        assert stream.send(100) == (list(range(100)), {1, 2})
        links = world.tunnel.server.links().values()
        assert sum(link["drops"].get("copy", 0) for link in links) == copies + 100
        for dead in (1, 2):
            line = world.lab.line(dead)
            lost = line.stats()[Direction.TO_SERVER].lost
            line.set(Direction.TO_SERVER, loss=1.0)
            assert stream.send(200) == (list(range(200)), {1, 2})
            assert line.stats()[Direction.TO_SERVER].lost - lost >= 200
            line.set(Direction.TO_SERVER, loss=0.0)


def test_what_is_dropped_goes_nowhere_and_is_counted(world: World) -> None:
    def dropped() -> int:
        return int(world.tunnel.client.status()["drops"].get("rule", 0))

    before = dropped()
    with flow(world, DROPPED) as one:
        assert one.send(50, arrive=False) == ([], set())
    assert dropped() == before + 50
    # Filters come before rules.
    assert lines_of(world, FILTER_FIRST) == {2}
    assert dropped() == before + 50


either_ip = pytest.mark.parametrize("version", [4, 6])


@either_ip
def test_all_fragments_go_where_the_first_goes(world: World, version: int) -> None:
    with flow(world, PREFERRED, size=LONG, version=version) as one:
        assert one.send(50, gap=0.01) == (list(range(50)), {3})
    with flow(world, FILTERED, size=LONG, version=version) as one:
        assert one.send(50, gap=0.01) == (list(range(50)), {3})
        world.cut(3)
        assert one.send(50, gap=0.01) == (list(range(50)), {2})
    world.heal()
    with flow(world, PINNED, size=LONG, version=version) as one:
        arrived, lines = one.send(40, gap=0.01)
        assert arrived == list(range(40))
        assert len(lines) == 1
        world.cut(*lines)
        arrived, others = one.send(40, gap=0.01)
        assert arrived == list(range(40))
        assert len(others) == 1
        assert others != lines


@either_ip
def test_fragments_that_are_duplicated_survive_either_line(world: World, version: int) -> None:
    with flow(world, DUPLICATED, size=LONG, version=version) as one:
        for dead in (1, 2):
            world.lab.line(dead).set(Direction.TO_SERVER, loss=1.0)
            assert one.send(50, gap=0.01) == (list(range(50)), {1, 2})
            world.lab.line(dead).set(Direction.TO_SERVER, loss=0.0)


@either_ip
def test_no_fragment_of_what_is_dropped_goes_anywhere(world: World, version: int) -> None:
    def dropped() -> int:
        return int(world.tunnel.client.status()["drops"].get("rule", 0))

    before = dropped()
    with flow(world, DROPPED, size=LONG, version=version) as one:
        assert one.send(50, arrive=False) == ([], set())
    assert dropped() == before + 150
