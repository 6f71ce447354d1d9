"""Upstream's control socket: `status` and `metrics`, as text on the unix socket and by HTTP on both.

Text: a line's first word is the command, in any case; the connection stays open. HTTP: always over TCP. On the unix
socket, if a line is a request line (`GET /status HTTP/1.1`), or two words of which only the second is a command: so
clients of a host with TCP speak to upstream's unix socket. An HTTP connection ends with its answer.

All is read-only, and nobody authenticates: whoever reaches the socket may read the status. Like upstream's, HTTP
answers carry `Access-Control-Allow-Origin: *`, on which dashboards in browsers rely. So if a browser can reach a TCP
control socket, any web page in it can read the status (names and addresses, no secret).

Clients cost little, whatever they do. There are at most `MAX_CLIENTS`; the one silent for longest makes room for a new
one. Each has `MAX_REQUEST_SIZE` bytes of input and one answer at a time, in pieces that it must take in time. Making
answers takes at most a tenth of the process's time. Accepting clients and reading their input have pauses too.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import functools
import json
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from mlvpnd.base.credentials import credentials_of
from mlvpnd.logs import log

from .metrics import to_metrics
from .status import TunnelStatus, format_address, to_json

IDLE_LIMIT = 5.0
"""Seconds that a client may send nothing, or leave a piece of an answer untaken."""
MAX_CLIENTS = 32
MAX_REQUEST_SIZE = 8192
"""Bytes of a line or of an HTTP request's whole head."""
HEAD_WAIT = 0.5
"""Seconds. Wait for the first header line: upstream answers the request line alone, and some clients send no more."""
LINGER_LIMIT = 1.0
"""Seconds that a client may go on sending after its last answer; a reset would cost it the answer."""
PAUSE_FACTOR = 9
"""The next answer waits this many times as long as the making of the last one took,"""
MAX_PAUSE = 0.1
"""but this many seconds at most."""
ACCEPT_PAUSE = 0.01
"""Seconds between two turns of accepting new clients, a few in each."""
RECEIVE_PAUSE = 0.02
"""Seconds until more is read from a client that has sent a whole buffer at once, which no request needs."""
RETRY_ACCEPT = 1.0
"""Seconds without new clients after the system refused one for want of descriptors or memory."""

_BACKLOG = 16
_ACCEPTS_PER_TURN = 4
_RECEIVE_SIZE = 4096
_SEND_SIZE = 16384
_LOG_INTERVAL = 1.0
_LINE_END = re.compile(rb"[\n\x04]")
_REQUEST_LINE = re.compile(r"(\S+) +(\S+) +HTTP/1\.\d", re.ASCII)
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_JSON = "application/json"
_BYE = b"bye."

_RENDERERS: dict[str, tuple[str, Callable[[TunnelStatus], str]]] = {
    "status": (_JSON, lambda status: to_json(status) + "\n"),
    "metrics": ("text/plain; version=0.0.4", to_metrics),
}
"""By command: content type and text."""

_log = log.logger("control")

_DENIED = json.dumps({"error": "only root and the daemon's user may do that", "denied": True}) + "\n"


class ControlServer:
    """Serves one tunnel's status.

    `unix_socket` is bound and listening; the server owns it from now on. `addresses` are (family, socket address)
    pairs to listen on for HTTP. If an address cannot be bound, the log gets a warning and nothing else happens.
    `actions` serve the commands of their names, as text on the unix socket only, and only for root and our own user.
    """

    def __init__(
        self,
        snapshot: Callable[[], TunnelStatus],
        unix_socket: socket.socket | None = None,
        addresses: Sequence[tuple[int, Any]] = (),
        *,
        actions: Mapping[str, Callable[[], Awaitable[str]]] | None = None,
        idle_limit: float = IDLE_LIMIT,
    ) -> None:
        self._snapshot = snapshot
        self._actions = actions or {}
        self._unix_socket = unix_socket
        self._addresses = addresses
        self._idle_limit = idle_limit
        self._listeners: dict[socket.socket, bool] = {}
        """Listening sockets, and whether each is for HTTP only."""
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        self._clients: dict[_Client, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """The tasks of all clients, also of those that were told to end."""
        self._turn = asyncio.Lock()
        self._turn_at = 0.0
        self._said_at: dict[str, float] = {}

    async def start(self) -> None:
        """Starts to listen."""
        if self._unix_socket is not None:
            self._unix_socket.settimeout(0)
            self._listeners[self._unix_socket] = False
        for family, address in self._addresses:
            try:
                self._listeners[_listening(family, address)] = True
            except OSError as error:
                _log.warning("cannot bind socket %s: %s", format_address(address), error.strerror)
        for listener in self._listeners:
            self._listen(listener)

    async def close(self) -> None:
        """Ends every connection at once and closes all sockets."""
        for pause in self._pauses.values():
            pause.cancel()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def http_addresses(self) -> list[Any]:
        """The socket addresses listened on for HTTP, with the ports that the kernel chose."""
        return [listener.getsockname() for listener, http_only in self._listeners.items() if http_only]

    # A client comes.

    def _listen(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                connection, _address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError as error:  # out of descriptors or memory; the listener stays readable
                self._say(logging.WARNING, "accept error: %s", error.strerror)
                self._pause(listener, RETRY_ACCEPT)
                return
            self._add(connection, http_only=self._listeners[listener])
        self._pause(listener, ACCEPT_PAUSE)

    def _pause(self, listener: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._pauses[listener] = loop.call_later(seconds, self._listen, listener)

    def _add(self, connection: socket.socket, *, http_only: bool) -> None:
        connection.settimeout(0)
        if len(self._clients) >= MAX_CLIENTS:
            self._clients.pop(min(self._clients, key=lambda one: one.active_at)).cancel()
        client = _Client(connection, self._idle_limit)
        task = asyncio.get_running_loop().create_task(self._serve(client, http_only=http_only))
        self._clients[client] = task
        self._tasks.add(task)

        # Not in the task: a task that is cancelled before its first step runs nothing.
        def end(_: object) -> None:
            self._tasks.discard(task)
            self._clients.pop(client, None)
            connection.close()

        task.add_done_callback(end)

    # A client is served.

    async def _serve(self, client: _Client, *, http_only: bool) -> None:
        try:
            await self._serve_lines(client, http_only=http_only)
            await client.finish()
        except TimeoutError:
            self._say(logging.INFO, "client %d timeout.", client.number)
        except OSError as error:
            _log.debug("client %d: %s", client.number, error.strerror)
        except Exception:  # one answer fails, the tunnel goes on
            self._say(logging.ERROR, "client %d gets no answer", client.number, exc_info=True)

    async def _serve_lines(self, client: _Client, *, http_only: bool) -> None:
        """Serves a connection; returns when it must be closed."""
        request: _Request | None = None
        try:
            while (line := await client.read_line(skip_blank=True)) is not None:
                request = _http_request(line, http_only=http_only)
                if request is not None:
                    if request.has_head:
                        await _skip_head(client, len(line))
                    break
                if not await self._serve_text(client, line):
                    return
        except _Overflow:
            self._say(logging.WARNING, "overflow on read buffer")
            if http_only or request is not None:
                request = _TOO_LARGE
        if request is not None:
            await self._answer(client, functools.partial(self._respond, request))

    async def _serve_text(self, client: _Client, line: str) -> bool:
        """Answers one line; False: no more are answered."""
        words = line.split()
        command = _command(words[0]) if words else ""
        if command == "quit":
            await client.send(_BYE)
            return False
        if (action := self._actions.get(command)) is not None:
            await client.send((await action() if client.trusted else _DENIED).encode())
            return True
        await self._answer(client, lambda: self._render(command)[1].encode())
        return True

    async def _answer(self, client: _Client, make: Callable[[], bytes]) -> None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(self._turn_at - loop.time())
            begin = loop.time()
            answer = make()
            end = loop.time()
            self._turn_at = end + min(PAUSE_FACTOR * (end - begin), MAX_PAUSE)
        await client.send(answer)

    def _respond(self, request: _Request) -> bytes:
        """The answer to an HTTP request."""
        if request is _TOO_LARGE:
            return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _JSON, _error("request too large"))
        if request is _NO_REQUEST:
            return _response(HTTPStatus.BAD_REQUEST, _JSON, _error("bad request"))
        if request.method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, _JSON, _error("method not allowed"), "Allow: GET, HEAD\r\n")
        path = _ORIGIN.sub("", request.target, count=1).partition("?")[0]
        code = HTTPStatus.OK if _command(path) in _RENDERERS else HTTPStatus.NOT_FOUND
        return _response(code, *self._render(_command(path)), with_body=request.method == "GET")

    def _render(self, command: str) -> tuple[str, str]:
        """Content type and text of a command's answer."""
        if command not in _RENDERERS:
            return _JSON, _error("unknown command")
        content_type, render = _RENDERERS[command]
        return content_type, render(self._snapshot())

    def _say(self, level: int, text: str, *args: object, exc_info: bool = False) -> None:
        """Logs a line, but each text once a second at most."""
        now = asyncio.get_running_loop().time()
        if now - self._said_at.get(text, float("-inf")) >= _LOG_INTERVAL:
            self._said_at[text] = now
            _log.log(level, text, *args, exc_info=exc_info)


def _listening(family: int, address: Any) -> socket.socket:
    """A listening TCP socket. Raises OSError, also if the address family is switched off."""
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


class _Overflow(Exception):
    """A line or a head is too long."""


class _Client:
    """A connection, with its bounded input."""

    def __init__(self, connection: socket.socket, idle_limit: float) -> None:
        self._connection = connection
        self._idle_limit = idle_limit
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._input = b""
        self._pause = 0.0
        self.number = connection.fileno()
        self.active_at = self._loop.time()
        """When the client last sent or took something."""

    @property
    def trusted(self) -> bool:
        """Whether a process of root or of our own user is at the other end."""
        if self._connection.family != socket.AF_UNIX:
            return False
        return credentials_of(self._connection).uid in (0, os.geteuid())

    @property
    def silent(self) -> bool:
        """Whether nothing is left to read, but more may come."""
        return not self._input and not self._ended

    async def read_line(self, *, skip_blank: bool = False) -> str | None:
        """The next line without its end; the end of the input also ends a line. None: there is no more.

        Raises _Overflow, TimeoutError, OSError.
        """
        while True:
            if skip_blank:
                self._input = self._input.lstrip()
            found = _LINE_END.search(self._input)
            if found is None and self._ended:
                line, self._input = self._input, b""
                return _text(line) if line else None
            if (found.start() if found else len(self._input)) > MAX_REQUEST_SIZE:
                raise _Overflow
            if found is not None:
                line, self._input = self._input[: found.start()], self._input[found.end() :]
                return _text(line) if found[0] == b"\n" else None
            await self.receive(self._idle_limit)

    async def receive(self, limit: float) -> None:
        """Waits up to `limit` seconds for input. Raises TimeoutError, OSError."""
        await asyncio.sleep(self._pause)
        async with asyncio.timeout(limit):
            data = await self._loop.sock_recv(self._connection, _RECEIVE_SIZE)
        self._pause = RECEIVE_PAUSE if len(data) == _RECEIVE_SIZE else 0.0
        self._ended = not data
        self._input += data
        self.active_at = self._loop.time()

    async def send(self, answer: bytes) -> None:
        """Sends an answer. Raises TimeoutError if the client does not take it, OSError if the client is gone."""
        for begin in range(0, len(answer), _SEND_SIZE):
            async with asyncio.timeout(self._idle_limit):
                await self._loop.sock_sendall(self._connection, answer[begin : begin + _SEND_SIZE])
            self.active_at = self._loop.time()

    async def finish(self) -> None:
        """Shuts the sending side down and waits for the client to end, up to `LINGER_LIMIT`. Raises OSError."""
        self._connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_LIMIT):
                while not self._ended:
                    self._input = b""
                    await self.receive(LINGER_LIMIT)


class _Request(NamedTuple):
    method: str
    target: str
    has_head: bool
    """Whether header lines follow."""


_NO_REQUEST = _Request("no request", "", has_head=False)
_TOO_LARGE = _Request("too large", "", has_head=False)


def _http_request(line: str, *, http_only: bool) -> _Request | None:
    """The HTTP request in a line; None: it is a text command."""
    found = _REQUEST_LINE.fullmatch(line.strip())
    if found is not None:
        return _Request(found[1], found[2], has_head=True)
    words = line.split()
    if len(words) == 2:
        is_text = _command(words[0]) in (*_RENDERERS, "quit") or _command(words[1]) not in _RENDERERS
        if http_only or not is_text:
            return _Request("GET", words[1], has_head=False)
    return _NO_REQUEST if http_only else None


async def _skip_head(client: _Client, size: int) -> None:
    """Reads header lines to their end; `size` bytes of the head were read before."""
    if client.silent:
        try:
            await client.receive(HEAD_WAIT)
        except TimeoutError:
            return
    while line := await client.read_line():
        size += len(line)
        if size > MAX_REQUEST_SIZE:
            raise _Overflow


def _response(code: HTTPStatus, content_type: str, text: str, headers: str = "", *, with_body: bool = True) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {code.value} {code.phrase}\r\n"
        f"Date: {email.utils.formatdate(usegmt=True)}\r\n"
        "Connection: close\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Access-Control-Allow-Origin: *\r\n"
        "Server: mlvpn\r\n"
        f"{headers}\r\n"
    )
    return head.encode() + (body if with_body else b"")


def _error(words: str) -> str:
    return json.dumps({"error": words}) + "\n"


def _command(word: str) -> str:
    return word.removeprefix("/").lower()


def _text(line: bytes) -> str:
    return line.replace(b"\r", b"").decode("ascii", "replace")
