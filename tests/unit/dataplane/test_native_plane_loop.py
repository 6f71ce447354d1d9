"""The native loop between sockets that stand for an interface and for links."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from mlvpnd.dataplane._native import lib
from mlvpnd.dataplane.binding.loop import NativeLoop
from mlvpnd.dataplane.native_session import NativeSession
from mlvpnd.offload.coalesce import Coalescer
from mlvpnd.offload.vnet import VNET
from mlvpnd.protocol.links.path import Address, PathParameters, PathStatus
from mlvpnd.protocol.links.session import SessionParameters
from mlvpnd.protocol.wire.box import Box, derive_key
from mlvpnd.protocol.wire.constants import AUTH_OK_PLAINTEXT, HEADER_SIZE
from mlvpnd.protocol.wire.wire import Header, PacketType, pack, parse
from tests.support.session_pair import packet_of
from tests.unit.net.test_tun import run_of, sum_of_pseudo_header, syn

KEY = derive_key(b"pleasechangeme!")
NOW = 1000.0
QUEUE_LIMIT = 256
REFUSED_IN_A_ROW = 65
UDP_SEGMENT, UDP_GRO = 103, 104
REPORTS = lib.LOOP_SLOW_DATAGRAM | lib.LOOP_SLOW_PACKET | lib.LOOP_TUN_LOST


def udp_socket(family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


class World:
    """A client with links that are up, and the peer's socket on each link."""

    def __init__(self, reorder_size: int = 0, links: int = 2, family: int = socket.AF_INET) -> None:
        parameters = SessionParameters(KEY, is_server=False, reorder_size=reorder_size)
        self.session = NativeSession(parameters, 1, iter(range(1, links + 1)).__next__)
        self.tun, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self.wake, self.waker = os.pipe()
        self.links = [udp_socket(family) for _ in range(links)]
        self.peers = [udp_socket(family) for _ in range(links)]
        self.box = Box(KEY)
        self.loop: NativeLoop

    def start(self) -> None:
        for number, peer in enumerate(self.peers):
            self.session.add_path(number, PathParameters(f"link{number}", 60.0), 1)
            self.session.path_ready(number, peer.getsockname(), NOW)
        self.session.handle_timer(NOW)
        for number in range(len(self.links)):
            answer = self.datagram(number, PacketType.AUTH_OK, AUTH_OK_PLAINTEXT, 1)
            self.session.receive(number, [(answer, self.peers[number].getsockname())], NOW)
            assert self.session.path(number).status is PathStatus.AUTHOK
            self.session.path(number).last_auth_at = float("-inf")  # a stranger is a reason to ask again
        self.session.transmits()
        self.loop = NativeLoop(self.session.engine)
        self.loop.housekeeping_at = float("inf")
        self.loop.watch_tun(self.tun.fileno(), has_vnet=False, uso=False)
        for number, link in enumerate(self.links):
            self.loop.attach_link(number, link.fileno(), gso=False, gro=False, answers=False)

    def datagram(self, number: int, kind: PacketType, plaintext: bytes, seq: int, flow: int | None = None) -> bytes:
        """A datagram of the peer."""
        flow = 100 + number if flow is None else flow
        payload = self.box.seal(plaintext, flow, seq)
        return pack(Header(len(payload), kind, True, 0, 0xFFFF, flow, seq, seq)) + payload

    def sent(self) -> list[bytes]:
        """The packets that went out by any link."""
        found = []
        for datagram in (one for peer in self.peers for one in self.came(peer)):
            header = parse(datagram)
            assert isinstance(header, Header)
            packet = self.box.open(datagram[HEADER_SIZE:], header.flow_id, header.seq)
            assert packet is not None
            found.append(packet)
        return found

    def send(self, number: int, datagrams: list[bytes]) -> None:
        """Sends datagrams from the peer on a link."""
        for datagram in datagrams:
            self.peers[number].sendto(datagram, self.links[number].getsockname())

    def send_joined(self, number: int, datagrams: list[bytes]) -> None:
        """Sends datagrams of one size in one piece, to a link that has UDP_GRO."""
        self.links[number].setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        self.loop.attach_link(number, self.links[number].fileno(), gso=False, gro=True, answers=False)
        size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", len(datagrams[0])))]
        self.peers[number].sendmsg(datagrams, size, 0, self.links[number].getsockname())

    def came(self, sock: socket.socket) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(sock.recv(1 << 16))
        except BlockingIOError:
            return found

    def close(self) -> None:
        for sock in (self.tun, self.kernel, *self.links, *self.peers):
            sock.close()
        os.close(self.wake)
        os.close(self.waker)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.start()
    yield world
    world.close()


def test_packets_pass_both_ways(world: World) -> None:
    packets = [packet_of(number) for number in range(3)]
    world.send(1, [world.datagram(1, PacketType.DATA, packet, 2 + n) for n, packet in enumerate(packets)])
    assert world.loop.run(world.wake, 0.05) & ~lib.LOOP_WOKEN == 0
    assert world.came(world.kernel) == packets
    for packet in packets:
        world.kernel.send(packet)
    world.loop.run(world.wake, 0.05)
    assert sum(len(world.came(peer)) for peer in world.peers) == 3


def test_what_links_bring_is_taken_in_the_order_it_was_sent_in() -> None:
    """One read of a link brings more than the reorder buffer holds.

    The next link's packets would have filled its holes.
    """
    world = World(reorder_size=64)
    world.start()
    for sock in (world.tun, world.kernel):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    packets = [packet_of(number) for number in range(240)]
    data = [world.datagram(number % 2, PacketType.DATA, packet, 2 + number) for number, packet in enumerate(packets)]
    for start in range(0, 240, 80):
        for number in range(2):
            world.send_joined(number, data[start + number : start + 80 : 2])
    passed: list[bytes] = []
    for _ in range(3):
        assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
        passed += world.came(world.kernel)
    assert passed == packets
    reorder = world.session.reorder
    assert reorder is not None
    assert reorder.late == 0
    world.close()


def test_more_links_than_there_is_room_for_at_once_have_their_turn() -> None:
    """Each link needs the room of a super-packet, whatever comes."""
    count = 80
    world = World(links=count)
    world.start()
    for number in range(count):
        world.send_joined(number, [world.datagram(number, PacketType.DATA, packet_of(number), 2 + number)])
    came: list[bytes] = []
    for _ in range(2):
        assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
        came += world.came(world.kernel)
    assert sorted(came) == sorted(packet_of(number) for number in range(count))
    world.close()


def test_a_lie_about_the_order_holds_up_the_liars_link_only(world: World) -> None:
    """The liar's link waits only for what others have brought.

    A packet that has no place in the order is taken first.
    """
    packets = [packet_of(number) for number in range(4)]
    lie = world.datagram(0, PacketType.DATA, packet_of(9), (1 << 64) - 1, flow=100)[:-1] + b"x"
    data = [world.datagram(0, PacketType.DATA, packets[0], 9), world.datagram(1, PacketType.DATA, packets[1], 10)]
    small = world.datagram(1, PacketType.DATA, packets[2], 11)
    small = pack(Header(len(packets[2]) + 16, PacketType.DATA, False, 0, 0xFFFF, 101, 11, 0)) + small[28:]
    world.send(0, [lie, data[0]])
    world.send(1, [small, data[1]])
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
    assert world.came(world.kernel) == [packets[2], packets[1], packets[0]]


def test_all_that_several_links_have_brought_can_be_asked_for(world: World) -> None:
    """The datagrams are asked for before one of the links goes."""
    bye = [world.datagram(number, PacketType.DISCONNECT, b"", 20) for number in range(2)]
    for number in range(2):
        world.send(number, [bye[number]])
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
    found = dict([world.loop.slow_datagrams(rest=True), world.loop.slow_datagrams(rest=True)])
    assert {number: [datagram for datagram, _ in found[number]] for number in found} == {0: bye[:1], 1: bye[1:]}
    assert world.loop.slow_datagrams(rest=True) == (-1, [])


def test_what_is_for_python_of_one_link_does_not_shut_others_out(world: World) -> None:
    """Anybody can send datagrams that only Python can refuse, and any number of them."""
    strange = world.datagram(0, PacketType.DATA, packet_of(1), 7, flow=999)
    packet = packet_of(2)
    world.send(1, [world.datagram(1, PacketType.DATA, packet, 2)])
    for _ in range(100):
        world.send(0, [strange] * 2)  # these datagrams never come to an end
        assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
        number, datagrams = world.loop.slow_datagrams(rest=False)
        assert (number, {datagram for datagram, _ in datagrams}) == (0, {strange})
        if world.came(world.kernel) == [packet]:
            return
    raise AssertionError("the other link was never read")


def test_of_a_burst_only_what_is_for_python_goes_there(world: World) -> None:
    """It goes in its order. What came before it has passed, and what came behind it passes afterwards."""
    packets = [packet_of(1), packet_of(2)]
    data = [world.datagram(0, PacketType.DATA, packet, 2 + number) for number, packet in enumerate(packets)]
    bye = world.datagram(0, PacketType.DISCONNECT, b"", 20)
    world.send(0, [b"garbage", data[0], bye, data[1], b"garbage"])
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
    assert world.loop.slow_datagrams(rest=False) == (0, [(bye, world.peers[0].getsockname())])
    assert world.came(world.kernel) == packets[:1]
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
    assert world.came(world.kernel) == packets[1:]
    assert [(reason.name, count) for reason, count in world.session.path(0).drops.items()] == [("SHORT", 2)]
    assert world.loop.slow_datagrams(rest=False) == (-1, [])


def test_what_is_for_python_takes_along_what_most_likely_is_too(world: World) -> None:
    """Strangers send what they like, so not each of their datagrams may cost a turn of Python."""
    source = world.peers[0].getsockname()
    strange = world.datagram(0, PacketType.DATA, packet_of(9), 7, flow=999)
    data = [world.datagram(0, PacketType.DATA, packet_of(number), 2 + number) for number in range(5)]
    world.send(0, [strange, strange, b"garbage", data[0], strange, data[1], strange, data[2], strange, data[3]])
    for expected, passed in (([strange, strange, b"garbage"], []), ([strange], [0])):
        assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
        assert world.loop.slow_datagrams(rest=False) == (0, [(datagram, source) for datagram in expected])
        assert world.came(world.kernel) == [packet_of(number) for number in passed]
    # The loop was stopped too often, so all that is left goes along.
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
    rest = [strange, data[2], strange, data[3]]
    assert world.loop.slow_datagrams(rest=False) == (0, [(datagram, source) for datagram in rest])
    assert world.came(world.kernel) == [packet_of(1)]
    world.send(0, [data[4], strange])
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
    assert world.came(world.kernel) == [packet_of(4)]


@pytest.mark.parametrize("kind", PacketType, ids=lambda kind: kind.name)
def test_who_has_no_key_never_reaches_python(world: World, kind: PacketType) -> None:
    """It does not matter which type, flow and address the stranger claims."""
    box = Box(derive_key(b"nobody has this password"))
    own = world.session.path(0).flow_id
    forged = []
    for seq, flow in enumerate((100, 101, 999, own), 50):
        payload = box.seal(b"", flow, seq)
        forged.append(pack(Header(len(payload), kind, True, 0, 0xFFFF, flow, seq, seq)) + payload)
    with udp_socket() as elsewhere:
        for sock in (world.peers[0], elsewhere):
            for datagram in forged:
                sock.sendto(datagram, world.links[0].getsockname())
        assert world.loop.run(world.wake, 0.1) == lib.LOOP_WOKEN
    dropped = {reason.name: count for reason, count in world.session.path(0).drops.items()}
    assert dropped == {"NOT_AUTHENTIC": 4, "WRONG_LINK": 2, "REFLECTED": 2}


def test_what_was_recorded_never_reaches_python_twice(world: World) -> None:
    """Genuine datagrams come again: as they were, under another type, on another link, back at their sender.

    Some are of a session before.
    """
    path = world.session.path(0)
    path.last_auth_at = float("inf")  # the link has just asked again
    data = world.datagram(0, PacketType.DATA, packet_of(1), 2)
    changed = bytearray(world.datagram(0, PacketType.DATA, packet_of(1), 9))
    changed[2] = PacketType.DISCONNECT << 4 | 1
    sealed = world.box.seal(b"", path.flow_id, 3)
    reflected = pack(Header(len(sealed), PacketType.KEEPALIVE, True, 0, 0xFFFF, path.flow_id, 3, 0)) + sealed
    before = [world.datagram(0, kind, b"", 7, flow=999) for kind in (PacketType.KEEPALIVE, PacketType.DISCONNECT)]
    world.send(0, [data])
    world.loop.run(world.wake, 0.05)
    for _ in range(3):
        world.send(0, [data, bytes(changed), world.datagram(1, PacketType.DATA, packet_of(1), 5), reflected, *before])
        assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
    assert {reason.name: count for reason, count in path.drops.items()} == {
        "REPLAYED": 3,
        "BAD_PLAINTEXT": 3,
        "WRONG_LINK": 3,
        "REFLECTED": 3,
        "UNKNOWN_FLOW": 6,
    }


def test_a_link_that_only_strangers_write_to_rests_between_readings(world: World) -> None:
    """So not each of the strangers' datagrams costs a turn.

    The other link is read at once; a packet of the peer ends the rest.
    """

    def came_at_once(seq: int) -> list[bytes]:
        for number in (0, 1):
            world.send(number, [world.datagram(number, PacketType.DATA, packet_of(number), seq)])
        world.loop.run(world.wake, 0.0)
        return world.came(world.kernel)

    both = [packet_of(0), packet_of(1)]
    for seq in range(2, 42, 2):
        assert came_at_once(seq) == both
        world.send(0, [b"garbage"] * REFUSED_IN_A_ROW)
        world.loop.run(world.wake, 0.0)
        came = came_at_once(seq + 1)
        if came == both[1:]:
            break
        assert came == both  # a busy machine: the rest was over
    else:
        pytest.fail("it never rested")
    world.loop.run(world.wake, 0.05)
    assert world.came(world.kernel) == both[:1]
    assert came_at_once(100) == both


def test_a_keepalive_is_heard_and_answered_without_python(world: World) -> None:
    path = world.session.path(0)
    path.heard_at = 0.0
    world.send(0, [world.datagram(0, PacketType.KEEPALIVE, b"", number) for number in (2, 2, 3)])
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
    assert path.heard_at > 0
    assert path.packets_received == 3  # with the AUTH_OK
    assert {reason.name: count for reason, count in path.drops.items()} == {"REPLAYED": 1}
    [answer] = world.came(world.peers[0])
    assert (answer[2] >> 4, len(answer)) == (PacketType.KEEPALIVE, 44)
    assert world.came(world.peers[1]) == []


def test_all_that_was_read_can_be_asked_for(world: World) -> None:
    bye, data = world.datagram(0, PacketType.DISCONNECT, b"", 20), world.datagram(0, PacketType.DATA, packet_of(1), 2)
    world.send(0, [bye, data])
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
    source = world.peers[0].getsockname()
    assert world.loop.slow_datagrams(rest=True) == (0, [(bye, source), (data, source)])


def test_what_a_lost_socket_has_brought_is_forgotten(world: World) -> None:
    """Whoever wants the datagrams asks for them before."""
    world.send(0, [world.datagram(0, PacketType.DISCONNECT, b"", number) for number in range(20, 23)])
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_SLOW_DATAGRAM
    world.loop.detach_link(0)
    assert world.loop.slow_datagrams(rest=True) == (-1, [])
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN


def test_what_waits_for_a_socket_that_takes_nothing_is_bounded(world: World) -> None:
    """The bound holds when the socket says that it is full, and also afterwards."""
    # A TCP connection that nobody reads stands for a full buffer: UDP has none on the loopback interface.
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sender:
        sender.setblocking(False)
        world.loop.attach_link(0, sender.fileno(), gso=False, gro=False, answers=False)
        world.session.disconnect(1, NOW)
        world.session.transmits()
        try:
            while True:
                sender.send(bytes(1 << 16))
        except BlockingIOError:
            pass
        packets = [packet_of(number, 1400) for number in range(1000)]
        for _ in range(5):
            world.session.send(packets, NOW)
            world.loop.flush()
        counts, _, _ = world.loop.link_counts(0)
        waiting = sum(len(transmit.datagrams) for transmit in world.session.transmits())
        assert waiting == QUEUE_LIMIT
        assert counts["overflows"] > 4 * len(packets)
        assert counts["send_errors"] == 0


def test_the_last_data_is_known_of_in_time(world: World) -> None:
    """Nothing else has to come before it is known."""
    now = world.loop.data_at
    assert now < 0
    world.send(0, [world.datagram(0, PacketType.DATA, packet_of(1), 2)])
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN  # the deadline
    data_at = world.loop.data_at
    assert data_at > 0
    world.loop.housekeeping_at = data_at + 0.1
    assert world.loop.run(world.wake, 30.0) == lib.LOOP_HOUSEKEEPING


def test_without_an_interface_what_comes_is_counted(world: World) -> None:
    loop = NativeLoop(world.session.engine)
    loop.deliver([packet_of(1), packet_of(2)])
    assert loop.tun_counts()["refused"] == 2
    assert loop.tun_counts()["packets_written"] == 0


def test_an_interface_that_is_not_read_any_more_is_still_written_to(world: World) -> None:
    world.loop.unwatch_tun()
    world.kernel.send(packet_of(1))
    world.send(0, [world.datagram(0, PacketType.DATA, packet_of(2), 2)])
    assert world.loop.run(world.wake, 0.05) == lib.LOOP_WOKEN
    world.loop.deliver([packet_of(3)])
    assert world.came(world.kernel) == [packet_of(2), packet_of(3)]
    assert world.loop.tun_counts()["packets_read"] == 0


def test_links_have_their_turn_after_so_many_packets_however_few_reads_bring_them(world: World) -> None:
    """The limit is the reference twin's: 64 packets, and what the last read brings."""
    frames = Coalescer(uso=False, layer2=False).coalesce([packet for _ in range(6) for packet in run_of(40)])
    assert len(frames) == 6
    for sock in (world.tun, world.kernel):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    world.loop.watch_tun(world.tun.fileno(), has_vnet=True, uso=False)
    for frame in frames:
        world.kernel.send(frame)
    os.write(world.waker, b"x")  # so that the loop comes back after each turn
    for packets in (80, 160, 240, 240):
        assert world.loop.run(world.wake, 1.0) == lib.LOOP_WOKEN
        assert world.loop.tun_counts()["packets_read"] == packets


def test_an_interface_that_goes_is_told_of(world: World) -> None:
    world.kernel.close()
    pipe_out, pipe_in = os.pipe()
    world.loop.watch_tun(
        pipe_in, has_vnet=False, uso=False
    )  # cannot be read: EBADF, as an interface that was deleted says EBADFD
    os.close(pipe_out)
    assert world.loop.run(world.wake, 1.0) & lib.LOOP_TUN_LOST
    assert world.loop.tun_error
    os.close(pipe_in)


def test_a_scope_is_a_number_beside_an_address(world: World) -> None:
    """Addresses are as the socket module gives them, for `address != path.peer` compares them."""
    source: Address = ("fe80::5", 5080, 0, 3)
    world.session._emit(world.session.path(0), PacketType.KEEPALIVE, b"", address=source)
    assert [transmit.address for transmit in world.session.transmits()] == [source]


def test_a_datagram_too_large_for_the_tunnel_is_cut_with_gro_as_without(world: World) -> None:
    packet = packet_of(1, 20000)
    world.links[0].setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    world.loop.attach_link(0, world.links[0].fileno(), gso=False, gro=True, answers=False)
    world.send(0, [world.datagram(0, PacketType.DATA, packet, 2)])
    world.loop.run(world.wake, 0.05)
    assert world.came(world.kernel) == []
    assert [(reason.name, count) for reason, count in world.session.path(0).drops.items()] == [("BAD_LENGTH", 1)]


def test_segments_are_limited_both_ways(world: World) -> None:
    for limits, expected in (((0, 0), 1460), ((1388, 1368), 1388)):
        world.loop.set_limits(1428, *limits)
        seq = 10 + expected
        world.send(0, [world.datagram(0, PacketType.DATA, packet, seq + n) for n, packet in enumerate([syn(1460)] * 2)])
        world.loop.run(world.wake, 0.05)
        assert world.came(world.kernel) == [syn(expected)] * 2
        world.kernel.send(syn(1460))
        world.loop.run(world.wake, 0.05)
        assert world.sent() == [syn(expected)]


def test_a_checksum_is_finished_before_a_segment_is_limited(world: World) -> None:
    world.loop.watch_tun(world.tun.fileno(), has_vnet=True, uso=False)
    world.loop.set_limits(1428, 1388, 1368)
    partial = bytearray(syn(1460))
    partial[36:38] = sum_of_pseudo_header(syn(1460)).to_bytes(2, "big")
    world.kernel.send(VNET.pack(1, 0, 0, 0, 20, 16) + partial)
    world.loop.run(world.wake, 0.05)
    assert world.sent() == [syn(1388)]


def test_what_is_longer_than_the_interface_takes_is_counted(world: World) -> None:
    for has_vnet, start in ((False, b""), (True, bytes(10))):
        world.loop.watch_tun(world.tun.fileno(), has_vnet=has_vnet, uso=False)
        before = world.loop.tun_counts()["oversize"]
        for mtu, count in ((0, 0), (100, 0), (99, 1)):
            world.loop.set_limits(mtu, 0, 0)
            world.kernel.send(start + packet_of(1, 100))
            world.loop.run(world.wake, 0.05)
            assert world.loop.tun_counts()["oversize"] - before == count
