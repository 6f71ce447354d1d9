"""Puts packets of several links back into the order of their `data_seq`.

A packet whose turn has come leaves at once. One that is early waits behind the hole, and the hole has a
deadline that counts from the arrival of the first packet behind it, so that nothing is ever held longer than
`wait`. A late packet, whose hole was given up, leaves at once. Numbers are compared modulo 2^64.

A number far from what is expected, either way, means that the peer has begun to count anew: what is held leaves in its
order and the count goes on from there.
"""

from __future__ import annotations

_MODULUS = 1 << 64
_HALF = 1 << 63
JUMP = 1 << 16
"""Distance from the expected number at which the peer must have begun anew: more than any link reorders."""


class ReorderBuffer:
    """At most `size` packets, each held for at most `wait` seconds."""

    __slots__ = ("_held", "_next", "_oldest_arrival", "duplicates", "late", "size", "timeouts", "wait")

    def __init__(self, size: int, wait: float) -> None:
        if size < 1:
            raise ValueError("a reorder buffer holds at least one packet")
        self.size = size
        self.wait = wait
        """Seconds; takes effect on holes that are open too."""
        self._next: int | None = None
        self._held: dict[int, tuple[bytes, float]] = {}
        self._oldest_arrival = 0.0
        self.late = 0
        """Packets that came after their hole had been given up."""
        self.timeouts = 0
        """Holes given up at their deadline."""
        self.duplicates = 0
        """Packets dropped because their number was waiting already."""

    def __len__(self) -> int:
        return len(self._held)

    def push(self, data_seq: int, packet: bytes, now: float) -> list[bytes]:
        """Takes a packet and returns those whose turn has come, in order."""
        if self._next is None:
            self._next = data_seq
        ahead = (data_seq - self._next) % _MODULUS
        if ahead == 0:
            self._next = (data_seq + 1) % _MODULUS
            if not self._held:
                return [packet]
            return [packet, *self._run()]
        if ahead < JUMP:
            if data_seq in self._held:
                self.duplicates += 1
                return []
            if not self._held:
                self._oldest_arrival = now
            self._held[data_seq] = (packet, now)
            if len(self._held) > self.size or self.wait <= 0:
                self._skip_hole()
                return self._run()
            return []
        if _MODULUS - ahead <= JUMP:
            self.late += 1
            return [packet]
        flushed = self.flush()
        self._next = (data_seq + 1) % _MODULUS
        return [*flushed, packet]

    def deadline(self) -> float | None:
        """When `expire` has work to do, or None while nothing is held."""
        return self._oldest_arrival + self.wait if self._held else None

    def expire(self, now: float) -> list[bytes]:
        """Gives up every hole whose deadline has come; returns the packets behind them, in order."""
        out: list[bytes] = []
        while self._held and self._oldest_arrival + self.wait <= now:
            self.timeouts += 1
            self._skip_hole()
            out += self._run()
        return out

    def flush(self) -> list[bytes]:
        """Everything held, in order, now; the next packet begins a new count."""
        first = self._next or 0
        out = [self._held[seq][0] for seq in sorted(self._held, key=lambda seq: (seq - first) % _MODULUS)]
        self._held.clear()
        self._next = None
        return out

    def _skip_hole(self) -> None:
        first = self._next or 0
        self._next = min(self._held, key=lambda seq: (seq - first) % _MODULUS)

    def _run(self) -> list[bytes]:
        """Takes out what is contiguous from the expected number on."""
        out: list[bytes] = []
        expected = self._next or 0
        while (held := self._held.pop(expected, None)) is not None:
            out.append(held[0])
            expected = (expected + 1) % _MODULUS
        self._next = expected
        if self._held and out:
            self._oldest_arrival = next(iter(self._held.values()))[1]  # a dict is in order of arrival
        return out
