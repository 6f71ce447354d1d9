"""Delivers only the first copy of a packet that its sender sends over several links (`duplicate` in the rules).

All copies of a packet carry the same number in `data_seq`, with the reorder bit cleared. These numbers are a row of
their own. C MLVPN sends no such packets: it sets the reorder bit on all.
"""

from __future__ import annotations

from mlvpnd.protocol.wire.replay import ReplayWindow

JUMP = 1 << 16
"""Numbers; one so far from the newest shows that the peer has begun anew."""


class CopyFilter:
    """Remembers the last `ReplayWindow` of numbers. 0 is no number, and always passes."""

    __slots__ = ("_window",)

    def __init__(self) -> None:
        self._window: ReplayWindow | None = None

    def is_first(self, number: int) -> bool:
        """Whether no copy of this packet has come before."""
        if not number:
            return True
        if self._window is None or abs(number - self._window.newest) >= JUMP:
            self._window = ReplayWindow.restored(number, 1)
            return True
        return self._window.accept(number)
