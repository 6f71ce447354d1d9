"""What TCP's loss recovery tells congestion control, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

INITIAL_WINDOW = 10.0
"""Segments."""


@dataclass(slots=True)
class Sample:
    """What one ACK says. Counts are segments, times are seconds."""

    now: float
    acked: int
    """Newly acknowledged, also by SACK."""
    lost: int
    """Newly found lost."""
    pipe: int
    """Under way, after the ACK."""
    rtt: float
    """0: the ACK gives none."""
    rate: float
    """Segments per second that were delivered; 0: unknown."""
    prior: int
    """Delivered when the newest acknowledged segment left."""
    delivered: int
    """Delivered in all."""
    una: int
    """The first segment that is not acknowledged."""
    next: int
    """The next new segment."""


class Control(Protocol):
    """A congestion control."""

    cwnd: float
    """Segments that may be under way."""
    rate: float
    """Segments per second at which they leave; inf: as ACKs come."""
    owns_window: bool
    """Whether it sets the window during recovery; else recovery brings it down to `ssthresh` in proportion."""
    ssthresh: float

    def on_ack(self, sample: Sample, *, recovering: bool) -> None:
        """Takes an ACK."""

    def on_loss(self, now: float) -> None:
        """Recovery begins."""

    def on_timeout(self, now: float) -> None:
        """Nothing was acknowledged for the retransmission's time."""

    def on_recovered(self) -> None:
        """Recovery ends: all that was under way at its begin is acknowledged."""

    def undo(self) -> None:
        """The last loss was none."""
