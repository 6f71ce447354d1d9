"""Delivers a packet once that its sender sends over several links (`duplicate` in the rules).

Each copy carries the same number in `data_seq`, from a row of its own, with the reorder bit cleared. C MLVPN sends no
such packets: its mark is on all of them.
"""

from __future__ import annotations

from mlvpnd.protocol.wire.replay import ReplayWindow

JUMP = 1 << 16
"""Distance from the newest number at which the peer must have begun anew."""


class CopyFilter:
    """Remembers the last `ReplayWindow` of numbers; 0 is none and always passes."""

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
