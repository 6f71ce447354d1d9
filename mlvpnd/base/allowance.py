"""Limits how often something may be done: some times at once, then once in a while."""

from __future__ import annotations

from collections.abc import Hashable

_MANY = 256
"""Number of keys from which on unused keys are forgotten; later, twice as many as were left the last time."""

_ROUNDING = 1e-6
"""Part of an interval. A use may come too early by this: sums of intervals have rounding errors."""


class Allowances:
    """For each key: `burst` uses at once, and one more for every `interval` seconds.

    This is the generic cell rate algorithm: ITU-T I.371, "virtual scheduling". Times are of any one clock, in seconds.
    """

    def __init__(self, burst: int, interval: float) -> None:
        self._lead = (burst - 1) * interval
        self._interval = interval
        self._next: dict[Hashable, float] = {}
        """When a key's next use would come if all uses were spread evenly."""
        self._most = _MANY

    def take(self, key: Hashable, now: float) -> bool:
        """Whether it may be done now; if so, this counts as a use."""
        due = self._next.get(key, now)
        if due > now + self._lead + self._interval * _ROUNDING:
            return False
        if len(self._next) >= self._most:
            self._next = {key: due for key, due in self._next.items() if due > now}
            self._most = max(_MANY, 2 * len(self._next))
        self._next[key] = max(due, now) + self._interval
        return True

    def at(self, key: Hashable, now: float) -> float:
        """When it may be done next; `now`: at once."""
        return max(now, self._next.get(key, now) - self._lead)
