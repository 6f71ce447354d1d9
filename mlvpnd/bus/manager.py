"""Asks systemd's manager about our own unit and the processes in it."""

from __future__ import annotations

import asyncio

from . import lib
from .connection import Connection
from .errors import BusError, BusUnavailable
from .message import Kind, Message
from .names import escape

_MANAGER = "org.freedesktop.systemd1"
_LIMIT = 1.0
"""Seconds for a question: a stop must not wait for a stuck bus."""


async def is_restarting(instance: str) -> bool:
    """Whether the job on `mlvpn@INSTANCE.service` will start it again; False if that is unknown."""
    unit = _unit_path(instance)
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


async def is_ours(connection: Connection, pid: int, instance: str) -> bool:
    """Whether a process is in the control group of `mlvpn@INSTANCE.service`. Raises BusError, BusUnavailable.

    The manager is asked because it knows whole control groups: a user may make a group whose path has the same end.
    """
    # Only root may own the manager's name.
    (manager,) = await connection.call_bus("GetNameOwner", "s", _MANAGER)
    message = Message(
        kind=Kind.CALL,
        destination=_MANAGER,
        path="/org/freedesktop/systemd1",
        interface=f"{_MANAGER}.Manager",
        member="GetUnitByPID",
        signature="u",
        body=(pid,),
    )
    (unit,) = await connection.call(message, answerer=str(manager), limit=_LIMIT)
    return bool(unit == _unit_path(instance))


def _unit_path(instance: str) -> str:
    return f"/org/freedesktop/systemd1/unit/{escape(f'mlvpn@{instance}.service')}"


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
