"""A link's socket: runs of datagrams in one call, what replaces this call, and datagrams that the system refuses."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mlvpnd.net.link_socket import GSO_PAUSE, MAX_SEGMENTS, QUEUE_LIMIT, RECEIVE_SIZE, LinkSocket

UDP_SEGMENT, UDP_GRO = 103, 104

REFUSED = ("255.255.255.255", 9)
"""An address that is refused: broadcasting needs a socket that has asked for it."""


def refused_for(link: LinkSocket) -> float | None:
    return link.refused_for


def takes_runs(link: LinkSocket) -> bool:
    return link.gso


def test_it_tells_for_how_long_everything_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        link = LinkSocket(sock)
        link.send_batch([b"a"], far.getsockname())
        assert refused_for(link) is None
        link.send_batch([b"b"], REFUSED)
        assert refused_for(link) == 0
        assert (link.send_errors, link.last_error) == (1, "Permission denied")
        before = time.monotonic()
        time.sleep(0.02)
        assert refused_for(link) == 0  # nothing was tried meanwhile
        link.send_batch([b"c", b"d"], REFUSED)
        length = refused_for(link)
        assert length is not None
        assert 0.02 <= length <= time.monotonic() - before + 0.01
        link.send_batch([b"e"], far.getsockname())
        assert refused_for(link) is None
        assert [far.recv(9) for _ in range(2)] == [b"a", b"e"]
        link.close()


def test_what_waits_is_sent_before_the_socket_closes() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with far:
        link = LinkSocket(_Unaddressed(near))
        sent = 0
        while not link.blocked:
            link.send_batch([b"%d" % sent], REFUSED)
            sent += 1
        link.send_batch([b"disconnect"], REFUSED)
        for _ in range(sent - 1):
            far.recv(16)
        link.close()
        assert [far.recv(16), far.recv(16)] == [b"%d" % (sent - 1), b"disconnect"]


class Recorded(socket.socket):
    """A UDP socket that records each call, and fails as it is asked to."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        super().__init__(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.calls: list[int] = []
        """How many datagrams each call was to send."""
        self.run_error: int | None = None
        """The error that refuses a run whose datagrams have more bytes than `largest_in_run`."""
        self.largest_in_run = 0
        """Bytes of a datagram up to which a run is not refused."""
        self.room = 1 << 30
        """Calls until the buffer is full."""

    def sendto(self, data: bytes, address: Any) -> int:  # type: ignore[override]  # one form of several
        self._count(1)
        return super().sendto(data, address)

    def sendmsg(self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None) -> int:
        self._count(len(buffers))
        if self.run_error is not None and len(buffers[0]) > self.largest_in_run:
            raise OSError(self.run_error, os.strerror(self.run_error))
        return super().sendmsg(buffers, ancdata, flags, address)

    def _count(self, datagrams: int) -> None:
        if self.room == 0:
            raise BlockingIOError
        self.room -= 1
        self.calls.append(datagrams)


class OldKernel(Recorded):
    """A socket of a kernel that has neither option."""

    def getsockopt(self, level: int, option: int, *more: Any) -> Any:
        assert (level, option) == (socket.IPPROTO_UDP, UDP_SEGMENT)
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def setsockopt(self, level: int, option: int, *more: Any) -> None:
        assert level != socket.IPPROTO_UDP or option == UDP_GRO
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


class Pair:
    """A link's socket and a far one."""

    def __init__(self, family: int = socket.AF_INET, kind: type[Recorded] = Recorded) -> None:
        self.near = kind(family)
        self.link = LinkSocket(self.near)
        self.far = socket.socket(family, socket.SOCK_DGRAM)
        self.far.settimeout(2)
        self.far.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.address = self.far.getsockname()

    def close(self) -> None:
        self.link.close()
        self.far.close()

    def send(self, datagrams: Sequence[bytes]) -> list[int]:
        """Sends datagrams; returns the number of datagrams in each call."""
        self.near.calls.clear()
        self.link.send_batch(datagrams, self.address)
        return self.near.calls

    def came(self, count: int) -> list[bytes]:
        """The next `count` datagrams, as they are on the wire."""
        return [self.far.recv(65535) for _ in range(count)]


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(request.param)
    yield pair
    pair.close()


def datagrams(*sizes: int) -> list[bytes]:
    """Datagrams of these sizes that can be told from one another."""
    return [bytes([number % 251]) * size for number, size in enumerate(sizes)]


def test_a_single_datagram_is_sent_plainly(pair: Pair) -> None:
    assert pair.send([b"alone"]) == [1]
    assert pair.came(1) == [b"alone"]
    assert (pair.link.gso_sends, pair.link.gso_segments) == (0, 0)


def test_a_run_is_one_call_and_single_datagrams_on_the_wire(pair: Pair) -> None:
    sent = datagrams(*[1400] * 20, 700)
    assert pair.send(sent) == [21]
    assert pair.came(21) == sent
    assert (pair.link.gso_sends, pair.link.gso_segments) == (1, 21)


def test_runs_end_where_sizes_change(pair: Pair) -> None:
    sent = datagrams(100, 100, 60, 60, 60, 1400, 100, 100, 200)
    assert pair.send(sent) == [3, 2, 2, 1, 1]
    assert pair.came(len(sent)) == sent
    assert (pair.link.gso_sends, pair.link.gso_segments) == (3, 7)


def test_a_run_has_its_bounds(pair: Pair) -> None:
    sent = datagrams(*[100] * (MAX_SEGMENTS + 3))
    assert pair.send(sent) == [MAX_SEGMENTS, 3]
    assert pair.came(len(sent)) == sent
    sent = datagrams(*[1472] * 46)
    assert pair.send(sent) == [44, 2]
    assert pair.came(len(sent)) == sent
    assert pair.link.send_errors == 0


FRAME_HEADERS = {socket.AF_INET: 14 + 20 + 8, socket.AF_INET6: 14 + 40 + 8}
"""Bytes of Ethernet, IP and UDP before a run. With them, it must be less than 65536 bytes, or the kernel cuts it."""


def test_a_run_is_no_longer_than_what_a_device_takes_whole(pair: Pair) -> None:
    most = 65535 - FRAME_HEADERS[pair.near.family]
    assert most in (65493, 65473)
    whole = divmod(most, 1424)[0]
    for last, calls in ((most - whole * 1424, [whole + 1]), (most - whole * 1424 + 1, [whole, 1])):
        sent = datagrams(*[1424] * whole, last)
        assert pair.send(sent) == calls
        assert pair.came(len(sent)) == sent


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EMSGSIZE, errno.EIO, errno.EOPNOTSUPP, 524])
def test_a_run_that_is_refused_goes_singly_and_is_tried_again(
    pair: Pair, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("mlvpnd.net.link_socket.time.monotonic", lambda: now)
    pair.near.run_error, pair.near.largest_in_run = error, 299
    large, small = datagrams(*[300] * 5, 100), datagrams(*[200] * 4)
    assert pair.send(large) == [6] + [1] * 6
    assert not takes_runs(pair.link)
    assert pair.send(large) == [1] * 6
    assert pair.send(datagrams(400, 400)) == [1, 1]
    assert pair.send(small) == [4]
    assert not takes_runs(pair.link)
    assert pair.came(18) == [*large, *large, *datagrams(400, 400), *small]
    now += GSO_PAUSE
    assert pair.send(large) == [6] + [1] * 6  # the try costs a call, but no datagram
    assert pair.came(6) == large
    pair.near.largest_in_run = 300
    assert pair.send(large) == [1] * 6
    now += GSO_PAUSE
    assert pair.send(large) == [6]
    assert takes_runs(pair.link)
    assert pair.came(12) == large * 2
    assert (pair.link.gso_sends, pair.link.send_errors, pair.link.refused_for) == (2, 0, None)


def test_where_no_run_is_taken_each_size_is_tried_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlvpnd.net.link_socket.time.monotonic", lambda: 1000.0)
    pair.near.run_error = errno.EIO
    for size in (300, 200, 100):
        assert pair.send(datagrams(size, size)) == [2, 1, 1]
    for size in (300, 200, 100):
        assert pair.send(datagrams(size, size)) == [1, 1]


IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE = 10, 0, 3  # linux/in.h


def test_over_ipv4_routers_may_split_what_leaves(pair: Pair) -> None:
    """This holds for sockets of both families: one of IPv6 has IPv4 peers, too."""
    assert pair.near.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_DONT
    pair.near.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
    LinkSocket(pair.near, routers_split=False)
    assert pair.near.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_PROBE


def test_another_error_is_no_reason_against_runs(pair: Pair) -> None:
    pair.near.run_error = errno.ENETUNREACH
    assert pair.send(datagrams(300, 300, 300)) == [3]
    assert (pair.link.gso, pair.link.send_errors, pair.link.last_error) == (True, 3, "Network is unreachable")
    assert pair.link.refused_for is not None


# In a namespace of its own, where the loopback interface takes no more than a line does.
LARGE_RUN = """
import socket, subprocess
from mlvpnd.net.link_socket import LinkSocket
subprocess.run(["ip", "link", "set", "lo", "up", "mtu", "1500"], check=True)
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    near, far = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    far.bind((host, 0))
    far.settimeout(2)
    link = LinkSocket(near)
    link.send_batch([b"a" * 1400, b"b" * 1400], far.getsockname())
    said = [link.gso]
    link.send_batch([b"c" * 2000, b"d" * 2000, b"e"], far.getsockname())
    link.send_batch([b"f" * 1400, b"g" * 1400], far.getsockname())
    said += [link.gso, link.gso_segments, link.send_errors, *(len(far.recv(65535)) for _ in range(7))]
    print(*said)
"""


@pytest.mark.netns
def test_a_run_larger_than_the_path_takes_goes_in_fragments() -> None:
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", LARGE_RUN], capture_output=True, text=True, timeout=20
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["True False 4 0 1400 1400 2000 2000 1 1400 1400"] * 2


def test_a_kernel_without_the_options() -> None:
    pair = Pair(kind=OldKernel)
    assert (pair.link.gso, pair.link.gro) == (False, False)
    sent = datagrams(*[300] * 5)
    assert pair.send(sent) == [1] * 5
    assert pair.came(5) == sent
    for datagram in [*sent, b"x" * 10000]:
        pair.far.sendto(datagram, pair.near.getsockname())
    received = receive(pair.link, 6)
    assert [datagram for datagram, _ in received] == [*sent, b"x" * RECEIVE_SIZE]
    assert {address for _, address in received} == {pair.address}
    pair.close()


def receive(link: LinkSocket, count: int, limit: int = 64) -> list[tuple[bytes, Any]]:
    """What comes, until there are `count` datagrams."""
    received: list[tuple[bytes, Any]] = []
    while len(received) < count:
        assert select.select([link], [], [], 2)[0], f"{len(received)} of {count} came"
        received += link.receive_batch(limit)
    return received


def test_a_run_is_received_by_one_call(pair: Pair) -> None:
    sent = datagrams(*[1400] * 20, 700)
    size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1400))]
    pair.far.sendmsg(sent, size, 0, pair.near.getsockname())
    pair.far.sendto(b"alone", pair.near.getsockname())
    received = receive(pair.link, 22)
    assert [datagram for datagram, _ in received] == [*sent, b"alone"]
    assert {address for _, address in received} == {pair.address}
    assert (pair.link.gro_receives, pair.link.gro_segments) == (1, 21)


SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING, SO_RXQ_OVFL = 29, 35, 37, 40  # asm-generic/socket.h
OTHER_MESSAGES = [
    (socket.SOL_SOCKET, SO_TIMESTAMP, 1),
    (socket.SOL_SOCKET, SO_TIMESTAMPNS, 1),
    (socket.SOL_SOCKET, SO_TIMESTAMPING, 0x18),
    (socket.SOL_SOCKET, SO_RXQ_OVFL, 1),
    (socket.IPPROTO_IP, socket.IP_RECVTOS, 1),
]
"""Options that bring more control messages: `Timestamping=` of a socket unit is one of the first two."""


@pytest.mark.parametrize("options", [OTHER_MESSAGES[:1], OTHER_MESSAGES[1:2], OTHER_MESSAGES], ids=["us", "ns", "all"])
def test_a_run_is_found_among_other_control_messages(pair: Pair, options: Sequence[tuple[int, int, int]]) -> None:
    for option in options:
        pair.near.setsockopt(*option)
    sent = datagrams(*[1400] * 20, 700)
    size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1400))]
    pair.far.sendto(b"alone", pair.near.getsockname())
    pair.far.sendmsg(sent, size, 0, pair.near.getsockname())
    assert receive(pair.link, 22) == [(datagram, pair.address) for datagram in [b"alone", *sent]]
    assert (pair.link.gro_receives, pair.link.gro_segments) == (1, 21)


def test_what_is_received_has_its_bounds(pair: Pair) -> None:
    """A turn ends with the run that reaches the limit. A datagram that is too long to be one of ours is cut."""
    size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 10))]
    for _ in range(3):
        pair.far.sendmsg([b"0123456789"] * MAX_SEGMENTS, size, 0, pair.near.getsockname())
    assert len(pair.link.receive_batch(MAX_SEGMENTS + 1)) == 2 * MAX_SEGMENTS
    assert len(pair.link.receive_batch(1)) == MAX_SEGMENTS
    pair.far.sendto(b"x" * (RECEIVE_SIZE + 1), pair.near.getsockname())
    assert [datagram for datagram, _ in receive(pair.link, 1)] == [b"x" * RECEIVE_SIZE]


def test_a_full_socket_keeps_the_order(pair: Pair) -> None:
    sent = datagrams(*[500] * 70, *[200] * 3, *[600] * 2)
    pair.near.room = 1
    assert pair.send(sent) == [64]
    pair.link.send_batch([b"behind"], pair.address)
    pair.link.send_batch([b"elsewhere"], pair.near.getsockname())
    pair.near.room = 1
    pair.near.calls.clear()
    pair.link.flush()
    assert pair.near.calls == [7]
    pair.near.room = 1 << 30
    pair.link.flush()
    assert pair.near.calls == [7, 2, 3, 1]
    assert not pair.link.blocked
    assert pair.came(len(sent) + 1) == [*sent, b"behind"]
    assert [datagram for datagram, _ in receive(pair.link, 1)] == [b"elsewhere"]


def test_a_full_queue_drops_the_newest(pair: Pair) -> None:
    pair.near.room = 0
    pair.send(datagrams(*[100] * (QUEUE_LIMIT - 1)))
    pair.send([b"last", b"lost", b"lost"])
    assert pair.link.overflows == 2
    for _ in range(QUEUE_LIMIT // MAX_SEGMENTS):  # each time as many as the far socket takes
        pair.near.room = 1
        pair.link.flush()
        came = pair.came(MAX_SEGMENTS)
    assert came[-1] == b"last"


class _Unaddressed(socket.socket):
    """A connected socket that takes an address and ignores it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())
        self.settimeout(0)

    def sendto(self, data: bytes, address: object) -> int:  # type: ignore[override]  # one form of several
        return self.send(data)
