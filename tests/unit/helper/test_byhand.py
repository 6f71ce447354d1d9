"""The parts of the start by hand that need no second process; tests/netns/test_byhand.py has the whole."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any, cast

import pytest

from mlvpnd.base.options import Options
from mlvpnd.config.schema import MAX_LINKS
from mlvpnd.daemon import sandbox
from mlvpnd.errors import MlvpndError
from mlvpnd.helper import byhand
from mlvpnd.helper.byhand import ByHandConnector
from mlvpnd.helper.client import HelperClient

from .descriptors import open_descriptors


def _no_child(_options: Options, _helper: HelperClient) -> int:
    raise AssertionError("it must not come to this")


@pytest.fixture(autouse=True)
def _never_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise AssertionError("it must not come to this")

    monkeypatch.setattr(os, "fork", fail)
    monkeypatch.setattr(byhand, "_detach", fail)


def test_a_missing_file_is_said_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(MlvpndError, match="nix.conf: unable to open file"):
        byhand.run(Options(config_path=str(tmp_path / "nix.conf"), user="nosuchuser"), _no_child)


def test_a_file_that_others_can_read(config_path: Path) -> None:
    config_path.chmod(0o644)
    with pytest.raises(MlvpndError, match="file is group/other accessible"):
        byhand.run(Options(config_path=str(config_path)), _no_child)


def test_a_user_that_is_not_there(config_path: Path) -> None:
    with pytest.raises(sandbox.SandboxError, match="unknown user nosuchuser"):
        byhand.run(Options(config_path=str(config_path), user="nosuchuser"), _no_child)


def test_a_tun_device_that_is_not_there(config_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byhand, "TUN_DEVICE", "/nonexistent/tun")
    with pytest.raises(byhand.StartError, match="unable to open /nonexistent/tun"):
        byhand.run(Options(config_path=str(config_path), user="nobody"), _no_child)


def test_a_connection_is_passed_over_the_channel() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = open_descriptors()
    with ours, theirs:
        mine = ByHandConnector(theirs)()
        data, descriptors, _flags, _address = socket.recv_fds(ours, 10, 2)
        assert data == b"c"
        with mine, socket.socket(fileno=descriptors[0]) as other:
            other.send(b"hello")
            assert mine.recv(10) == b"hello"
        assert open_descriptors() == before


def test_a_channel_that_is_full_or_closed() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connect = ByHandConnector(theirs)
    kept = []

    def fill() -> None:
        for _ in range(10_000):
            kept.append(connect())

    before = open_descriptors()
    before.pop(ours.fileno())
    with theirs:
        with ours, pytest.raises(BlockingIOError):
            fill()
        for sock in kept:
            sock.close()
        for _ in range(2):
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                connect()
        assert open_descriptors() == before


def _null_device() -> IO[bytes]:
    return open("/dev/null", "rb")


def test_what_the_child_may_send_over_the_channel(log_lines: pytest.LogCaptureFixture) -> None:
    """Anything but one seqpacket socket is refused; at the end of the channel the child is stopped."""
    signals: list[int] = []

    async def scenario() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            parent = byhand._Parent(Options(), cast(Any, None), 0, ours)
            cast(Any, parent)._signal_child = signals.append
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, _null_device() as null:
                theirs.send(b"c")
                socket.send_fds(theirs, [b"c"], [udp.fileno()])
                socket.send_fds(theirs, [b"c"], [null.fileno()])
                socket.send_fds(theirs, [b"c"], [null.fileno(), null.fileno()])
                socket.send_fds(theirs, [b"too long"], [theirs.fileno()])
            theirs.close()
            await asyncio.wait_for(parent._accept(cast(Any, None)), 5)

    before = open_descriptors()
    asyncio.run(scenario())
    assert log_lines.messages == [
        "connection refused: no descriptor",
        "connection refused: not a seqpacket socket",
        "connection refused: not a seqpacket socket",
        "connection refused: more than one descriptor",
        "connection refused: the message is too long",
    ]
    assert signals == [15]
    assert open_descriptors() == before


NO_PID = 1 << 22
"""A number that no process has: PID_MAX_LIMIT of linux/threads.h. Stopping it does not stop the tests."""


def _while_accepting(steps: Callable[[byhand._Parent, socket.socket], Awaitable[None]]) -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            parent = byhand._Parent(Options(), cast(Any, None), NO_PID, ours)
            accepting = asyncio.create_task(parent._accept(cast(Any, None)))
            await steps(parent, theirs)
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)

    asyncio.run(scenario())


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it does not")


def test_every_link_may_ask_at_once(log_lines: pytest.LogCaptureFixture) -> None:
    async def steps(parent: byhand._Parent, theirs: socket.socket) -> None:
        connections = [ByHandConnector(theirs)() for _ in range(MAX_LINKS + 4)]
        await _until(lambda: len(parent._connections) == MAX_LINKS + 4)
        for sock in connections:
            sock.close()
        await _until(lambda: not parent._connections)

    _while_accepting(steps)
    assert log_lines.messages == []


def test_the_number_of_requests_at_a_time_is_bounded(
    log_lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byhand, "_MAX_CONNECTIONS", 3)

    async def steps(parent: byhand._Parent, theirs: socket.socket) -> None:
        connections = [ByHandConnector(theirs)() for _ in range(5)]
        await asyncio.sleep(0.1)
        assert [sock.recv(1, socket.MSG_DONTWAIT) for sock in connections[3:]] == [b"", b""]
        for sock in connections:
            sock.close()

    _while_accepting(steps)
    assert log_lines.messages == ["connection refused: 3 requests are being served already"] * 2


def test_a_child_that_never_stops_asking_does_not_hold_the_parent_up(log_lines: pytest.LogCaptureFixture) -> None:
    async def steps(_parent: byhand._Parent, theirs: socket.socket) -> None:
        for _ in range(100):
            theirs.send(b"c")
        for _ in range(3):
            await asyncio.sleep(0)
        assert 0 < len(log_lines.messages) < 5

    _while_accepting(steps)


@pytest.mark.parametrize(
    ("status", "stopped_by", "code"),
    [(0, [15], 0), (0, [], 0), (1, [15], 1), (3, [], 3), (-9, [], 1), (-9, [15, 15], 1), (-15, [15], 0), (-15, [], 1)],
)
def test_exit_codes(status: int, stopped_by: list[int], code: int, log_lines: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        parent = byhand._Parent(Options(), cast(Any, None), 0, ours)
        parent._stop_signals = stopped_by
        assert parent._exit_code(status) == code
    if status < 0 and code:
        assert log_lines.messages == [f"the daemon was killed by signal {-status}"]
