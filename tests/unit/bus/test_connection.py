"""Servers that are no bus; tests/bus speaks to a real one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mlvpnd.bus import connection
from mlvpnd.bus.connection import Connection
from mlvpnd.bus.errors import BusUnavailable

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def problem(path: Path, server: Server) -> str:
    """What is said of a bus that behaves like `server`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await server(reader, writer)
        finally:
            writer.transport.abort()
            served.set()

    served = asyncio.Event()

    async def scenario() -> str:
        listening = await asyncio.start_unix_server(serve, path / "bus")
        try:
            with pytest.raises(BusUnavailable) as caught:
                await Connection.open(f"unix:path={path}/missing;unix:path={path}/bus")
        finally:
            listening.close()
            await served.wait()
        return str(caught.value)

    return asyncio.run(scenario())


def test_a_bus_that_refuses_us(tmp_path: Path) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"REJECTED ANONYMOUS\r\n")
        await reader.read()

    assert problem(tmp_path, server) == "the bus does not accept this process"


def test_something_else_than_a_bus(tmp_path: Path) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OK 1234\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    assert problem(tmp_path, server) == "not a D-Bus message"


def test_a_line_without_end(tmp_path: Path) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 100_000)
        await reader.read()

    assert problem(tmp_path, server) == "the bus does not accept this process"


def test_a_bus_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setattr(connection, "CONNECT_LIMIT", 0.1)
    assert problem(tmp_path, server) == "no answer in time"


def test_a_bus_that_hangs_up(tmp_path: Path) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"OK 1234\r\n")
        await reader.readline()

    assert problem(tmp_path, server) in ("the bus closed the connection", "Connection reset by peer", "Broken pipe")


def test_a_queue_that_is_full_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody accepts: a blocking connect would stand still here, and the tunnel with it."""
    monkeypatch.setattr(connection, "CONNECT_LIMIT", 0.2)
    listener = socket.socket(socket.AF_UNIX)
    waiting = socket.socket(socket.AF_UNIX)
    with listener, waiting:
        listener.bind(str(tmp_path / "bus"))
        listener.listen(0)
        waiting.connect(str(tmp_path / "bus"))
        with pytest.raises(BusUnavailable):
            asyncio.run(asyncio.wait_for(Connection.open(f"unix:path={tmp_path}/bus"), 5))
