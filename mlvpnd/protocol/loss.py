"""Loss seen on the way in: which of the last 64 sequence numbers of a flow have arrived."""

from __future__ import annotations

WINDOW = 64
_ALL = (1 << WINDOW) - 1


class LossVector:
    """One bit for each of the last 64 numbers; numbers before the first packet count as arrived."""

    __slots__ = ("_bits", "_newest")

    def __init__(self, first: int) -> None:
        self._bits = _ALL
        self._newest = first

    def received(self, seq: int) -> None:
        """Notes an authentic packet. A jump past the window starts anew, as upstream: it is not 64 losses."""
        ahead = seq - self._newest
        if ahead > WINDOW:
            self._bits = _ALL
        elif ahead > 0:
            self._bits = (self._bits << ahead | 1) & _ALL
        else:
            if -ahead < WINDOW:
                self._bits |= 1 << -ahead
            return
        self._newest = seq

    @property
    def percent(self) -> int:
        """Missing numbers in percent of 64, rounded down: 0 to 98."""
        return (WINDOW - self._bits.bit_count()) * 100 // WINDOW
