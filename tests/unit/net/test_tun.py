"""The interface's edge on a socket pair that stands for the kernel. Each test says whether there is a vnet header."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from mlvpnd.net import tun_offload
from mlvpnd.net.tun import TunDevice
from mlvpnd.net.tun_offload import Offloads
from mlvpnd.offload.coalesce import Coalescer
from mlvpnd.offload.vnet import VNET, VNET_SIZE

PLAIN = bytes(VNET_SIZE)


def run_of(count: int, *, size: int = 1000, family: type[Packet] = IP, udp: bool = False) -> list[bytes]:
    """Packets of one flow that follow each other."""
    packets = []
    for number in range(count):
        outer = IP(src="10.0.0.1", dst="10.0.0.2", id=number) if family is IP else IPv6(src="fd00::1", dst="fd00::2")
        inner = UDP(sport=1, dport=2) if udp else TCP(sport=1, dport=2, seq=1 + number * size, ack=7, flags="A")
        packets.append(bytes(outer / inner / Raw(bytes([number]) * size)))
    return packets


class World:
    """A device and the kernel behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.kernel: socket.socket
        self.refused: dict[int, int] = {}
        """The error that a write fails with, by the kind in the vnet header."""
        self.device: TunDevice

    def open(self, offloads: Offloads) -> TunDevice:
        """Opens the device; must be called once."""
        self._monkeypatch.setattr(tun_offload, "negotiate", lambda _descriptor: offloads)
        self.device = TunDevice(self.new_descriptor())
        return self.device

    def new_descriptor(self) -> int:
        ours, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        for sock in (ours, self.kernel):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        return ours.detach()

    def refuse(self, kind: int, error: int) -> None:
        self.refused[kind] = error
        write = os.write

        def refusing(descriptor: int, data: bytes) -> int:
            if descriptor == self.device.fileno() and data[1] in self.refused:
                raise OSError(self.refused[data[1]], os.strerror(self.refused[data[1]]))
            return write(descriptor, data)

        self._monkeypatch.setattr(os, "write", refusing)

    def came(self) -> list[bytes]:
        """What the kernel got."""
        found = []
        try:
            while True:
                found.append(self.kernel.recv(1 << 17))
        except BlockingIOError:
            return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(monkeypatch)
    yield world
    monkeypatch.undo()
    world.device.close()
    world.kernel.close()


TSO = Offloads(vnet_header=True, tso=True)


def test_a_descriptor_without_a_vnet_header(world: World) -> None:
    device = world.open(Offloads())
    for packet in (b"one", b"two", b"three"):
        world.kernel.send(packet)
    assert device.read_batch(2) == [b"one", b"two"]
    assert device.read_batch(2) == [b"three"]
    assert device.read_batch(2) == []
    packets = run_of(3)
    device.write_batch(packets)
    assert world.came() == packets
    assert (device.packets_read, device.bytes_read) == (3, 11)
    assert (device.packets_written, device.bytes_written) == (3, sum(map(len, packets)))
    assert (device.coalesced_writes, device.tso_reads, sum(device.drops.values())) == (0, 0, 0)


def test_whole_packets_behind_a_vnet_header(world: World) -> None:
    device = world.open(TSO)
    world.kernel.send(PLAIN + b"one")
    world.kernel.send(PLAIN + b"two")
    assert device.read_batch(64) == [b"one", b"two"]
    device.write_batch([b"alone"])
    assert world.came() == [PLAIN + b"alone"]
    assert (device.bytes_read, device.bytes_written) == (6, 5)
    assert (device.packets_written, device.tso_reads, device.coalesced_writes) == (1, 0, 0)


def test_a_checksum_is_finished(world: World) -> None:
    device = world.open(TSO)
    (packet,) = run_of(1)
    partial = bytearray(packet)
    partial[36:38] = sum_of_pseudo_header(packet).to_bytes(2, "big")
    world.kernel.send(VNET.pack(1, 0, 0, 0, 20, 16) + partial)
    assert device.read_batch(64) == [packet]
    assert (device.packets_read, device.tso_reads) == (1, 0)


def sum_of_pseudo_header(packet: bytes) -> int:
    number = int.from_bytes(packet[12:20] + b"\0\6" + (len(packet) - 20).to_bytes(2, "big"), "big")
    return number % 0xFFFF


@pytest.mark.parametrize("family", [IP, IPv6])
@pytest.mark.parametrize("layer2", [False, True])
def test_super_packets_both_ways(world: World, family: type[Packet], layer2: bool) -> None:
    device = world.open(Offloads(vnet_header=True, tso=True, layer2=layer2))
    packets = run_of(30, family=family)
    if layer2:
        packets = [
            bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / family(packet)) for packet in packets
        ]
    device.write_batch(packets)
    (frame,) = world.came()
    world.kernel.send(frame)
    world.kernel.send(PLAIN + b"behind")
    assert device.read_batch(30) == packets
    assert device.read_batch(30) == [b"behind"]
    assert (device.coalesced_writes, device.coalesced_segments) == (1, 30)
    assert (device.tso_reads, device.tso_segments) == (1, 30)
    assert (device.packets_written, device.packets_read) == (30, 31)
    assert (device.bytes_written, device.bytes_read) == (sum(map(len, packets)), sum(map(len, packets)) + 6)


@pytest.mark.parametrize("uso", [False, True])
def test_udp_goes_in_super_packets_where_the_kernel_takes_them(world: World, uso: bool) -> None:
    device = world.open(Offloads(vnet_header=True, tso=True, uso=uso))
    packets = run_of(5, udp=True)
    device.write_batch(packets)
    frames = world.came()
    if uso:
        assert [frame[1] for frame in frames] == [5]
    else:
        assert frames == [PLAIN + packet for packet in packets]
    assert device.coalesced_segments == 5 * uso


def test_what_was_read_and_is_no_packet_is_counted(world: World) -> None:
    device = world.open(TSO)
    world.kernel.send(VNET.pack(1, 3, 0, 1000, 0, 0) + b"unknown kind")
    world.kernel.send(b"\1")
    world.kernel.send(PLAIN + b"good")
    assert device.read_batch(2) == []  # malformed packets end its turn, too
    assert device.read_batch(2) == [b"good"]
    assert device.drops == {"down": 0, "full": 0, "refused": 0, "malformed": 2}


@pytest.mark.parametrize(
    ("error", "cause"),
    [(errno.EIO, "down"), (errno.EAGAIN, "full"), (errno.ENOBUFS, "full"), (errno.EBADFD, "refused")],
)
def test_what_the_kernel_does_not_take_is_counted_by_cause(world: World, error: int, cause: str) -> None:
    device = world.open(TSO)
    world.refuse(0, error)
    world.refuse(1, error)
    device.write_batch([b"alone"])
    device.write_batch(run_of(7))
    assert device.drops.pop(cause) == 8
    assert set(device.drops.values()) == {0}
    assert (device.packets_written, device.coalesced_writes) == (0, 0)


def test_a_kernel_that_takes_no_super_packets_gets_packets(world: World) -> None:
    device = world.open(Offloads(vnet_header=True, tso=True, uso=True))
    world.refuse(5, errno.EINVAL)
    datagrams, segments = run_of(4, udp=True), run_of(4)
    for _ in range(2):
        device.write_batch(datagrams)
        assert world.came() == [PLAIN + packet for packet in datagrams]
    device.write_batch(segments)  # a refusal of UDP is no reason against TCP
    assert len(world.came()) == device.coalesced_writes == 1
    world.refuse(1, errno.EINVAL)
    for _ in range(2):
        device.write_batch(segments)
        assert world.came() == [PLAIN + packet for packet in segments]
    assert (device.coalesced_writes, device.packets_written) == (1, 20)
    assert sum(device.drops.values()) == 0


def test_another_descriptor_is_asked_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    device = world.open(TSO)
    world.kernel.close()
    monkeypatch.setattr(tun_offload, "negotiate", lambda _descriptor: Offloads())
    device.replace(world.new_descriptor())
    device.write_batch(run_of(2))
    assert world.came() == run_of(2)
    assert not device.tso


def syn(size: int) -> bytes:
    """A SYN that allows segments of `size` bytes."""
    return bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2, flags="S", options=[("MSS", size)]))


@pytest.mark.parametrize("offloads", [TSO, Offloads()], ids=["vnet header", "plain"])
def test_segments_are_limited_both_ways(world: World, offloads: Offloads) -> None:
    device = world.open(offloads)
    start = PLAIN if offloads.vnet_header else b""
    others = run_of(2)
    for limits, expected in (((0, 0), 1460), ((1388, 1368), 1388), ((0, 1000), 1460)):
        device.mss = limits
        for packet in (syn(1460), *others):
            world.kernel.send(start + packet)
        assert device.read_batch(64) == [syn(expected), *others]
        device.write_batch([syn(1460)])
        device.write_batch([syn(1460), syn(536)])
        assert world.came() == [start + packet for packet in (syn(expected), syn(expected), syn(536))]


def test_a_checksum_is_finished_before_a_segment_is_limited(world: World) -> None:
    device = world.open(TSO)
    device.mss = (1388, 1368)
    partial = bytearray(syn(1460))
    partial[36:38] = sum_of_pseudo_header(syn(1460)).to_bytes(2, "big")
    world.kernel.send(VNET.pack(1, 0, 0, 0, 20, 16) + partial)
    assert device.read_batch(64) == [syn(1388)]


@pytest.mark.parametrize("layer2", [False, True])
def test_what_is_longer_than_the_interface_takes_is_counted(world: World, layer2: bool) -> None:
    device = world.open(Offloads(vnet_header=True, tso=True, layer2=layer2))
    most = 1000 + (18 if layer2 else 0)
    for mtu, count in ((0, 0), (1000, 1)):
        device.mtu = mtu
        world.kernel.send(PLAIN + bytes(most))
        world.kernel.send(PLAIN + bytes(most + 1))
        assert len(device.read_batch(64)) == 2
        assert device.oversize == count


def test_the_coalescer_is_the_data_planes() -> None:
    """Else the tests above would prove little."""
    packets = run_of(3)
    (frame,) = Coalescer(uso=False, layer2=False).coalesce(packets)
    assert VNET.unpack_from(frame)[:4] == (1, 1, 40, 1000)
