"""When a session has to do something for its links, known without a look at each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlvpnd.protocol.wire.constants import KEEPALIVE_INTERVAL, TRIAL_TIME

from .path import Path


class Deadlines:
    """The earliest of the links' deadlines.

    Nearly all that happens to a link puts its deadlines off: it is heard, or something leaves. So the earliest is
    looked for only when it has come, or after `may_change`. In between, `due` tells it too early at worst.
    """

    def __init__(
        self, paths: Mapping[int, Path], probe_at: Callable[[Path], float], calls: Callable[[Path], bool]
    ) -> None:
        """`probe_at`: when an up link is to be probed; `calls`: whether one that is down asks for its peer."""
        self._paths = paths
        self._probe_at = probe_at
        self._calls = calls
        self._due: float | None = None
        self._is_known = False
        self._tick_at = 0.0
        """When all links that have been up for a while say KEEPALIVE next."""

    def may_change(self) -> None:
        """Something happened by which a link may be due before all others, or no link at all."""
        self._is_known = False

    def consider(self, path: Path) -> None:
        """Something happened by which one link may be due sooner, and no link later."""
        if self._is_known:
            soonest = min(self._of(path), default=None)
            if soonest is not None and (self._due is None or soonest < self._due):
                self._due = soonest

    def due(self) -> float | None:
        """The earliest; None: no link waits for anything."""
        if not self._is_known:
            self._is_known = True
            self._due = min((at for path in self._paths.values() for at in self._of(path)), default=None)
        return self._due

    def come(self, now: float) -> bool:
        """All that is due by `now` is being done; returns whether anything is."""
        due = self.due()
        if due is None or due > now:
            return False
        self._is_known = False
        return True

    def next_tick(self, path: Path, now: float) -> float:
        """When a link that says KEEPALIVE now does so next.

        It says it with the others, so that many idle links cost one turn in a second, and not one each. While it may be
        on trial, it keeps the time of its peer's AUTHs instead: by each of them the trial begins anew.
        """
        if now >= self._tick_at:
            self._tick_at = _after(max(self._tick_at, path.next_keepalive_at), now)
        return self._tick_at if now >= path.up_at + TRIAL_TIME else _after(path.next_keepalive_at, now)

    def _of(self, path: Path) -> tuple[float, ...]:
        if path.up:
            silent_at = path.heard_at + path.parameters.timeout
            return path.next_keepalive_at, min(silent_at, path.unheard_at), self._probe_at(path)
        if path.asked_seq is not None:
            return (path.asked_at + path.parameters.timeout,)
        return (path.next_auth_at,) if self._calls(path) else ()


def _after(tick: float, now: float) -> float:
    """The next tick. After we were suspended, no burst makes up for the missed ones."""
    following = tick + KEEPALIVE_INTERVAL
    return following if following > now else now + KEEPALIVE_INTERVAL
