"""A running control server, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlvpnd.operator.status import LinkState, LinkStatus, TunnelStatus
from mlvpnd.operator.status_socket import ControlServer


def snapshot(links: int = 1) -> TunnelStatus:
    """A tunnel with `links` links."""
    return TunnelStatus(
        name="test",
        interface="mlvpn0",
        kind="tun",
        started_at=1000,
        reloaded_at=1000,
        now=1010,
        pid=os.getpid(),
        links=tuple(LinkStatus(f"link{n}", "client", status=LinkState.CONNECTED) for n in range(links)),
    )


def listening(path: Path) -> socket.socket:
    """A unix socket as the helper passes it to the daemon."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(64)
    return sock


@dataclass
class Served:
    """A running server and its addresses."""

    server: ControlServer
    path: str
    port: int
    snapshots: list[int] = field(default_factory=list)
    """One entry for each snapshot taken."""

    async def unix(self) -> Connection:
        return Connection(*await asyncio.open_unix_connection(self.path))

    async def tcp(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))


@dataclass
class Connection:
    """A client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, data: bytes) -> bytes:
        """Sends, and reads to the end of the connection."""
        self.writer.write(data)
        return await self.rest()

    async def rest(self) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        finally:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()

    async def json(self) -> Any:
        """The next JSON object, in upstream's layout."""
        return json.loads(await asyncio.wait_for(self.reader.readuntil(b"]}\n"), 10))


@contextlib.asynccontextmanager
async def serve(directory: Path, *, links: int = 1, idle_limit: float = 5.0) -> AsyncIterator[Served]:
    """A server on a unix socket and on TCP; nothing of it is left afterwards."""
    taken: list[int] = []

    def take() -> TunnelStatus:
        taken.append(1)
        return snapshot(links)

    path = directory / "control"
    server = ControlServer(take, listening(path), [(socket.AF_INET, ("127.0.0.1", 0))], idle_limit=idle_limit)
    await server.start()
    try:
        yield Served(server, str(path), server.http_addresses[0][1], taken)
    finally:
        await server.close()
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def play(directory: Path, scene: Callable[[Served], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Runs a scene with a server."""

    async def run() -> None:
        async with serve(directory, **options) as served:
            await scene(served)

    descriptors = len(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert len(os.listdir("/proc/self/fd")) == descriptors


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Code, header fields and body of an HTTP answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    version, code, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines)
    return int(code), fields, body
