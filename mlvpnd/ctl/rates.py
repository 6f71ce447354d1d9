"""Computes rates from counters that are read now and then."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from .model import View

HISTORY = 600
"""Rates kept of each counter: ten minutes at one a second, and more than a terminal has columns."""
_BARS = " ▁▂▃▄▅▆▇█"


class RateBook:
    """The rates of anything with `TxBytes` and `RxBytes`, by a key from the caller."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], tuple[float, float, float]] = {}
        self._rates: dict[tuple[str, ...], deque[tuple[float, float]]] = {}

    def add(self, key: tuple[str, ...], view: View, now: float) -> None:
        """Notes the counters at the time `now`, in seconds of any clock that only grows."""
        sent, received = view.number("TxBytes"), view.number("RxBytes")
        before = self._last.get(key)
        self._last[key] = now, sent, received
        if before is None or now <= before[0]:
            return
        span = now - before[0]
        # If they are less than before, the daemon has restarted and counts from 0.
        since = before if sent >= before[1] and received >= before[2] else (0.0, 0.0, 0.0)
        rates = self._rates.setdefault(key, deque(maxlen=HISTORY))
        rates.append(((sent - since[1]) / span, (received - since[2]) / span))

    def forget(self, key: tuple[str, ...]) -> None:
        """Counters cannot be read now: their rate is 0, and the next reading counts as the first."""
        self._last.pop(key, None)
        if key in self._rates:
            self._rates[key].append((0.0, 0.0))

    def sent(self, key: tuple[str, ...]) -> list[float]:
        """Rates sent, in bytes per second, the newest last."""
        return [rate for rate, _ in self._rates.get(key, ())]

    def received(self, key: tuple[str, ...]) -> list[float]:
        """Rates received, in bytes per second, the newest last."""
        return [rate for _, rate in self._rates.get(key, ())]


def newest(rates: Sequence[float]) -> float:
    """The last rate; 0: there is none yet."""
    return rates[-1] if rates else 0.0


def sparkline(rates: Sequence[float], columns: int, top: float) -> str:
    """The newest rates as bars, one a column, in proportion to `top`; any rate above 0 is visible."""
    shown = [*rates[-columns:]] if columns > 0 else []
    bars = "".join(_bar(rate, top) for rate in shown)
    return bars.rjust(max(columns, 0))


def _bar(rate: float, top: float) -> str:
    if rate <= 0 or top <= 0:
        return _BARS[0]
    steps = len(_BARS) - 1
    return _BARS[max(1, min(steps, round(rate / top * steps)))]
