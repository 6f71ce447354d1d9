"""Log lines about refused datagrams: the first at once, then a sum at most once a minute for each link."""

from __future__ import annotations

from collections.abc import Mapping

from mlvpnd.logs.journal import fields, of_link
from mlvpnd.logs.log import logger
from mlvpnd.protocol.wire.drops import DropReason

INTERVAL = 60.0
"""Seconds between lines of one link."""

# Where upstream has words for a reason, they stand here: operators grep for them.
_WORDS = {
    DropReason.NOT_AUTHENTIC: "crypto_decrypt failed: -1",
    DropReason.SHORT: "received invalid packet",
    DropReason.BAD_LENGTH: "invalid packet size",
    DropReason.BAD_VERSION: "packet of an unknown version",
    DropReason.REFLECTED: "our own packet came back",
    DropReason.REPLAYED: "packet replayed or too old",
    DropReason.BAD_PLAINTEXT: "packet with a changed header",
    DropReason.WRONG_LINK: "packet of another link",
    DropReason.CLEAR_NOT_ALLOWED: "rejected non authenticated connection",
}

_protocol = logger("protocol")


class DropLog:
    """Checks a link's drop counters after each burst; costs two look-ups while there is nothing to say."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}
        self._next_at: dict[str, float] = {}
        self._before: dict[str, dict[DropReason, int]] = {}

    def look(self, link: str, drops: Mapping[DropReason, int], now: float) -> None:
        """Writes one line if datagrams were refused since the last line."""
        total = sum(drops.values())
        if total == self._said.get(link, 0) or now < self._next_at.get(link, 0.0):
            return
        before = self._before.get(link, {})
        fresh = {reason: count - before.get(reason, 0) for reason, count in drops.items()}
        self._said[link] = total
        self._before[link] = dict(drops)
        parts = [f"{_WORDS[reason]} ({count})" for reason, count in fresh.items() if count and reason in _WORDS]
        if parts:
            self._next_at[link] = now + INTERVAL
            extra = fields("auth-failed", link) if fresh.get(DropReason.NOT_AUTHENTIC) else of_link(link)
            _protocol.warning("%s %s", link, ", ".join(parts), extra=extra)

    def forget(self, link: str) -> None:
        """A link's counters begin anew."""
        for table in (self._said, self._next_at, self._before):
            table.pop(link, None)
