"""How often something may be done: some times at once, and after that once in a while."""

from __future__ import annotations

from collections.abc import Hashable

_MANY = 256
"""Keys from which on those that are as good as new are forgotten, or twice as many as were left the last time."""

_ROUNDING = 1e-6
"""Part of an interval by which a use may come too early: sums of intervals have rounding errors."""


class Allowances:
    """For each key: `burst` uses at once, and one more for every `interval` seconds.

    It is the generic cell rate algorithm: ITU-T I.371, "virtual scheduling". Times are of any one clock, in seconds.
    """

    def __init__(self, burst: int, interval: float) -> None:
        self._lead = (burst - 1) * interval
        self._interval = interval
        self._next: dict[Hashable, float] = {}
        """When the next use of a key would come if all were spread evenly."""
        self._most = _MANY

    def take(self, key: Hashable, now: float) -> bool:
        """Whether it may be done now, which counts as one use."""
        due = self._next.get(key, now)
        if due > now + self._lead + self._interval * _ROUNDING:
            return False
        if len(self._next) >= self._most:
            self._next = {key: due for key, due in self._next.items() if due > now}
            self._most = max(_MANY, 2 * len(self._next))
        self._next[key] = max(due, now) + self._interval
        return True

    def at(self, key: Hashable, now: float) -> float:
        """When it may be done next; `now`, if that is at once."""
        return max(now, self._next.get(key, now) - self._lead)
