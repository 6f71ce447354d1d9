"""What inner TCP sends again, and which link had lost it: v1 lets a sender know no more of its own loss.

A TCP segment may come from the interface once more after it has left by a link. As a rule this link has lost it. It may
also have been lost beyond the tunnel, or be sent again without need. This hits all links alike, so a link is compared
with the others. Where nothing but other tunnels or UDP is inside, nothing is known, and no link is harmful.

A line that loses little, well within its tolerance, still drags down a TCP that slows down for each loss. The rate of a
window is some 1.2 segments / (round trip x the root of the loss) (Mathis et al. 1997).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import exp

REMEMBERED = 2048
"""Segments remembered at least, twice as many at most: 100 Mbit/s have so many of 1500 bytes under way in 0.25 s."""
WINDOW = 3_000_000
"""Bytes over which a link's loss is averaged."""
CONVICTING = 1_000_000
"""Bytes that count as given to a link, at least, so that one lost segment of few convicts nobody. Another link must
have been given as many to be known as better."""
FORGET = 30.0
"""Seconds in which what is known of a link comes to weigh e times less. It only matters to a link that has nothing to
carry: what overflows clears a line that has become clean."""
HARMFUL = 0.002
"""Share of a link's bytes; it must lose more to be found harmful."""
HARMLESS = 0.001
"""Share of a link's bytes; a harmful link that loses no more is harmless again."""
WORSE = 3.0
"""Factor: to be found harmful, a link must lose more than this many times what the best link loses."""
ALIKE = 1.5
"""Factor: a harmful link is harmless again when it loses at most this many times what the worst other link loses."""
USE_TIME = 0.5
"""Seconds over which a link's use is smoothed."""
FULL = 0.8
"""Part of its rate from which on a link is full."""
IDLE = 0.3
"""Part of its rate below which a link is full no more, and begins to endure anew."""
ENDURANCE = 1.0
"""Seconds that a link must be full, while segments are lost, to be harmless: its traffic bears the loss. BBR does, and
so do many flows together."""
BORNE = 3
"""Segments that a link must have lost while it was full, see `ENDURANCE`."""
LEAST_TIME = 0.05
"""Seconds between two judgements of what was sent, at least."""


class _Account:
    """What is known of a link."""

    __slots__ = ("borne", "endured", "full_for", "lost", "sent", "use")

    def __init__(self) -> None:
        self.sent = self.lost = 0.0
        """Bytes; older ones count less."""
        self.use = 0.0
        """Part of its rate that it carries, smoothed."""
        self.full_for = 0.0
        """Seconds that it has been full."""
        self.borne = 0
        """Segments lost meanwhile."""
        self.endured = False

    @property
    def share(self) -> float:
        return self.lost / max(self.sent, CONVICTING)

    def note(self, sent: int, lost: int, losses: int, rate: int, elapsed: float) -> None:
        fade = exp(-elapsed / FORGET - sent / WINDOW)
        self.sent = self.sent * fade + sent
        self.lost = self.lost * fade + lost
        self.use += (1 - exp(-elapsed / USE_TIME)) * (sent / (elapsed * rate) - self.use)
        if self.use < IDLE:
            self.full_for, self.borne, self.endured = 0.0, 0, False
        elif self.use >= FULL:
            self.full_for += elapsed
            self.borne += losses
            self.endured = self.endured or (self.full_for >= ENDURANCE and self.borne >= BORNE)


class Retransmissions:
    """Links are known by a number; `now` is in seconds."""

    __slots__ = ("_accounts", "_earlier", "_judged_at", "_latest", "_losses", "_lost", "_sent", "harmful")

    def __init__(self) -> None:
        self.harmful: frozenset[int] = frozenset()
        """Links that do more harm than good to the TCP inside, as last judged."""
        self._latest: dict[bytes, int] = {}
        self._earlier: dict[bytes, int] = {}
        """By which link a segment left: the latest ones, and those before them."""
        self._sent: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        """By link since the last judgement: bytes sent, bytes lost, segments lost."""
        self._accounts: dict[int, _Account] = {}
        self._judged_at = 0.0

    def sent(self, link: int, segment: bytes, length: int) -> None:
        """A TCP segment leaves by a link: its name (`inner.segment_name`) and its bytes."""
        latest = self._latest
        before = latest[segment] if segment in latest else self._earlier.get(segment)
        if before is not None:
            self._lost[before] += length
            self._losses[before] += 1
        latest[segment] = link
        self._sent[link] += length
        if len(latest) >= REMEMBERED:
            self._earlier, self._latest = latest, {}

    def share(self, link: int) -> float:
        """The part of a link's bytes of late that was sent again; 0 where nothing is known."""
        account = self._accounts.get(link)
        return account.share if account is not None else 0.0

    def judge(self, rates: Mapping[int, int], now: float) -> frozenset[int]:
        """Judges the links that carry, each with its bytes per second; returns the harmful ones. Call it some times a
        second."""
        elapsed = now - self._judged_at
        if elapsed >= LEAST_TIME:
            self._judged_at = now
            for link, rate in rates.items():
                account = self._accounts.setdefault(link, _Account())
                account.note(self._sent[link], self._lost[link], self._losses[link], rate, elapsed)
            self._sent.clear()
            self._lost.clear()
            self._losses.clear()
        self._accounts = {link: account for link, account in self._accounts.items() if link in rates}
        self.harmful = frozenset(link for link in self._accounts if self._is_harmful(link))
        return self.harmful

    def _is_harmful(self, link: int) -> bool:
        account = self._accounts[link]
        if account.endured or account.share <= (HARMLESS if link in self.harmful else HARMFUL):
            return False
        others = [other for number, other in self._accounts.items() if number != link]
        known = [other.share for other in others if other.sent >= CONVICTING]
        share = account.share
        if link in self.harmful:
            return bool(others) and all(share > ALIKE * other for other in known)
        return account.use < FULL and any(share > WORSE * other for other in known)
