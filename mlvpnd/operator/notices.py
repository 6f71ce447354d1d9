"""Tells subscribers of changes, by what they were told last."""

from __future__ import annotations

from collections.abc import Callable

from mlvpnd.logs.log import logger

from .face import LinkChanged, Notice, TunnelChanged
from .status import LinkState

_log = logger()


class Reports:
    """Sends notices to all subscribers, in order, but none without a change."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Notice], None]] = []
        self._links: dict[str, LinkState] = {}
        self._tunnel = "down"

    def subscribe(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Tells `listener` from now on; returns a function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, notice: Notice) -> None:
        """Tells all listeners; if one fails, the others are still told."""
        for listener in tuple(self._listeners):
            try:
                listener(notice)
            except Exception:  # the tunnel goes on
                _log.exception("a listener failed")

    def link(self, name: str, state: LinkState, reason: str = "") -> None:
        """Takes a link's present state."""
        before = self._links.get(name, LinkState.DISCONNECTED)
        self._links[name] = state
        if state is not before:
            self.tell(LinkChanged(name, before, state, reason))

    def forget_link(self, name: str) -> None:
        """The link was removed."""
        self._links.pop(name, None)

    def tunnel(self, state: str, reason: str = "") -> str:
        """Takes the tunnel's present state, a word of `status.TunnelStatus.state`; returns the one before."""
        before, self._tunnel = self._tunnel, state
        if state != before:
            self.tell(TunnelChanged(before, state, reason))
        return before
