"""Puts packets of several links back into the order of their `data_seq`.

A packet whose turn has come leaves at once. An early packet waits behind a hole. A hole is given up

- when every link that may still bring the missing numbers has brought a later one (RFC 1990 §4.1). Where a link
  itself reorders, its `disorder` must have passed since then;
- at its deadline, `wait` after the first packet behind it came: a link may be silent;
- when more than `size` packets wait.

So a link's next packet shows its loss, and where links are alike and keep order next to nothing waits. A packet that
comes after its hole was given up leaves at once. Each number leaves once. Numbers are compared modulo 2^64.

A number far ahead of the expected one means that the peer counts anew: the held packets leave in their order, and the
count goes on from the new number. A number far behind is a straggler of the old count. Where only stragglers and
repetitions come, the count is wrong, and begins anew with them.

A packet's cost does not grow with the packets held, except by a heap's logarithm: a peer leaves holes where it likes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from heapq import heappop, heappush

_MASK = (1 << 64) - 1
_HALF = 1 << 63
JUMP = 1 << 16
"""Numbers; one so far from the expected number shows that the peer has begun anew: no link reorders so far."""
STRAYS = 64
"""Stragglers and repetitions in a row after which the count is not believed."""
_DELIVERED = 1
"""Fate of a number: its packet has left."""
_GIVEN_UP = 2
"""Fate of a number: its hole was given up. 0: it is from before the count began."""
_HOLES = memoryview(bytes([_GIVEN_UP]) * JUMP)


class ReorderBuffer:
    """At most `size` packets, each held for at most `wait` seconds."""

    __slots__ = (
        "_arrivals",
        "_began",
        "_fates",
        "_held",
        "_highest",
        "_links",
        "_next",
        "_numbers",
        "_opened",
        "_passed",
        "_strays",
        "duplicates",
        "late",
        "size",
        "timeouts",
        "wait",
    )

    def __init__(self, size: int, wait: float) -> None:
        if size < 1:
            raise ValueError("a reorder buffer holds at least one packet")
        self.size = size
        self.wait = wait
        """Seconds; takes effect on holes that are open too."""
        self._links: Mapping[int, float] = {}
        self._next: int | None = None
        """The number expected; it counts on beyond 2^64, so that greater is later. None: no count has begun."""
        self._began = 0.0
        self._held: OrderedDict[int, tuple[bytes, float, int]] = OrderedDict()
        """By number, in order of arrival: packet, when it came, and by which link."""
        self._numbers: list[int] = []
        """The same numbers as a heap: packets leave from the least on."""
        self._arrivals: dict[int, OrderedDict[int, float]] = {}
        """By link: the held numbers that it has brought, in order of arrival, and when each came."""
        self._highest: dict[int, int] = {}
        """The highest number that each link has brought early. It is held, if it is above the expected one."""
        self._opened = 0.0
        """When the first packet behind the first hole came."""
        self._passed: float | None = None
        """Since when no link can bring the numbers of the first hole; None: one still can."""
        self._fates = bytearray(JUMP)
        """What became of the last `JUMP` numbers before the expected one. A byte for each is quicker than a bit."""
        self._strays = 0
        self.late = 0
        """Packets that came after their hole had been given up."""
        self.timeouts = 0
        """Holes given up at their deadline."""
        self.duplicates = 0
        """Packets dropped because their number had come already."""

    def __len__(self) -> int:
        return len(self._held)

    def set_links(self, disorder: Mapping[int, float]) -> None:
        """The links that may bring missing numbers, each with its disorder in seconds."""
        self._links = disorder
        if self._held:
            self._look_at_hole()

    def push(self, data_seq: int, packet: bytes, now: float, link: int) -> list[bytes]:
        """Takes a packet from a link and returns those whose turn has come, in order."""
        expected = self._next
        if expected is None:
            return self._begin(data_seq, packet, now)
        ahead = (data_seq - expected) & _MASK
        if ahead == 0:
            self._fates[expected % JUMP] = _DELIVERED
            self._next = expected + 1
            self._strays = 0
            if not self._held:
                return [packet]
            out = [packet]
            self._run(out)
            if self._held and (self._passed is not None or self._opened + self.wait <= now):
                self._give_up(now, out)
            return out
        if ahead < JUMP:
            self._strays = 0
            return self._hold(expected + ahead, packet, now, link)
        if ahead < _HALF:
            return self._begin(data_seq, packet, now)
        return self._behind(expected - (_MASK + 1 - ahead), packet, now)

    def is_anew(self, data_seq: int, now: float, grace: float) -> bool | None:
        """Whether the peer must have begun anew if it sends this number now; None: it may be a late one of this count.

        It must have, if it has sent the number already, or if the number is too far from the count. For `grace` seconds
        after the count began, a number from before it may have been on its way.
        """
        if self._next is None:
            return False
        ahead = (data_seq - self._next) & _MASK
        if ahead < _HALF:
            return ahead >= JUMP
        if _MASK + 1 - ahead > JUMP:
            return True
        fate = self._fates[data_seq % JUMP]
        return True if fate == _DELIVERED or (not fate and now >= self._began + grace) else None

    def deadline(self) -> float | None:
        """When `expire` has work to do, or None while nothing is held."""
        if not self._held:
            return None
        due = self._opened + self.wait
        return due if self._passed is None else min(due, self._passed)

    def expire(self, now: float) -> list[bytes]:
        """Gives up every hole whose time has come; returns the packets behind them, in order."""
        out: list[bytes] = []
        if self._held:
            self._give_up(now, out)
        return out

    def flush(self) -> list[bytes]:
        """Everything held, in order, now; the next packet begins a new count."""
        out = [self._held[number][0] for number in sorted(self._numbers)]
        self._held.clear()
        self._numbers.clear()
        self._arrivals.clear()
        self._highest.clear()
        self._next = None
        return out

    def _begin(self, data_seq: int, packet: bytes, now: float) -> list[bytes]:
        """Begins a count with this packet."""
        out = self.flush()
        out.append(packet)
        self._next = data_seq + 1
        self._began = now
        self._strays = 0
        self._fates = bytearray(JUMP)
        self._fates[data_seq % JUMP] = _DELIVERED
        return out

    def _hold(self, number: int, packet: bytes, now: float, link: int) -> list[bytes]:
        held = self._held
        if number in held:
            self.duplicates += 1
            return []
        held[number] = (packet, now, link)
        heappush(self._numbers, number)
        self._arrivals.setdefault(link, OrderedDict())[number] = now
        known = self._highest.get(link, -1)
        if number > known:
            self._highest[link] = number
        if len(held) == 1:
            self._opened = now
            self._look_at_hole()
        elif self._passed is None and known < (self._next or 0):
            self._look_at_hole()
        out: list[bytes] = []
        if len(held) > self.size or self._passed is not None or self._opened + self.wait <= now:
            self._give_up(now, out)
        return out

    def _behind(self, number: int, packet: bytes, now: float) -> list[bytes]:
        place = number % JUMP
        expected = self._next or 0
        if expected - number > JUMP:
            return self._stray(number, packet, now) or [packet]
        if self._fates[place] == _DELIVERED:
            out = self._stray(number, packet, now)
            self.duplicates += not out
            return out
        self._fates[place] = _DELIVERED
        self.late += 1
        return [packet]

    def _stray(self, number: int, packet: bytes, now: float) -> list[bytes]:
        """Notes a stray; returns what leaves if the count begins anew with it."""
        self._strays += 1
        return self._begin(number & _MASK, packet, now) if self._strays >= STRAYS else []

    def _run(self, out: list[bytes]) -> None:
        """Takes out the packets that are contiguous from the expected number on."""
        held, fates, expected = self._held, self._fates, self._next or 0
        while (entry := held.pop(expected, None)) is not None:
            packet, _, link = entry
            out.append(packet)
            heappop(self._numbers)
            del self._arrivals[link][expected]
            fates[expected % JUMP] = _DELIVERED
            expected += 1
        self._next = expected
        if held:
            self._opened = next(iter(held.values()))[1]  # the first that came behind the next hole
            self._look_at_hole()

    def _give_up(self, now: float, out: list[bytes]) -> None:
        """Gives up every hole that is not waited for any more, or behind which too many packets wait."""
        while self._held:
            if len(self._held) <= self.size and (self._passed is None or self._passed > now):
                if self._opened + self.wait > now:
                    return
                self.timeouts += 1
            expected = self._next or 0
            first = self._numbers[0]
            place, length = expected % JUMP, first - expected
            until_end = min(length, JUMP - place)
            with memoryview(self._fates) as fates:
                fates[place : place + until_end] = _HOLES[:until_end]
                fates[: length - until_end] = _HOLES[: length - until_end]
            self._next = first
            self._run(out)

    def _look_at_hole(self) -> None:
        """Finds out since when every link that may bring the missing numbers has brought a later one."""
        expected, highest = self._next or 0, self._highest
        passed = self._opened
        for link, disorder in self._links.items():
            if highest.get(link, -1) < expected:
                self._passed = None
                return
            if disorder > 0:
                came = next(iter(self._arrivals[link].values()))  # its highest number is held
                passed = max(passed, came + disorder)
        self._passed = passed
