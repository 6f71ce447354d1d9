"""The daemon's stubs for the helper under systemd: two roles behind sockets. Names are resolved here, in threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlvpnd.config.model import Config
from mlvpnd.systemd import notify
from mlvpnd.systemd.generator import control_path
from mlvpnd.systemd.given import Service

from . import address, requests, state_file
from .address import Role
from .client import HelperClient, HelperError

MAX_LOOKUPS = 8
"""Names looked up at the same time, each in a thread."""
_BACKLOG = 16


class ServiceHelper(HelperClient):
    """The helper behind its sockets. The names to resolve are in `config`; `service` is what systemd gave."""

    def __init__(self, instance: str, directory: str = address.DIRECTORY) -> None:
        super().__init__(lambda: address.connect(instance, self._role, directory))
        self._instance = instance
        self._directory = directory
        self._role = Role.HELPER
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)
        self.config: Config | None = None
        self.service: Service | None = None

    def wake(self, role: Role) -> None:
        """Has a role started before the first request. The script role stays while down scripts are owed.

        At a stop it is too late: a socket that is about to be stopped starts nothing.
        """
        address.wake(self._instance, role, self._directory)

    async def _ask_once(self, request: requests.Request, limit: float, sent: int | None) -> Any:
        self._role = Role.SCRIPT if isinstance(request, requests.RunScript) else Role.HELPER
        return await super()._ask_once(request, limit, sent)

    async def resolve(self, end: str, link: str | None = None) -> list[tuple[int, Any]]:
        """As in `HelperClient`, but in this process."""
        if self.config is None:
            raise HelperError("no configuration yet")
        if link is None:
            host, port = self.config.control_bind_host, self.config.control_bind_port
        else:
            section = self.config.link(link)
            if section is None:
                raise HelperError(f"no link {link}")
            remote = end == requests.End.REMOTE.value
            host, port = (section.remotehost, section.remoteport) if remote else (section.bindhost, section.bindport)
        flags = 0 if end == requests.End.REMOTE.value else socket.AI_PASSIVE
        await self._lookups.acquire()
        try:
            return await _look_up(host, port, flags, self._lookups.release)
        except (OSError, UnicodeError) as error:
            raise HelperError(getattr(error, "strerror", None) or str(error)) from None

    async def open_control(self) -> socket.socket | None:
        """The file's control socket: from its socket unit, or bound here in the runtime directory.

        Raises HelperError: systemd has not made it, as the file changed since its generator ran.
        """
        inherited = self.service.take(notify.CONTROL) if self.service is not None else None
        if inherited is not None:
            return socket.socket(fileno=inherited)
        if self.config is None:
            return None
        if control_path(self.config, self._instance):
            mend = f"type 'systemctl daemon-reload' and 'systemctl restart mlvpn@{self._instance}'"
            raise HelperError(f"systemd makes this socket and has not read the file again: {mend}")
        path = self.config.control_unix_path
        return listen(path) if path else None

    async def open_log(self) -> socket.socket | None:
        """None: the journal needs no connection."""
        return None

    async def read_state(self) -> bytes | None:
        """As in `HelperClient`, but in this process."""
        try:
            return await asyncio.to_thread(state_file.read, self._state_path())
        except OSError as error:
            raise HelperError(f"the state file cannot be read: {error.strerror}") from None

    async def write_state(self, text: bytes) -> None:
        """As in `HelperClient`, but in this process."""
        path = self._state_path()
        try:
            await asyncio.to_thread(state_file.write, path, text)
        except OSError as error:
            raise HelperError(f"{path}: {error.strerror}") from None

    def _state_path(self) -> str:
        directory = self.service.state_directory if self.service is not None else ""
        if not directory:
            raise HelperError("the unit has no StateDirectory=")
        return f"{directory}/{state_file.SERVICE_FILE}"


async def _look_up(host: str, port: str, flags: int, ended: Callable[[], None]) -> list[tuple[int, Any]]:
    """`getaddrinfo` in a thread that a stop does not wait for: a silent name server would delay it.

    `ended` is called when the thread is done, which may be long after this was cancelled.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[tuple[int, Any]]] = loop.create_future()

    def settle(result: list[tuple[int, Any]], error: Exception | None) -> None:
        ended()
        if found.cancelled():
            return
        if error is None:
            found.set_result(result)
        else:
            found.set_exception(error)

    def work() -> None:
        result: list[tuple[int, Any]] = []
        problem: Exception | None = None
        try:
            answers = socket.getaddrinfo(host or None, port or "0", type=socket.SOCK_DGRAM, flags=flags)
            result = [(family, sockaddr) for family, _, _, _, sockaddr in answers]
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(settle, result, problem)

    try:
        threading.Thread(target=work, name="name look-up", daemon=True).start()
    except RuntimeError:
        ended()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
    return await found


def listen(path: str, mode: int = 0o660) -> socket.socket:
    """A listening unix socket; replaces one that an earlier process left. Raises HelperError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if Path(path).is_socket():
            os.unlink(path)
        sock.bind(path)
        os.chmod(path, mode)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise HelperError(error.strerror or str(error)) from None
    return sock
