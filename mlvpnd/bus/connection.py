"""A connection to a message bus for a daemon: calls with a time limit, signals, and others' messages at a limited pace.

Nothing here blocks, and the bytes that wait to be written are bounded. `caller` is for programs that only wait for
answers.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from . import address as addresses
from . import errors, lib
from .errors import BusError, BusUnavailable
from .message import NO_REPLY_EXPECTED, Kind, Message, Splitter, StreamError, call_of_bus
from .names import BUS_NAME
from .turns import Pace, Turns

CONNECT_LIMIT = 10.0
"""Seconds for connecting, authentication and the first call."""
CALL_LIMIT = 25.0
"""Seconds for an answer, unless the caller gives a limit; the same as in other implementations."""
CONGESTED_SIZE = 65536
"""Bytes waiting to be written. From here on, messages that can wait should wait, and nothing more is read."""
MAX_WRITE_SIZE = 1 << 22
"""Bytes waiting to be written. From here on the connection is given up: the bus does not read."""
MAX_BODY_SIZE = 1 << 25
"""Bytes of a body on a connection that only asks; the system bus allows no more."""
MAX_CALL_BODY_SIZE = 4096
"""Bytes of a body on a connection that anybody may call."""

_READ_SIZE = 8192


class Connection:
    """An open connection; `open` makes one."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        turns: Turns | None,
        on_signal: Callable[[Message], None] | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._turns = turns
        self._on_signal = on_signal
        self._splitter = Splitter(MAX_BODY_SIZE if turns is None else MAX_CALL_BODY_SIZE)
        self._serials = itertools.count(1)
        self._answers: dict[int, tuple[str, asyncio.Future[Message]]] = {}
        """By the call's serial: who must answer, and the waiting caller."""
        self._error: BusUnavailable | None = None
        self._reading = asyncio.create_task(self._read())
        self.unique_name = ""

    @classmethod
    async def open(
        cls,
        address: str | None = None,
        *,
        turns: Turns | None = None,
        on_signal: Callable[[Message], None] | None = None,
    ) -> Connection:
        """Connects to the bus at `address`, or the system bus; raises BusUnavailable.

        With `turns`, others' calls wait there to be served; without, calls are ignored. `on_signal` gets each signal
        that comes, and must not raise.
        """
        problem = "no usable address"
        for path in addresses.socket_paths(address or addresses.system_bus_address()):
            try:
                async with asyncio.timeout(CONNECT_LIMIT):
                    return await cls._open(path, turns, on_signal)
            except (OSError, BusError, BusUnavailable) as error:
                problem = errors.why_unreachable(error)
        raise BusUnavailable(problem)

    @classmethod
    async def _open(cls, path: str, turns: Turns | None, on_signal: Callable[[Message], None] | None) -> Connection:
        reader, writer = await asyncio.open_unix_connection(path, limit=_READ_SIZE)
        try:
            await _authenticate(reader, writer)
        except BaseException:
            writer.transport.abort()
            raise
        connection = cls(reader, writer, turns, on_signal)
        try:
            (connection.unique_name,) = await connection.call_bus("Hello")
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Ends the connection. What was sent before still goes out while the loop runs."""
        self._end("closed")
        self._writer.close()
        self._reading.cancel()

    async def wait_closed(self) -> str:
        """Waits for the connection's end and returns its reason."""
        await asyncio.wait([self._reading])
        return str(self._error)

    # What goes out.

    @property
    def congested(self) -> bool:
        """Whether messages that can wait should not be sent now."""
        return self._write_size() >= CONGESTED_SIZE

    def send(self, message: Message) -> int:
        """Sends soon; returns the serial, or 0 after the connection's end. Raises lib.EncodeError."""
        if self._error is not None:
            return 0
        serial = next(self._serials) & 0xFFFFFFFF or next(self._serials)
        data = lib.encode(message._replace(serial=serial))
        if self._write_size() + len(data) > MAX_WRITE_SIZE:
            self._end("the bus does not read what is sent to it")
            self._writer.transport.abort()
            return 0
        self._writer.write(data)
        return serial

    async def call(self, message: Message, *, answerer: str = "", limit: float = CALL_LIMIT) -> list[Any]:
        """Calls a method and returns the values of its answer.

        An answer counts only from `answerer`, a unique name; empty: from anybody, as the bus lets only the callee
        answer. Raises BusError, also after `limit` seconds, and BusUnavailable.
        """
        serial = self.send(message)
        if self._error is not None:
            raise self._error
        if message.flags & NO_REPLY_EXPECTED:
            return []
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[serial] = answerer, future
        try:
            async with asyncio.timeout(limit):
                return lib.answered(message, await future)
        except TimeoutError:
            raise errors.no_reply(message.member, limit) from None
        finally:
            del self._answers[serial]

    async def call_bus(self, member: str, signature: str = "", *body: object) -> list[Any]:
        """Calls a method of the bus itself; raises as `call`."""
        return await self.call(call_of_bus(member, signature, body), answerer=BUS_NAME)

    def _write_size(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    # What comes in.

    async def _read(self) -> None:
        reason = "the bus closed the connection"
        pace = Pace()
        clock = asyncio.get_running_loop().time
        try:
            while data := await self._reader.read(_READ_SIZE):
                begin = clock()
                for message in self._splitter.feed(data):
                    self._take(message)
                used = clock() - begin
                await self._writer.drain()
                if self._turns is not None:
                    await pace.rest(used)
                    await self._turns.has_room()
        except OSError as error:
            reason = error.strerror or str(error)
        except StreamError as error:
            reason = str(error)
        finally:
            self._end(reason)
            self._writer.close()

    def _take(self, message: Message) -> None:
        if message.kind in (Kind.RETURN, Kind.ERROR):
            answerer, future = self._answers.get(message.reply_serial, ("", None))
            # The bus answers if the callee is gone or may not be called.
            expected = message.sender == answerer or (message.sender == BUS_NAME and message.kind == Kind.ERROR)
            if future is not None and not future.done() and (expected or not answerer):
                future.set_result(message)
        elif message.kind == Kind.SIGNAL and self._on_signal is not None:
            self._on_signal(message)
        elif message.kind == Kind.CALL and self._turns is not None and not self._turns.put(message):
            self.refuse(message, BusError(errors.LIMITS_EXCEEDED, "too many calls at a time"))

    # Answers to calls.

    def answer(self, call: Message, signature: str = "", body: Sequence[Any] = ()) -> None:
        """Answers a call with values, unless its sender wants no answer. Raises lib.EncodeError."""
        if not call.flags & NO_REPLY_EXPECTED:
            self.send(_reply(call, kind=Kind.RETURN, signature=signature, body=body))

    def refuse(self, call: Message, error: BusError) -> None:
        """Answers a call with an error, unless its sender wants no answer."""
        if not call.flags & NO_REPLY_EXPECTED:
            self.send(_reply(call, kind=Kind.ERROR, error_name=error.name, signature="s", body=[error.text]))

    def _end(self, reason: str) -> None:
        """Notes the reason, once, and tells everybody who waits for an answer."""
        if self._error is not None:
            return
        self._error = BusUnavailable(reason)
        for _answerer, future in self._answers.values():
            if not future.done():
                future.set_exception(BusUnavailable(reason))


def _reply(call: Message, **fields: Any) -> Message:
    return Message(destination=call.sender, reply_serial=call.serial, **fields)


async def _authenticate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Introduces this process to the bus. Raises BusUnavailable."""
    writer.write(addresses.introduction())
    try:
        line = await reader.readline()
    except ValueError:  # too long
        line = b""
    if not line.startswith(addresses.ACCEPTED):
        raise errors.refused()
    writer.write(addresses.BEGIN)
