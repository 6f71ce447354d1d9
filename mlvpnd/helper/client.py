"""The daemon's stubs: one method per request of `requests.py`, with the same name.

After construction they import nothing and open no file, so they work in an empty chroot.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlvpnd.config import file as config_file
from mlvpnd.config import passwords
from mlvpnd.errors import MlvpndError
from mlvpnd.logs.journal import fields
from mlvpnd.logs.log import logger

from . import channel, requests, state_file

_MAX_ANSWER_SIZE = 65536
# Seconds that an answer is waited for; each is above the helper's own limit for the work.
_LIMIT = 15.0
_RESOLVE_LIMIT = 30.0
_SCRIPT_LIMIT = 90.0

_log = logger("privsep")
_config_log = logger("config")


class HelperError(MlvpndError):
    """The helper refused, failed, or is not there; the text says which."""


class _HungUp(HelperError):
    """The connection ended without an answer to the request."""


@dataclass(frozen=True, slots=True)
class TunDescriptor:
    """An open TUN or TAP interface; the caller closes the descriptor, which removes the interface."""

    fd: int
    name: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Configured:
    """What a configuration of the interface has done."""

    mtu: int
    """Bytes."""
    done: tuple[str, ...] = ()
    """What was missing and was set, in words."""
    refused: str = ""
    """What could not be set, and why; empty: nothing."""


@dataclass(frozen=True, slots=True)
class _Answer:
    members: dict[str, Any]
    descriptor: int | None


class HelperClient:
    """Asks the helper. `connect` gives a fresh connection each time.

    `lifeline`, if given, is a socket that reaches its end when the helper is gone.
    All methods except `on_closed` raise HelperError.
    """

    def __init__(self, connect: Callable[[], socket.socket], lifeline: socket.socket | None = None) -> None:
        self._connect = connect
        self._lifeline = lifeline
        self._tun: Callable[[], int] | None = None
        self._script_turn = asyncio.Lock()

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Has the running loop call `callback` once when the helper is gone."""
        lifeline = self._lifeline
        if lifeline is None:
            return
        loop = asyncio.get_running_loop()

        def ended() -> None:
            try:
                if lifeline.recv(1, socket.MSG_DONTWAIT):
                    return  # nothing is ever sent this way
            except BlockingIOError:
                return
            except OSError:
                pass
            loop.remove_reader(lifeline)
            callback()

        loop.add_reader(lifeline, ended)

    def use_tun(self, descriptor: Callable[[], int]) -> None:
        """Sets the interface to configure and to run scripts for; `descriptor()` gives its descriptor at any time."""
        self._tun = descriptor

    async def open_config(self) -> bytes:
        """The configuration file's text, at most one byte more than the parser takes.

        Warns of other files with the same password, which only root can compare.
        """
        answer = await self._ask(requests.OpenConfig(), _LIMIT)
        descriptor = _required(answer)
        for other in answer.members.get("same_password", ()):
            _config_log.warning("%s", passwords.warning_of(str(other)))
        try:
            return config_file.read_descriptor(descriptor, "the configuration")
        except MlvpndError as error:
            raise HelperError(str(error)) from None
        finally:
            os.close(descriptor)

    async def open_tun(self) -> TunDescriptor:
        """Opens the file's interface, non-blocking, with the MTU that fits the paths as far as the file tells."""
        answer = await self._ask(requests.OpenTun(), _LIMIT)
        return TunDescriptor(_required(answer), str(answer.members["name"]), int(answer.members["mtu"]))

    async def configure_tun(self, *, ipv6_path: bool, default_routes: bool = True) -> Configured:
        """Sets the MTU and, if the file asks for it, addresses and routes. May be repeated.

        The file's default routes are set only with `default_routes`, else they are removed.
        """
        request = requests.ConfigureTun(ipv6_path, default_routes)
        members = (await self._ask(request, _LIMIT, self._tun_descriptor())).members
        # A helper of an older version tells the MTU alone.
        return Configured(
            int(members["mtu"]), tuple(map(str, members.get("done", ()))), str(members.get("refused", ""))
        )

    async def unconfigure_tun(self) -> None:
        """Removes what `configure_tun` set, before a stop: needed for what outlives the interface, as a kill switch."""
        await self._ask(requests.UnconfigureTun(), _LIMIT, self._tun_descriptor())

    async def tune_socket(self, link: str, sock: socket.socket) -> None:
        """Enlarges the receive buffer of a link's UDP socket."""
        await self._ask(requests.TuneSocket(link), _LIMIT, sock.fileno())

    async def bind_socket(self, link: str, sock: socket.socket) -> None:
        """Binds a link's UDP socket as its section says."""
        await self._ask(requests.BindSocket(link), _RESOLVE_LIMIT, sock.fileno())

    async def run_script(self, event: str, link: str | None) -> int:
        """Runs the status command. Returns its exit status, or minus the signal that killed it; 0: there is none.

        Calls are served one at a time, in order.
        """
        request = requests.RunScript(requests.ScriptEvent(event), link)
        async with self._script_turn:
            answer = await self._ask(request, _SCRIPT_LIMIT, self._tun_descriptor())
        return int(answer.members["rc"])

    async def resolve(self, end: str, link: str | None = None) -> list[tuple[int, Any]]:
        """Address families and socket addresses of a link's `bind` or `remote` end, or of `control`."""
        answer = await self._ask(requests.Resolve(requests.End(end), link), _RESOLVE_LIMIT)
        return [
            (family, (host, port) if family == socket.AF_INET else (host, port, flow, scope))
            for family, host, port, flow, scope in answer.members["addresses"]
        ]

    async def open_control(self) -> socket.socket | None:
        """The control socket, listening; None if the file names none."""
        return _socket(await self._ask(requests.OpenControl(), _LIMIT))

    async def open_log(self) -> socket.socket | None:
        """A socket connected to the system log; None if there is no system log."""
        return _socket(await self._ask(requests.OpenLog(), _LIMIT))

    async def read_state(self) -> bytes | None:
        """The state file, at most one byte more than it may have; None: there is none."""
        descriptor = (await self._ask(requests.ReadState(), _LIMIT)).descriptor
        if descriptor is None:
            return None
        try:
            return state_file.read_descriptor(descriptor)
        finally:
            os.close(descriptor)

    async def write_state(self, text: bytes) -> None:
        """Replaces the state file. It takes as long as the disk takes."""
        descriptor = state_file.in_memory(text)
        try:
            await self._ask(requests.WriteState(), _LIMIT, descriptor)
        finally:
            os.close(descriptor)

    def _tun_descriptor(self) -> int:
        if self._tun is None:
            raise HelperError("no interface is open")
        return self._tun()

    async def _ask(self, request: requests.Request, limit: float, sent: int | None = None) -> _Answer:
        """Asks; once more if a helper that can be started again ends before its answer. Scripts are not repeated."""
        try:
            return await self._ask_once(request, limit, sent)
        except _HungUp:
            if self._lifeline is not None or isinstance(request, requests.RunScript):
                raise
        text = "%s: the helper ended before its answer: it is asked again"
        _log.warning(text, request.OP, extra=fields("helper-lost", request=request.OP))
        return await self._ask_once(request, limit, sent)

    async def _ask_once(self, request: requests.Request, limit: float, sent: int | None) -> _Answer:
        try:
            async with asyncio.timeout(limit):
                with self._connect() as connection:
                    channel.send(connection, requests.encode(request), sent)
                    data, descriptor = await channel.next_message(connection, _MAX_ANSWER_SIZE)
        except TimeoutError:
            raise HelperError(f"{request.OP}: no answer after {limit:g} s") from None
        except ConnectionResetError:  # it had not read the request
            raise _HungUp(f"{request.OP}: the helper hung up") from None
        except OSError as error:
            raise HelperError(f"{request.OP}: the helper cannot be reached: {error.strerror or error}") from None
        except channel.MessageError as error:
            raise HelperError(f"{request.OP}: {error}") from None
        if not data:
            raise _HungUp(f"{request.OP}: the helper hung up")
        members = json.loads(data)
        if "error" in members:
            raise HelperError(str(members["error"]))
        return _Answer(members, descriptor)


def _required(answer: _Answer) -> int:
    if answer.descriptor is None:
        raise HelperError("the helper's answer has no descriptor")
    return answer.descriptor


def _socket(answer: _Answer) -> socket.socket | None:
    if answer.descriptor is None:
        return None
    sock = socket.socket(fileno=answer.descriptor)
    sock.settimeout(0)  # Python does not see that the descriptor is non-blocking
    return sock
