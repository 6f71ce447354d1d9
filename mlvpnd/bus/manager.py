"""What systemd's manager says of our own unit."""

from __future__ import annotations

import asyncio

from . import lib
from .connection import Connection
from .errors import BusError, BusUnavailable
from .message import Kind, Message
from .names import escape

_MANAGER = "org.freedesktop.systemd1"
_LIMIT = 1.0
"""Seconds for the question: a stop must not wait for a bus that is stuck."""


async def is_restarting(instance: str) -> bool:
    """Whether the job on `mlvpn@INSTANCE.service` is one that starts it again; False where nobody can tell."""
    unit = f"/org/freedesktop/systemd1/unit/{escape(f'mlvpn@{instance}.service')}"
    try:
        async with asyncio.timeout(_LIMIT):
            connection = await Connection.open()
            try:
                job = await _property(connection, unit, "Unit", "Job")
                if not isinstance(job, list | tuple) or job[0] == 0:
                    return False
                return await _property(connection, job[1], "Job", "JobType") in ("restart", "try-restart", "start")
            finally:
                connection.close()
    except (TimeoutError, BusError, BusUnavailable):
        return False


async def _property(connection: Connection, path: str, interface: str, name: str) -> object:
    message = Message(
        kind=Kind.CALL,
        destination=_MANAGER,
        path=path,
        interface="org.freedesktop.DBus.Properties",
        member="Get",
        signature="ss",
        body=(f"{_MANAGER}.{interface}", name),
    )
    (value,) = await connection.call(message)
    return lib.plain(value)
