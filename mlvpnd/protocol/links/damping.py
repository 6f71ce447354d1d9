"""Brings a link that comes and goes up at a slower pace, so that what follows each change stays cheap.

Each time that a link comes up or goes down, the status command is run, the bus is told, and the log has a line. A peer
that knows the password can make a link come and go as fast as it sends packets.
"""

from __future__ import annotations

QUICK_END = 10.0
"""Seconds that a link has been up, below which its end is a quick one. A line that works holds longer."""
QUICK_ENDS = 5
"""Quick ends from which on a link is held down. A line that flaps in earnest comes back at once four times."""
HOLD = 1.0
"""Seconds that a link is held down after its end: as long as a client waits between two AUTHs."""
FORGET = 60.0
"""Seconds without a quick end after which earlier ones no longer count."""


class Damping:
    """The quick ends of one link, and until when it is held down."""

    def __init__(self) -> None:
        self.quick_ends = 0
        """Quick ends without a long life or a long silence between them."""
        self.until = float("-inf")
        """From then on the link may come up."""
        self._last = float("-inf")

    def end(self, lived: float, now: float) -> None:
        """The link has gone down after `lived` seconds."""
        if lived >= QUICK_END or now >= self._last + FORGET:
            self.quick_ends = 0
        if lived < QUICK_END:
            self._last = now
            self.quick_ends += 1
        if self.quick_ends >= QUICK_ENDS:
            self.until = now + HOLD

    @property
    def begins(self) -> bool:
        """Whether the last end was the first for which the link is held."""
        return self.quick_ends == QUICK_ENDS
