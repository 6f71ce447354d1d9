"""What comes back from the way to a peer; routers and dead neighbours are in tests/netns/test_silence.py."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mlvpnd.net.probe import refusal

ANY = {socket.AF_INET: ("127.0.0.1", 0), socket.AF_INET6: ("::1", 0, 0, 0)}


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def peer(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.socket(request.param, socket.SOCK_DGRAM) as sock:
        sock.bind(ANY[request.param])
        sock.settimeout(2)
        yield sock


def test_a_port_that_nobody_has_refuses(peer: socket.socket) -> None:
    local, remote = ANY[peer.family], peer.getsockname()
    peer.close()
    assert asyncio.run(refusal(local, remote, "", 2)) == errno.ECONNREFUSED


def test_a_peer_that_says_nothing_refuses_nothing(peer: socket.socket) -> None:
    assert asyncio.run(refusal(ANY[peer.family], peer.getsockname(), "", 0.05)) == 0
    assert peer.recv(10) == b""


def test_an_answer_is_no_refusal(peer: socket.socket) -> None:
    async def scenario() -> int:
        asked = asyncio.create_task(refusal(ANY[peer.family], peer.getsockname(), "", 5))
        await asyncio.sleep(0.05)
        _, source = peer.recvfrom(10)
        peer.sendto(b"x", source)
        return await asked

    assert asyncio.run(scenario()) == 0


def test_what_cannot_even_be_sent(peer: socket.socket) -> None:
    assert asyncio.run(refusal(ANY[peer.family], peer.getsockname(), "no-such-device", 1)) == errno.ENODEV


def test_who_may_not_bind_to_a_device_learns_nothing(peer: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(socket.socket):
        def setsockopt(self, *words: Any) -> None:
            if words[:2] == (socket.SOL_SOCKET, socket.SO_BINDTODEVICE):
                raise PermissionError(errno.EPERM, "no")
            super().setsockopt(*words)

    monkeypatch.setattr("mlvpnd.net.probe.socket.socket", Refused)
    local, remote = ANY[peer.family], peer.getsockname()
    peer.close()
    assert asyncio.run(refusal(local, remote, "lo", 1)) == 0
