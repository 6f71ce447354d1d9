"""A host where daemons run as services, without systemd and without privilege."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlvpnd.base import proctitle
from mlvpnd.base.options import Options
from mlvpnd.bus import manager
from mlvpnd.daemon import run as daemon_module
from mlvpnd.daemon.run import Daemon
from mlvpnd.helper.client import Configured, HelperError, TunDescriptor
from mlvpnd.helper.service_client import ServiceHelper
from mlvpnd.operator.status import LinkState
from mlvpnd.tunnel import restart
from tests.support import planes
from tests.support.fd_store import Store
from tests.support.peer import ScapyPeer, udp_socket

LIMIT = 5.0
"""Seconds within which anything must happen."""
CONFIG = """[general]
mode = "client"
interface_name = "{interface}"
{more}
[adsl1]
bindhost = "{bindhost}"
remotehost = "127.0.0.1"
remoteport = {port}
bandwidth_upload = 1000
"""


class Helper(ServiceHelper):
    """The helper with two differences: the interface is a socket, and the file is the test's."""

    def __init__(self, port: int, tun: socket.socket) -> None:
        super().__init__("test")
        self.port = port
        self.interface = "mlvpn0"
        self.more = ""
        self.bindhost = "127.0.0.1"
        self.broken: HelperError | None = None
        self.asked: list[str] = []
        self._tun_end = tun

    async def open_config(self) -> bytes:
        if self.broken:
            raise self.broken
        keys = {"interface": self.interface, "more": self.more, "port": self.port, "bindhost": self.bindhost}
        return CONFIG.format(**keys).encode()

    async def open_tun(self) -> TunDescriptor:
        self.asked.append("open_tun")
        return TunDescriptor(os.dup(self._tun_end.fileno()), self.interface, 1428)

    async def configure_tun(self, *, ipv6_path: bool, default_routes: bool = True) -> Configured:
        if self.broken:
            raise self.broken
        return Configured(1428)

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        pass

    async def run_script(self, event: str, link: str | None) -> int:
        self.asked.append(event)
        return 0


class Host:
    """A host for daemons one after the other, with systemd's store, an interface and a peer."""

    def __init__(self, directory: Path) -> None:
        self.runtime = directory / "test"
        self.runtime.mkdir()
        self.state_directory = directory / "state"
        self.store = Store()
        self.peer = ScapyPeer(udp_socket(("127.0.0.1", 0)), b"x", server=True)
        self.tun, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.restarting = False
        self.helper = self.new_helper()

    def new_helper(self) -> Helper:
        self.helper = Helper(self.peer.address[1], self.tun)
        return self.helper

    @contextlib.asynccontextmanager
    async def running(self, *, password: bytes | None = b"x", **descriptors: int) -> AsyncIterator[Daemon]:
        """A daemon that has started. SIGTERM stops it."""
        service = self.store.service(password=password, state_directory=str(self.state_directory))
        service.descriptors |= {name: [number] for name, number in descriptors.items()}
        self.helper.service = service
        daemon = Daemon(Options(config_path="f"), self.helper, None, service)
        running = asyncio.create_task(daemon.run())
        try:
            await until(lambda: any(text.startswith("READY=1") for text in self.store.said) or running.done())
            yield daemon
            os.kill(os.getpid(), signal.SIGTERM)
            assert await asyncio.wait_for(running, LIMIT) == 0
        finally:
            running.cancel()

    async def is_restarting(self, instance: str) -> bool:
        assert instance == "test"
        return self.restarting

    def words(self) -> list[str]:
        """The messages to systemd, without those about the store; then forgets them."""
        found = [text for text in self.store.said if not text.startswith("FDSTORE")]
        self.store.said.clear()
        return found

    def close(self) -> None:
        self.peer.close()
        self.tun.close()
        self.kernel.close()
        self.store.__exit__(None, None, None)


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not happened():  # noqa: ASYNC110  (there is nothing to wait for)
            await asyncio.sleep(0.005)


def run(steps: Coroutine[Any, Any, None]) -> None:
    planes.run(steps)


def is_up(daemon: Daemon) -> bool:
    return daemon.snapshot().links[0].status is LinkState.CONNECTED


@contextlib.contextmanager
def service_host(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose daemons meet nothing of the machine. It lasts as long as the monkeypatch."""
    monkeypatch.setattr(daemon_module, "RELOAD_DELAY", 0.01)
    monkeypatch.setattr(restart, "SAVE_INTERVAL", 0.02)
    monkeypatch.setattr(daemon_module, "RUNTIME_DIRECTORY", str(directory))
    monkeypatch.setattr(proctitle, "set_title", lambda *_, **__: None)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    host = Host(directory)
    monkeypatch.setattr(manager, "is_restarting", host.is_restarting)
    monkeypatch.setattr(daemon_module, "interface_of", lambda _descriptor: ("mlvpn0", False))
    monkeypatch.setattr(daemon_module, "mtu_of", lambda _name: 1234)
    try:
        yield host
    finally:
        host.close()
