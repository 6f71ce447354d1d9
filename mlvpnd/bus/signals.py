"""Tells the bus what changed: first new objects, then one PropertiesChanged for each object, then named signals.

A comparison with what was told last finds the changes. So a notice need not name them, nothing is told twice, and what
had to wait is told once, with its newest value. A peer can cause changes as fast as it sends packets. So signals are
limited: `BURST` at once, then one each `INTERVAL` seconds. The limit is for each property of an object, and for the
named signals about each link or the tunnel. The last state is always told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlvpnd.base.allowance import Allowances
from mlvpnd.operator.face import LinkChanged, Notice, Reloaded, TunnelChanged
from mlvpnd.operator.status import LinkState

from . import errors, names
from .introspection import INTERFACES
from .message import Kind, Message
from .objects import Object, Tree

CONGESTED_WAIT = 0.5
"""Seconds until property changes are tried again while the bus is slow."""
BURST = 10
"""Changes of one property, or named signals about one link or the tunnel, that are told at once."""
INTERVAL = 1.0
"""Seconds between two of these signals after `BURST`."""
LOOKS = 20
"""Looks for changes at once; each takes a snapshot of everything."""
PAUSE = 0.05
"""Seconds between two looks after `LOOKS`."""


class Announcer:
    """Sends the signals of one instance on one connection."""

    def __init__(self, tree: Tree, send: Callable[[Message], object], congested: Callable[[], bool]) -> None:
        self._tree = tree
        self._send = send
        self._congested = congested
        self._loop = asyncio.get_running_loop()
        self._told = {path: one.values(("true",)) for path, one in tree.managed().items()}
        """By path: the last told values of the properties whose changes are told."""
        self._notices: list[LinkChanged | TunnelChanged | Reloaded] = []
        self._held: dict[str, LinkChanged | TunnelChanged] = {}
        """By link, or "" for the tunnel: the waiting change since the last named signal."""
        self._properties = Allowances(BURST, INTERVAL)
        self._named_signals = Allowances(BURST, INTERVAL)
        self._looks = Allowances(LOOKS, PAUSE)
        self._due: asyncio.TimerHandle | None = None

    def notice(self, notice: Notice) -> None:
        """Soon tells the notice, and whatever else has changed."""
        if isinstance(notice, LinkChanged | TunnelChanged | Reloaded):
            self._notices.append(notice)
        self._look_at(self._looks.at("", self._loop.time()))

    def close(self) -> None:
        """Stops telling by itself."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _look_at(self, when: float) -> None:
        """Looks at the time `when` at the latest."""
        if self._due is None or when < self._due.when():
            self.close()
            self._due = self._loop.call_at(when, self.flush)

    def flush(self, *, last: bool = False) -> None:
        """Tells all changes at once. If it is the `last` time, none has to wait."""
        self.close()
        now = self._loop.time()
        self._looks.take("", now)
        notices, self._notices = self._notices, []
        objects = self._tree.managed()
        later: list[float] = []
        for one in objects.values():
            if one.path not in self._told:
                self._added(one)
        if self._congested():
            later.append(now + CONGESTED_WAIT)
        else:
            for one in objects.values():
                later += self._changed(one, now, last=last)
        for notice in notices:
            if isinstance(notice, Reloaded):  # somebody asked for it
                self._tunnel_signal("Reloaded", notice.ok, notice.message[: errors.MAX_TEXT_SIZE])
            else:
                later += self._named(notice, objects, now, last=last)
        for key in [*self._held]:
            later += self._named(self._held.pop(key), objects, now, last=last)
        for path in [path for path in self._told if path not in objects]:
            del self._told[path]
            interface = names.LINK_INTERFACE
            self._emit(names.MANAGER_PATH, names.OBJECT_MANAGER_INTERFACE, "InterfacesRemoved", path, [interface])
        if later:  # all of them by one look
            self._look_at(max(later))

    def _added(self, one: Object) -> None:
        self._told[one.path] = one.values(("true",))
        interfaces = {one.interface: one.typed(one.values())}
        self._emit(names.MANAGER_PATH, names.OBJECT_MANAGER_INTERFACE, "InterfacesAdded", one.path, interfaces)

    def _changed(self, one: Object, now: float, *, last: bool) -> list[float]:
        """Tells an object's changed properties; returns the times at which waiting ones may be told."""
        told, changed, later = self._told[one.path], {}, []
        for name, value in one.values(("true",)).items():
            if value == told[name]:
                continue
            key = one.path, name
            if last or self._properties.take(key, now):
                changed[name] = told[name] = value
            else:
                later.append(self._properties.at(key, now))
        if changed:
            self._emit(one.path, names.PROPERTIES_INTERFACE, "PropertiesChanged", one.interface, one.typed(changed), [])
        return later

    def _named(
        self, notice: LinkChanged | TunnelChanged, objects: dict[str, Object], now: float, *, last: bool
    ) -> list[float]:
        """Tells a change, merged with a waiting one. If it must wait, returns the time at which it may be told."""
        link = notice.link if isinstance(notice, LinkChanged) else ""
        if (held := self._held.pop(link, None)) is not None:
            notice = _merged(held, notice)
        if not _worth_a_signal(notice):
            return []
        gone = bool(link) and self._tree.link_path(link) not in objects
        if not (last or gone or self._named_signals.take(link, now)):
            self._held[link] = notice
            return [self._named_signals.at(link, now)]
        if isinstance(notice, TunnelChanged):
            self._tunnel_signal("StateChanged", notice.after, notice.before, notice.reason)
        else:
            self._link_signal(notice, objects)
        return []

    def _link_signal(self, notice: LinkChanged, now: dict[str, Object]) -> None:
        path = self._tree.link_path(notice.link)
        read = now[path].read if path in now else {}
        if notice.after is LinkState.CONNECTED:
            self._tunnel_signal("LinkUp", notice.link, path)
        elif notice.before is LinkState.DISABLED:
            self._tunnel_signal("LinkEnabled", notice.link, path)
        elif notice.after is LinkState.LOSSY and read:
            self._tunnel_signal("LinkLossy", notice.link, path, read["LossPercent"]())
        elif notice.after is LinkState.SLOW and read:
            self._tunnel_signal("LinkSlow", notice.link, path, read["SmoothedRttUSec"]())
        elif notice.after is LinkState.DISABLED or (notice.before.up and not notice.after.up):
            self._tunnel_signal("LinkDown", notice.link, path, notice.reason)

    def _tunnel_signal(self, member: str, *body: Any) -> None:
        self._emit(self._tree.tunnel_path, names.TUNNEL_INTERFACE, member, *body)

    def _emit(self, path: str, interface: str, member: str, *body: Any) -> None:
        signature = INTERFACES[interface].signals[member]
        self._send(
            Message(kind=Kind.SIGNAL, path=path, interface=interface, member=member, signature=signature, body=body)
        )


def _merged(first: LinkChanged | TunnelChanged, then: LinkChanged | TunnelChanged) -> LinkChanged | TunnelChanged:
    """Two changes of the same link, or of the tunnel, as one."""
    if isinstance(first, LinkChanged) and isinstance(then, LinkChanged):
        reason = then.reason or ("" if then.after.up else first.reason)
        return replace(then, before=first.before, reason=reason)
    if isinstance(first, TunnelChanged) and isinstance(then, TunnelChanged):
        return replace(then, before=first.before)
    raise TypeError("changes of a link and of the tunnel")


def _worth_a_signal(notice: LinkChanged | TunnelChanged) -> bool:
    """Whether a change is worth a named signal; that a link which is down now asks for its peer is not."""
    if notice.before == notice.after:
        return False
    if isinstance(notice, TunnelChanged):
        return True
    return any(state.up or state is LinkState.DISABLED for state in (notice.before, notice.after))
