"""Who may change something: root and the tunnel's own unit; for all others polkit decides.

All tunnels run as one user, so the user alone proves nothing: a tunnel that was taken over must not change another.

The bus lets everybody call, because it knows no arguments and cannot ask for a password.
"""

from __future__ import annotations

import os
from collections import Counter

from . import errors, manager, names
from .connection import Connection
from .errors import BusError, BusUnavailable
from .lib import Variant
from .message import ALLOW_INTERACTIVE_AUTHORIZATION, Kind, Message

RELOAD = "org.mlvpn1.reload"
MANAGE_LINK = "org.mlvpn1.manage-link"
SET_LOG_LEVEL = "org.mlvpn1.set-log-level"

POLKIT_LIMIT = 300.0
"""Seconds for polkit's answer: somebody may have to find and type a password."""
MAX_QUESTIONS = 8
"""Questions to polkit at the same time on behalf of one user."""

_ALLOW_USER_INTERACTION = 1


class Authorizer:
    """Asks on one connection, for one instance."""

    def __init__(self, connection: Connection, instance: str) -> None:
        self._connection = connection
        self._instance = instance
        self._asking: Counter[int] = Counter()

    async def check(self, call: Message, action: str) -> int:
        """Returns the caller's uid if the caller may do `action`; else raises BusError, BusUnavailable.

        This takes time, in which anything may change.
        """
        uid = await self._uid(call.sender)
        if uid == 0 or (uid == os.geteuid() and await self._is_ours(call.sender)):
            return uid
        if self._asking[uid] >= MAX_QUESTIONS:
            raise BusError(errors.LIMITS_EXCEEDED, "too many questions wait for an answer")
        self._asking[uid] += 1
        try:
            authorized, challenge = await self._ask(call, action)
        finally:
            self._asking[uid] -= 1
        if authorized:
            return uid
        if challenge:
            raise BusError(errors.INTERACTIVE_AUTHORIZATION_REQUIRED, "interactive authentication is required")
        raise BusError(errors.ACCESS_DENIED, f"not authorized for {action}")

    async def _uid(self, sender: str) -> int:
        try:
            (uid,) = await self._connection.call_bus("GetConnectionUnixUser", "s", sender)
        except BusError as error:
            raise BusError(errors.ACCESS_DENIED, "the caller is not known") from error
        return int(uid)

    async def _is_ours(self, sender: str) -> bool:
        """Whether the caller is a process of this tunnel's unit, like `mlvpnctl reload` in a reload by systemd."""
        try:
            (pid,) = await self._connection.call_bus("GetConnectionUnixProcessID", "s", sender)
            ours = await manager.is_ours(self._connection, int(pid), self._instance)
            # The caller is still there, so its number was not another process's meanwhile.
            (again,) = await self._connection.call_bus("GetConnectionUnixProcessID", "s", sender)
        except BusError:
            return False
        return ours and bool(pid == again)

    async def _ask(self, call: Message, action: str) -> tuple[bool, bool]:
        """Whether polkit allows it; if not, whether it would after a password."""
        interactive = call.flags & ALLOW_INTERACTIVE_AUTHORIZATION
        question = Message(
            kind=Kind.CALL,
            destination=names.POLKIT_NAME,
            path=names.POLKIT_PATH,
            interface=names.POLKIT_INTERFACE,
            member="CheckAuthorization",
            signature="(sa{sv})sa{ss}us",
            body=[
                ["system-bus-name", {"name": Variant("s", call.sender)}],
                action,
                {"instance": self._instance},
                _ALLOW_USER_INTERACTION if interactive else 0,
                "",
            ],
        )
        try:
            polkit = await self._find_polkit()
            ((authorized, challenge, _details),) = await self._connection.call(
                question, answerer=polkit, limit=POLKIT_LIMIT
            )
        except BusUnavailable:
            raise
        except (BusError, ValueError) as error:
            raise BusError(errors.ACCESS_DENIED, f"not authorized for {action}: polkit: {error}") from error
        return bool(authorized), bool(challenge)

    async def _find_polkit(self) -> str:
        """polkit's unique name, from which alone an answer counts; starts polkit if it does not run."""
        try:
            (owner,) = await self._connection.call_bus("GetNameOwner", "s", names.POLKIT_NAME)
        except BusError:
            await self._connection.call_bus("StartServiceByName", "su", names.POLKIT_NAME, 0)
            (owner,) = await self._connection.call_bus("GetNameOwner", "s", names.POLKIT_NAME)
        return str(owner)
