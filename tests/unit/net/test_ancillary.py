"""A server's socket that is bound to no address: what it sends leaves from the address that its peer calls."""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlvpnd.net.link_socket import GSO_PAUSE, LinkSocket
from tests.support.lab import wait_until
from tests.unit.net.test_link_socket import SO_TIMESTAMP, UDP_SEGMENT, Recorded, datagrams, receive

CALLED = "127.0.0.5"
"""An address of the loopback interface that the system would not choose."""


class Server(Recorded):
    """A socket that is bound to no address; one of IPv6 takes IPv4, too."""

    def bind(self, address: Any) -> None:
        if self.family == socket.AF_INET6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().bind(("", 0))


class Client(socket.socket):
    """Calls a server by any of its addresses."""

    def __init__(self, server: socket.socket, host: str = "127.0.0.1", scope: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__(family, socket.SOCK_DGRAM)
        self.settimeout(2)
        self._scope = (0, scope) if scope else ()
        self.bind((host, 0, *self._scope))
        self._port = server.getsockname()[1]

    def call(self, host: str, data: bytes = b"hello") -> None:
        self.sendto(data, (host, self._port, *self._scope))

    def answered(self, count: int = 1) -> set[str]:
        """The addresses that the next `count` datagrams come from."""
        return {self.recvfrom(65535)[1][0] for _ in range(count)}


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "mapped"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as sock:
        yield sock


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server) as sock:
        yield sock


def answer(link: LinkSocket, *data: bytes) -> Any:
    """Answers the next datagram with `data`; returns the address that it came with."""
    ((_, address),) = receive(link, 1)
    link.send_batch(data or [b"answer"], address)
    return address


def test_an_answer_leaves_from_the_address_that_was_called(server: Server, client: Client) -> None:
    link = LinkSocket(server, answers=True)
    seen = set()
    for host in (CALLED, "127.0.0.6", CALLED):
        client.call(host)
        seen.add(answer(link))
        assert client.answered() == {host}
    assert len(seen) == 2  # to code that only compares, a peer that calls another address has moved


def test_one_that_does_not_answer_leaves_that_to_the_system(server: Server, client: Client) -> None:
    link = LinkSocket(server)
    client.call(CALLED)
    address = answer(link)
    assert address[1] == client.getsockname()[1]
    assert len(address) == len(server.getsockname())
    assert client.answered() == {"127.0.0.1"}


def test_one_that_is_bound_to_an_address_has_no_other() -> None:
    with Recorded() as near:
        link = LinkSocket(near, answers=True)
        with Client(near) as client:
            client.call("127.0.0.1")
            assert answer(link) == client.getsockname()
            assert client.answered() == {"127.0.0.1"}


def test_runs_go_and_come_by_one_call(server: Server, client: Client) -> None:
    server.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
    link = LinkSocket(server, answers=True)
    sent = datagrams(*[1400] * 20, 700)
    size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 1400))]
    client.sendmsg(sent, size, 0, (CALLED, server.getsockname()[1]))
    received = receive(link, 21)
    assert [datagram for datagram, _ in received] == sent
    assert (link.gro_receives, link.gro_segments) == (1, 21)
    (address,) = {address for _, address in received}
    server.calls.clear()
    link.send_batch(sent, address)
    assert server.calls == [21]
    assert client.answered(21) == {CALLED}


def test_what_waits_for_the_socket_keeps_its_address(server: Server, client: Client) -> None:
    link = LinkSocket(server, answers=True)
    server.room = 0
    for host in (CALLED, "127.0.0.6"):
        client.call(host)
        answer(link, b"1", b"2")
    assert link.blocked
    server.room = 9
    link.flush()
    assert [client.recvfrom(9)[1][0] for _ in range(4)] == [CALLED] * 2 + ["127.0.0.6"] * 2


def test_what_came_before_the_option_was_set_is_answered_so_too(server: Server, client: Client) -> None:
    """An example is the datagram for which systemd has started the daemon."""
    client.call(CALLED)
    answer(LinkSocket(server, answers=True))
    assert client.answered() == {CALLED}


# In a namespace of its own.


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
    # The kernel takes an IPv6 address into use a moment later, also where nobody asks whether another has it.
    tentative = ["ip", "-6", "-o", "addr", "show", "tentative"]
    assert wait_until(lambda: not subprocess.run(tentative, capture_output=True, check=True).stdout, 5)


def addresses_of_ipv6() -> None:
    _ip("link set lo up", *(f"addr add 2001:db8::{n}/128 dev lo nodad" for n in (1, 2)))
    _ip("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up")
    _ip(*(f"addr add fe80::{n}/64 dev v0 nodad" for n in (1, 2)), "addr add fe80::9/64 dev v1 nodad")
    with Server(socket.AF_INET6) as sock:
        link = LinkSocket(sock, answers=True)
        with Client(sock, "2001:db8::1") as client:
            for host in ("2001:db8::2", "2001:db8::1"):
                client.call(host)
                assert answer(link)[4:] == (host, 0)
                assert client.answered() == {host}
        with Client(sock, "fe80::9", socket.if_nametoindex("v1")) as client:
            for host in ("fe80::2", "fe80::1"):
                client.call(host)
                assert answer(link)[4:] == (host, socket.if_nametoindex("v0"))
                assert client.answered() == {host}


def address_that_goes() -> None:
    _ip("link set lo up")
    for family, host, bits in ((socket.AF_INET, "198.18.9.9", 32), (socket.AF_INET6, "2001:db8::9", 128)):
        near = "127.0.0.1" if family == socket.AF_INET else "::1"
        change = f"{host}/{bits} dev lo"
        _ip(f"addr add {change}")
        with Server(family) as sock, Client(sock, near) as client:
            link = LinkSocket(sock, answers=True)
            client.call(host)
            address = answer(link, *datagrams(100, 100))
            assert client.answered(2) == {host}
            _ip(f"addr del {change}")
            link.send_batch(datagrams(100, 100, 50), address)
            assert client.answered(3) == {near}
            assert link.send_errors == 0
            link.send_batch(datagrams(100), address)
            assert client.answered() == {near}
            client.call(near)
            answer(link)
            assert client.answered() == {near}
            _ip(f"addr add {change}")
            client.call(host)
            assert answer(link) == address
            assert client.answered() == {host}
            assert not select.select([], [], [], GSO_PAUSE)[0]
            link.send_batch(datagrams(100, 100), address)
            assert link.gso
            assert client.answered(2) == {host}
        _ip(f"addr del {change}")


@pytest.mark.netns
@pytest.mark.parametrize("scene", [addresses_of_ipv6, address_that_goes])
def test_in_a_namespace(scene: Callable[[], None]) -> None:
    program = f"from {__name__} import {scene.__name__}; {scene.__name__}()"
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert ran.stderr == ""
