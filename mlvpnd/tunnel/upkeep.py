"""What others take from an interface that mlvpnd configures is put back, but not for ever.

Two programs that both configure it would otherwise take turns without an end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from mlvpnd.logs.journal import fields
from mlvpnd.logs.log import logger

MOST = 5
SPAN = 60.0
"""Seconds. What was taken `MOST` times within `SPAN` is put back no more, until the file is read again."""

_log = logger("tuntap")


class Upkeep:
    """Counts and logs what was put back."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MOST)
        self.given_up = False
        """Whether nothing is to be put back any more."""

    def renew(self) -> None:
        """Begins anew: the file was read again, or the interface was made again."""
        self._times.clear()
        self.given_up = False

    def put_back(self, name: str, things: Sequence[str], now: float) -> None:
        """What somebody had taken from the interface `name` was put back."""
        text = ", ".join(things)
        _log.warning("%s somebody took away: %s; put back", name, text, extra=fields("interface-changed", taken=text))
        self._times.append(now)
        if len(self._times) == MOST and now - self._times[0] < SPAN:
            self.given_up = True
            _log.error(
                "%s was changed %d times within a minute: nothing is put back any more until a reload. Another program"
                " configures the interface: tell it to leave it alone, see mlvpnd(8)",
                name,
                MOST,
                extra=fields("interface-given-up"),
            )
