"""The service's life: a connection while there is a bus, names, calls. The tunnel runs the same without a bus."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from mlvpnd.logs import log
from mlvpnd.logs.journal import fields
from mlvpnd.operator.face import Notice, Operator

from . import errors, names
from .authorize import Authorizer
from .connection import Connection
from .dispatch import Answer, Dispatcher
from .errors import BusError, BusUnavailable
from .message import Message
from .objects import Tree
from .signals import Announcer
from .turns import Pace, Turns

MIN_RETRY = 1.0
"""Seconds until a lost connection is tried again, doubled after each failure,"""
MAX_RETRY = 30.0
"""up to this many."""
MAX_PENDING = 128
"""Calls in progress that take time, of all callers."""
MAX_PENDING_OF_ONE = 16
"""The same of one caller."""

_DO_NOT_QUEUE = 4
_EXISTS = 3
_LOG_INTERVAL = 1.0
_FLOOD_INTERVAL = 60.0

_log = log.logger("control")


class BusService:
    """Serves one tunnel on the system bus, or the bus at `bus_address`."""

    def __init__(self, operator: Operator, instance: str, bus_address: str | None = None) -> None:
        self._operator = operator
        self._instance = instance
        self._address = bus_address
        self._tree = Tree(operator, instance)
        self._connection: Connection | None = None
        self._announcer: Announcer | None = None
        self._pending: dict[asyncio.Task[None], str] = {}
        """Calls in progress, each with its sender."""
        self._closed = asyncio.Event()
        self._said = ""
        self._failed_at = float("-inf")
        self._flooded_at = float("-inf")

    async def run(self) -> None:
        """Serves until `close` or cancellation; raises nothing but CancelledError."""
        unsubscribe = self._operator.subscribe(self._notified)
        retry = MIN_RETRY
        try:
            while not self._closed.is_set():
                try:
                    served = await self._serve()
                except BusUnavailable as error:
                    served = False
                    self._say(f"no service on the bus: {error}")
                except Exception:  # the tunnel goes on without
                    served = False
                    _log.exception("no service on the bus")
                retry = MIN_RETRY if served else retry
                await self._sleep(retry)
                retry = min(retry * 2, MAX_RETRY)
        finally:
            unsubscribe()
            for task in self._pending:
                task.cancel()
            await asyncio.gather(*self._pending, return_exceptions=True)

    def close(self) -> None:
        """Sends the last signals, leaves the bus, and ends `run`."""
        self._closed.set()
        try:
            if self._announcer is not None:
                self._announcer.flush(last=True)
        except Exception:  # the tunnel stops in its own order, bus or not
            _log.exception("the last signals could not be sent to the bus")
        if self._connection is not None:
            self._connection.close()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            pass

    def _say(self, text: str) -> None:
        """Logs a warning, unless it repeats the last one or the service is leaving the bus by itself."""
        if text != self._said and not self._closed.is_set():
            self._said = text
            _log.warning("%s", text)

    # One connection.

    async def _serve(self) -> bool:
        """Serves on one connection to its end. Returns True if it could serve. Raises BusUnavailable."""
        turns = Turns(self._flooded)
        connection = self._connection = await Connection.open(self._address, turns=turns)
        worker: asyncio.Task[None] | None = None
        try:
            self._announcer = Announcer(self._tree, connection.send, lambda: connection.congested)
            dispatcher = Dispatcher(
                self._operator, self._tree, Authorizer(connection, self._instance), self._announcer.flush
            )
            worker = asyncio.create_task(self._work(connection, turns, dispatcher))
            await self._own_names(connection)
            _log.info("on the bus as %s", names.tunnel_name(self._instance))
            self._said = ""
            self._say(f"lost the bus: {await connection.wait_closed()}")
            return True
        finally:
            if worker is not None:
                worker.cancel()
            if self._announcer is not None:
                self._announcer.close()
            self._announcer = self._connection = None
            connection.close()
            await connection.wait_closed()

    async def _own_names(self, connection: Connection) -> None:
        name = names.tunnel_name(self._instance)
        try:
            await connection.call_bus("RequestName", "su", names.SHARED_NAME, 0)
            (reply,) = await connection.call_bus("RequestName", "su", name, _DO_NOT_QUEUE)
        except BusError as error:
            raise BusUnavailable(f"{name}: {error}") from error
        if reply == _EXISTS:
            raise BusUnavailable(f"{name} has another owner")

    def _notified(self, notice: Notice) -> None:
        if self._announcer is not None:
            self._announcer.notice(notice)

    # Calls.

    async def _work(self, connection: Connection, turns: Turns, dispatcher: Dispatcher) -> None:
        pace = Pace()
        clock = asyncio.get_running_loop().time
        while True:
            call = await turns.get()
            begin = clock()
            self._answer(connection, call, dispatcher)
            await pace.rest(clock() - begin)

    def _answer(self, connection: Connection, call: Message, dispatcher: Dispatcher) -> None:
        try:
            result = dispatcher.dispatch(call)
            if isinstance(result, Answer):
                connection.answer(call, result.signature, result.body)
            else:
                self._answer_later(connection, call, result)
        except BusError as error:
            connection.refuse(call, error)
        except Exception:
            self._fail(connection, call)

    def _answer_later(self, connection: Connection, call: Message, result: Coroutine[Any, Any, Answer]) -> None:
        of_one = Counter(self._pending.values())[call.sender]
        if len(self._pending) >= MAX_PENDING or of_one >= MAX_PENDING_OF_ONE:
            result.close()
            self._flooded(Counter(self._pending.values()).most_common(1)[0][0])
            raise BusError(errors.LIMITS_EXCEEDED, "too many calls wait for their answers")

        async def answer() -> None:
            try:
                answered = await result
                connection.answer(call, answered.signature, answered.body)
            except BusError as error:
                connection.refuse(call, error)
            except BusUnavailable:
                pass  # nobody is left to be told
            except Exception:
                self._fail(connection, call)

        def end(task: asyncio.Task[None]) -> None:
            del self._pending[task]
            result.close()  # it was cancelled before its first step

        task = asyncio.create_task(answer())
        self._pending[task] = call.sender
        task.add_done_callback(end)

    def _flooded(self, sender: str) -> None:
        """Warns that somebody calls more often than anybody needs to; once a minute at most, whoever it is."""
        now = asyncio.get_running_loop().time()
        if now - self._flooded_at >= _FLOOD_INTERVAL:
            self._flooded_at = now
            text = "%s floods the bus with calls: its calls wait, and calls beyond the limit are refused"
            _log.warning(text, sender, extra=fields("bus-flooded", sender=sender))

    def _fail(self, connection: Connection, call: Message) -> None:
        """Answers "internal error" after a fault of our own; the log gets the fault, once a second at most."""
        now = asyncio.get_running_loop().time()
        if now - self._failed_at >= _LOG_INTERVAL:
            self._failed_at = now
            _log.exception("%s %s of %s failed", call.path[:255], call.member, call.sender)
        connection.refuse(call, BusError(errors.INTERNAL, "internal error"))
