"""A service on a private bus, and a caller that sees the service as any program does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from mlvpnd.bus import lib, names
from mlvpnd.bus.connection import Connection
from mlvpnd.bus.errors import BusError
from mlvpnd.bus.message import Kind, Message
from mlvpnd.bus.service import BusService
from mlvpnd.operator.face import Operator
from tests.support.private_bus import PrivateBus

TUNNEL = "/org/mlvpn1/tunnel/mlvpn0"
ADSL, WIFI = f"{TUNNEL}/link/adsl_2d2", f"{TUNNEL}/link/wifi"
"""The objects of its links `adsl-2` and `wifi`."""
DESTINATION = "org.mlvpn1.Tunnel.mlvpn0"
LIMIT = 10.0
"""Seconds within which anything must happen."""
NAME_HAS_NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"


class Caller:
    """A program on the bus: it calls, and keeps the signals that come to it."""

    def __init__(self, connection: Connection, signals: list[Message]) -> None:
        self.connection = connection
        self.signals = signals

    async def raw(self, path: str, interface: str, member: str, signature: str = "", *body: Any, flags: int = 0) -> Any:
        """All values of an answer, as they came."""
        call = Message(
            kind=Kind.CALL,
            destination=DESTINATION,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
            flags=flags,
        )
        return await self.connection.call(call, limit=LIMIT)

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """The one value of an answer without variants, or None."""
        values = await self.raw(path, interface, member, signature, *body)
        return lib.plain(values[0]) if values else None

    async def get(self, path: str, interface: str, name: str) -> Any:
        return await self.call(path, names.PROPERTIES_INTERFACE, "Get", "ss", interface, name)

    async def set(self, path: str, interface: str, name: str, type_: str, value: Any) -> None:
        body = interface, name, lib.Variant(type_, value)
        await self.call(path, names.PROPERTIES_INTERFACE, "Set", "ssv", *body)

    async def listen(self, destination: str = DESTINATION) -> None:
        """From now on, all signals of the service come to this caller."""
        await self.connection.call_bus("AddMatch", "s", f"type='signal',sender='{destination}'")

    def told(self) -> list[tuple[str, str, Any]]:
        """Path, member and values of the signals so far, without the bus's own signals; then forgets them."""
        mine = [one for one in self.signals if one.sender != names.BUS_NAME]
        self.signals.clear()
        return [(one.path, one.member, lib.plain(lib.decode(one))) for one in mine]


async def until(happened: Callable[[], object]) -> None:
    """Returns as soon as it has happened, within LIMIT."""
    async with asyncio.timeout(LIMIT):
        while not happened():  # noqa: ASYNC110  (there is nothing to wait for)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def caller(bus: PrivateBus) -> AsyncIterator[Caller]:
    """A program."""
    signals: list[Message] = []
    connection = await Connection.open(bus.address, on_signal=signals.append)
    try:
        yield Caller(connection, signals)
    finally:
        connection.close()
        await connection.wait_closed()


@contextlib.asynccontextmanager
async def running(bus: PrivateBus, operator: Operator, instance: str = "mlvpn0") -> AsyncIterator[BusService]:
    """A service whose task runs. It may not have its names yet, and may end by itself."""
    service = BusService(operator, instance, bus.address)
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        service.close()
        async with asyncio.timeout(LIMIT):
            await task


async def owned(one: Caller, name: str = DESTINATION) -> str:
    """The unique name of the owner of `name`, as soon as there is one.

    One call asks for it. With two calls, an owner that leaves between them would make the second fail."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return str((await one.connection.call_bus("GetNameOwner", "s", name))[0])
            except BusError as error:
                if error.name != NAME_HAS_NO_OWNER:
                    raise
            await asyncio.sleep(0.005)


async def left(one: Caller, name: str = DESTINATION) -> None:
    """Returns when nobody owns `name`. The bus may see a connection end later than its owner does."""
    async with asyncio.timeout(LIMIT):
        while (await one.connection.call_bus("NameHasOwner", "s", name))[0]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def served(bus: PrivateBus, operator: Operator) -> AsyncIterator[Caller]:
    """A caller beside a service that has its names."""
    async with running(bus, operator), caller(bus) as one:
        await owned(one)
        yield one


async def refused(awaitable: Awaitable[object]) -> str:
    """The name of the error that ends a call."""
    try:
        await awaitable
    except BusError as error:
        return error.name
    raise AssertionError("the call was not refused")
