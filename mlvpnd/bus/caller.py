"""A connection to a message bus for a program that asks and waits: one call at a time, and signals.

It blocks and needs no asyncio: asyncio's import alone takes longer than everything else in such a program.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections import deque
from typing import Any

from . import address as addresses
from . import errors, lib
from .errors import BusError, BusUnavailable
from .message import Kind, Message, Splitter, StreamError, call_of_bus
from .names import BUS_NAME

CONNECT_LIMIT = 10.0
"""Seconds for connecting, authentication and the first call."""
CALL_LIMIT = 25.0
"""Seconds for an answer, unless the caller gives a limit."""
MAX_BODY_SIZE = 1 << 25
"""Bytes of a body; the system bus allows no more."""
MAX_WAITING_SIGNALS = 4096
"""Signals kept until somebody takes them; if there are more, the oldest are lost."""

_READ_SIZE = 65536
# struct timeval. The option number 67 has 64-bit fields on 32-bit systems too.
_TIME = struct.Struct("qq" if socket.SO_SNDTIMEO == 67 else "ll")
_MAX_LINE = 1024


def connected(path: str, limit: float) -> socket.socket:
    """A connection to a unix stream socket. Raises TimeoutError after `limit` seconds, OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The kernel's limit, not Python's: Python's makes the socket non-blocking, and a full queue an error at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIME.pack(int(limit), int(limit % 1 * 1_000_000)))
        sock.connect(path)
    except BlockingIOError:
        sock.close()
        raise TimeoutError from None
    except BaseException:
        sock.close()
        raise
    return sock


class Caller:
    """An open connection; `open` makes one. For one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._splitter = Splitter(MAX_BODY_SIZE)
        self._serials = itertools.count(1)
        self._signals: deque[Message] = deque(maxlen=MAX_WAITING_SIGNALS)

    @classmethod
    def open(cls, address: str | None = None) -> Caller:
        """Connects to the bus at `address`, or the system bus; raises BusUnavailable."""
        problem = "no usable address"
        for path in addresses.socket_paths(address or addresses.system_bus_address()):
            try:
                caller = cls(connected(path, CONNECT_LIMIT))
                try:
                    caller._begin()
                except BaseException:
                    caller.close()
                    raise
            except (OSError, BusError, BusUnavailable) as error:
                problem = errors.why_unreachable(error)
            else:
                return caller
        raise BusUnavailable(problem)

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def call(self, message: Message, *, answerer: str = "", limit: float = CALL_LIMIT) -> list[Any]:
        """Calls a method and returns the values of its answer.

        An answer counts only from `answerer`, a unique name; empty: from anybody, as the bus lets only the callee
        answer. Raises BusError, also after `limit` seconds, and BusUnavailable.
        """
        until = time.monotonic() + limit
        serial = next(self._serials)
        data = lib.encode(message._replace(serial=serial))
        try:
            self._socket.settimeout(limit)
            self._socket.sendall(data)
            while True:
                for found in self._receive(until):
                    if found.kind in (Kind.RETURN, Kind.ERROR) and found.reply_serial == serial:
                        # The bus answers if the callee is gone or may not be called.
                        by_bus = found.sender == BUS_NAME and found.kind == Kind.ERROR
                        if not answerer or found.sender == answerer or by_bus:
                            return lib.answered(message, found)
        except TimeoutError:
            raise errors.no_reply(message.member, limit) from None
        except OSError as error:
            raise BusUnavailable(error.strerror or str(error)) from None

    def call_bus(self, member: str, signature: str = "", *body: object) -> list[Any]:
        """Calls a method of the bus itself; raises as `call`."""
        return self.call(call_of_bus(member, signature, body), answerer=BUS_NAME)

    def signal(self) -> Message:
        """Waits for the next signal, without limit. Raises BusUnavailable at the connection's end."""
        while not self._signals:
            try:
                self._receive(None)
            except OSError as error:
                raise BusUnavailable(error.strerror or str(error)) from None
        return self._signals.popleft()

    def _begin(self) -> None:
        self._socket.settimeout(CONNECT_LIMIT)
        self._socket.sendall(addresses.introduction())
        line = b""
        while b"\n" not in line and len(line) < _MAX_LINE and (piece := self._socket.recv(_MAX_LINE)):
            line += piece
        if not line.startswith(addresses.ACCEPTED):
            raise errors.refused()
        self._socket.sendall(addresses.BEGIN)
        self.call(call_of_bus("Hello"), answerer=BUS_NAME, limit=CONNECT_LIMIT)

    def _receive(self, until: float | None) -> list[Message]:
        """Waits for input until the time `until`, and keeps signals; returns the other messages.

        Raises TimeoutError, OSError, BusUnavailable.
        """
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        data = self._socket.recv(_READ_SIZE)
        if not data:
            raise BusUnavailable("the bus closed the connection")
        try:
            found = self._splitter.feed(data)
        except StreamError as error:
            raise BusUnavailable(str(error)) from None
        self._signals.extend(one for one in found if one.kind == Kind.SIGNAL)
        return [one for one in found if one.kind != Kind.SIGNAL]
