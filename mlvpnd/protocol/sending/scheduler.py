"""Which link carries a packet, where links are not paced: weighted round robin by bytes.

Each link has a virtual clock that advances by size / weight with every packet it is given. A packet goes to the link
whose clock would be least after it. Over time the bytes follow the weights exactly, whatever the sizes, and packets
alternate as finely as the weights allow. This is start-time fair queueing (Goyal et al. 1996), with links in the place
of flows.

At hundreds of megabits per second, `LARGE_BURST` packets come at once. If all links have one weight, a large burst goes
over some of the links only, and the next over others: a send to a link costs as much as sealing several packets,
however few it takes along. All numbers are integers, so the native twin makes the same choices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LARGE_BURST = 32
"""Packets that come at once, from which on their burst is large. A slower TCP makes no super-packets of so many
segments; its packets alternate over all links."""
BURST_LINKS = 2
"""Links that a large burst goes over, or one link in `BURST_SHARE` if this is more."""
BURST_SHARE = 4
_SCALE = 1 << 20
MAX_WEIGHT = 1 << 32
"""Of a link, at most: what the native twin's virtual time has room for."""


class WeightedScheduler:
    """Spreads packets over links by weight; links are known by a number."""

    __slots__ = ("_burst", "_clock", "_cost", "_virtual_time", "_weights")

    def __init__(self) -> None:
        self._burst: tuple[int, ...] = ()
        """The links that share the burst, in the order of the round; empty: the next pick names them."""
        self._clock: dict[int, int] = {}
        self._cost: dict[int, int] = {}
        self._weights: dict[int, int] = {}
        self._virtual_time = 0
        """The clock of the link that took the last packet."""

    def set_links(self, weights: Mapping[int, int]) -> None:
        """Spreads over these links from now on; `weights` are > 0, in any unit.

        A link that stays keeps its place in the round; a new one begins where the others stand. If the weight of a link
        that stays has changed, all begin anew: a place in the old round says nothing in the new one.
        """
        stay = {link for link in weights if link in self._clock}
        if any(weights[link] != self._weights[link] for link in stay):
            stay = set()
        heaviest, unit = max(weights.values(), default=1), max(self._weights.values(), default=1)
        start = min((self._clock[link] for link in stay), default=self._virtual_time)
        # The clocks count in units of the heaviest link, which may have come or gone.
        clocks = {link: self._clock[link] if link in stay else self._virtual_time for link in weights}
        self._clock = {link: (clock - start) * heaviest // unit for link, clock in clocks.items()}
        self._virtual_time = (self._virtual_time - start) * heaviest // unit
        # Virtual time per byte, at least 1 so that a link a million times slower still advances.
        self._cost = {link: max(1, _SCALE * heaviest // weight) for link, weight in weights.items()}
        self._weights = dict(weights)
        self._burst = tuple(self._clock)

    def begin_burst(self, packets: int) -> None:
        """So many packets have come at once; links are picked for them until the next call."""
        fewer = packets >= LARGE_BURST and len(self._clock) > BURST_LINKS and len({*self._weights.values()}) == 1
        self._burst = () if fewer else tuple(self._clock)

    def pick(self, size: int) -> int | None:
        """The link that takes a packet of `size` bytes, or None if there is none."""
        if not self._burst and self._clock:
            self._burst = self._burst_links(size)
        best: tuple[int, int] | None = None  # virtual time after this packet, link
        for link in self._burst:
            after = self._clock[link] + size * self._cost[link]
            if best is None or after < best[0]:
                best = after, link
        if best is None:
            return None
        self._clock[best[1]] = self._virtual_time = best[0]
        return best[1]

    def _burst_links(self, size: int) -> tuple[int, ...]:
        turn = sorted(self._clock, key=lambda link: self._clock[link] + size * self._cost[link])
        chosen = turn[: max(BURST_LINKS, -(-len(turn) // BURST_SHARE))]
        return tuple(link for link in self._clock if link in chosen)

    @property
    def links(self) -> tuple[int, ...]:
        """The links in the round."""
        return tuple(self._clock)


def effective_weights(bandwidths: Iterable[int]) -> list[int]:
    """Weights from `bandwidth_upload` of all links: as given if each has one, else all alike."""
    given = list(bandwidths)
    return given if all(given) else [1] * len(given)
