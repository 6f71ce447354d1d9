"""One connection of the server, with operations that are recorded and not done."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
from typing import Any, cast

import pytest

from mlvpnd.errors import MlvpndError
from mlvpnd.helper import server
from mlvpnd.helper.operations import Answer, Operations
from mlvpnd.helper.requests import OpenConfig, Request, TuneSocket

from .descriptors import open_descriptors


class Recorded:
    """Stands in for `Operations`."""

    def __init__(self, answer: Answer | Exception | None = None) -> None:
        self.answer = answer or Answer()
        self.requests: list[tuple[Request, bool]] = []

    async def perform(self, request: Request, descriptor: int | None) -> Answer:
        self.requests.append((request, descriptor is not None))
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _serve(operations: Recorded, message: bytes | None, descriptors: int = 0) -> tuple[bytes, int]:
    """The answer, and how many descriptors come with it; checks that the server leaves none open."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        if message is not None:
            rights = array.array("i", [0] * descriptors)
            mine.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else [])
        else:
            mine.shutdown(socket.SHUT_WR)
        before = open_descriptors()
        before.pop(theirs.fileno())
        asyncio.run(server.serve_connection(theirs, cast(Operations, operations)))
        assert open_descriptors() == before
        data, received, _flags, _address = socket.recv_fds(mine, 65536, 4)
        for descriptor in received:
            os.close(descriptor)
        return data, len(received)


def test_a_request_is_answered() -> None:
    operations = Recorded(Answer({"rc": 3}))
    data, descriptors = _serve(operations, b'{"op": "open-config"}')
    assert json.loads(data) == {"ok": True, "rc": 3}
    assert descriptors == 0
    assert operations.requests == [(OpenConfig(), False)]


def test_a_descriptor_each_way() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    operations = Recorded(Answer(descriptor=reader))
    before = open_descriptors()
    before.pop(reader)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        socket.send_fds(mine, [b'{"op": "tune-socket", "link": "adsl1"}'], [0])
        asyncio.run(server.serve_connection(theirs, cast(Operations, operations)))
        data, received, _flags, _address = socket.recv_fds(mine, 65536, 4)
    assert json.loads(data) == {"ok": True}
    assert len(received) == 1
    os.close(received[0])
    assert operations.requests == [(TuneSocket("adsl1"), True)]
    assert open_descriptors() == before


def test_an_error_is_answered_with_its_text() -> None:
    data, _ = _serve(Recorded(MlvpndError("no such thing")), b'{"op": "open-tun"}')
    assert json.loads(data) == {"error": "no such thing"}


def test_a_bug_is_logged_and_answered_without_detail(log_lines: pytest.LogCaptureFixture) -> None:
    data, _ = _serve(Recorded(ZeroDivisionError("secret")), b'{"op": "open-tun"}')
    assert json.loads(data) == {"error": "open-tun: internal error, see the log"}
    assert log_lines.messages == ["open-tun failed"]


@pytest.mark.parametrize(
    ("message", "descriptors"),
    [
        (b"{}", 0),
        (b"{}", 1),
        (b'{"op": "open-config"}', 1),
        (b'{"op": "tune-socket", "link": "adsl1"}', 0),
        (b'{"op": "tune-socket", "link": "adsl1"}', 2),
        (b'{"op": "tune-socket", "link": "adsl1"}', 9),
        (b'{"op": "open-config"}' + b" " * 4096, 0),
        (b"x" * 100_000, 1),
    ],
    ids=["empty", "empty+1", "unasked", "none", "two", "nine", "long", "endless"],
)
def test_what_is_no_request_gets_one_line_and_is_refused(
    log_lines: pytest.LogCaptureFixture, message: bytes, descriptors: int
) -> None:
    operations = Recorded()
    assert _serve(operations, message, descriptors) == (b'{"error": "refused"}', 0)
    assert operations.requests == []
    assert len(log_lines.messages) == 1
    assert log_lines.messages[0].startswith("request refused: ")


def test_a_caller_that_says_nothing(log_lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _serve(Recorded(), None) == (b"", 0)
    monkeypatch.setattr(server, "REQUEST_TIME_LIMIT", 0.05)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        asyncio.run(asyncio.wait_for(server.serve_connection(theirs, cast(Any, Recorded())), 5))
        assert mine.recv(10) == b""
    assert log_lines.messages == []


def test_a_caller_that_does_not_wait() -> None:
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mine.send(b'{"op": "open-config"}')
    mine.close()
    before = open_descriptors()
    before.pop(theirs.fileno())
    operations = Recorded(Answer(descriptor=os.open("/", os.O_RDONLY)))
    asyncio.run(server.serve_connection(theirs, cast(Operations, operations)))
    assert operations.requests
    assert open_descriptors() == before
