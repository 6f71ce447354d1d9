"""Tells the bus what changed: one PropertiesChanged an object and turn, new objects before, the named signals after.

What changed is found by comparing with what was told last, so that a notice need not say it, nothing is told
twice, and what had to wait because the bus was slow is told once, with its newest value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mlvpnd.control_plane import LinkChanged, Notice, Reloaded, TunnelChanged
from mlvpnd.status import LinkState

from . import errors, names
from .introspection import INTERFACES
from .message import Kind, Message
from .objects import Object, Tree

CONGESTED_WAIT = 0.5
"""Seconds until property changes are tried again while the bus is slow."""


class Announcer:
    """Sends the signals of one instance on one connection."""

    def __init__(self, tree: Tree, send: Callable[[Message], object], congested: Callable[[], bool]) -> None:
        self._tree = tree
        self._send = send
        self._congested = congested
        self._told = {path: one.values(("true",)) for path, one in tree.managed().items()}
        """By path: the properties whose changes are told, as last told."""
        self._notices: list[Notice] = []
        self._due: asyncio.Handle | None = None

    def notice(self, notice: Notice) -> None:
        """Tells it, and whatever else changed, in the loop's next turn."""
        self._notices.append(notice)
        if self._due is None or isinstance(self._due, asyncio.TimerHandle):
            self.close()
            self._due = asyncio.get_running_loop().call_soon(self.flush)

    def close(self) -> None:
        """Tells nothing more by itself."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def flush(self) -> None:
        """Tells at once."""
        self.close()
        notices, self._notices = self._notices, []
        now = self._tree.managed()
        for one in now.values():
            if one.path not in self._told:
                self._added(one)
        if self._congested():
            self._due = asyncio.get_running_loop().call_later(CONGESTED_WAIT, self.flush)
        else:
            for one in now.values():
                self._changed(one)
        for notice in notices:
            self._named(notice, now)
        for path in [path for path in self._told if path not in now]:
            del self._told[path]
            interface = names.LINK_INTERFACE
            self._emit(names.MANAGER_PATH, names.OBJECT_MANAGER_INTERFACE, "InterfacesRemoved", path, [interface])

    def _added(self, one: Object) -> None:
        self._told[one.path] = one.values(("true",))
        interfaces = {one.interface: one.typed(one.values())}
        self._emit(names.MANAGER_PATH, names.OBJECT_MANAGER_INTERFACE, "InterfacesAdded", one.path, interfaces)

    def _changed(self, one: Object) -> None:
        values = one.values(("true",))
        before = self._told[one.path]
        changed = {name: value for name, value in values.items() if value != before[name]}
        if changed:
            self._told[one.path] = values
            self._emit(one.path, names.PROPERTIES_INTERFACE, "PropertiesChanged", one.interface, one.typed(changed), [])

    def _named(self, notice: Notice, now: dict[str, Object]) -> None:
        if isinstance(notice, TunnelChanged):
            self._tunnel_signal("StateChanged", notice.after, notice.before, notice.reason)
        elif isinstance(notice, Reloaded):
            self._tunnel_signal("Reloaded", notice.ok, notice.message[: errors.MAX_TEXT_SIZE])
        elif isinstance(notice, LinkChanged) and notice.after is not notice.before:
            self._link_signal(notice, now)

    def _link_signal(self, notice: LinkChanged, now: dict[str, Object]) -> None:
        path = self._tree.link_path(notice.link)
        read = now[path].read if path in now else {}
        if notice.after is LinkState.CONNECTED:
            self._tunnel_signal("LinkUp", notice.link, path)
        elif notice.after is LinkState.LOSSY and read:
            self._tunnel_signal("LinkLossy", notice.link, path, read["LossPercent"]())
        elif notice.after is LinkState.SLOW and read:
            self._tunnel_signal("LinkSlow", notice.link, path, read["SmoothedRttUSec"]())
        elif notice.before.up and not notice.after.up:
            self._tunnel_signal("LinkDown", notice.link, path, notice.reason)

    def _tunnel_signal(self, member: str, *body: Any) -> None:
        self._emit(self._tree.tunnel_path, names.TUNNEL_INTERFACE, member, *body)

    def _emit(self, path: str, interface: str, member: str, *body: Any) -> None:
        signature = INTERFACES[interface].signals[member]
        self._send(
            Message(kind=Kind.SIGNAL, path=path, interface=interface, member=member, signature=signature, body=body)
        )
