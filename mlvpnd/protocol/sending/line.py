"""A link as the paced scheduler sees it: when it is free, and what waits for it.

Times are nanoseconds of the driver's clock, sizes are bytes on the line, rates are bytes per second. A line has three
queues. `express` goes first, in order. Then `committed` and `own` take turns. `committed` is the line's part of the
common stream, in the order of its numbers. `own` is what a filter or rule sends here, and what passes stretched flows.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .flow_queue import FlowQueue

SECOND = 1_000_000_000
CREDIT = 8_000_000
"""Nanoseconds that a busy line may lag behind its rate and catch up. A timer is late by a millisecond or two as a rule.
Catching up can make no longer queue in the modem."""
EXPRESS_LIMIT = 20_000_000
"""Nanoseconds of line time that may wait in `express`; packets beyond it queue like everything else."""
OWN_TIME = 100_000_000
"""Nanoseconds of line time that may wait in `own`."""
LEAST_LIMIT = 64 * 1514
"""Bytes that the common queue and `own` may hold, however slow the line."""
MAX_RATE = ((1 << 63) - 1) // SECOND
"""Bytes per second of the fastest line: the native twin counts in 64 bits."""


class Item(NamedTuple):
    """A packet on its way to a line."""

    packet: bytes
    size: int
    data_seq: int
    """Its number in the common stream, or the number of a copy; 0: none."""
    reorder: bool
    """Whether it takes part in reordering."""
    after: int = 0
    """Earliest departure of a `committed` packet, so that it does not overtake slower lines."""
    flow: int = 0
    """The bucket of its flow, in case the line goes before the packet has left."""


class Line:
    """`ready_at`: when the next packet may leave; `free_at`: when all that waits will have left."""

    __slots__ = (
        "committed",
        "committed_bytes",
        "delay",
        "express",
        "express_bytes",
        "higher",
        "hold",
        "kept_until",
        "least_delay",
        "own",
        "rate",
        "ready_at",
        "sent",
        "turn",
    )

    def __init__(self, rate: int, delay: int, now: int) -> None:
        self.rate = rate
        self.delay = delay
        """Nanoseconds from here to the peer."""
        self.least_delay = delay
        """The delay without queues."""
        self.higher = False
        """It carries only what overflows other lines."""
        self.hold = 0
        """Nanoseconds that a committed packet waits at least."""
        self.sent = 0
        """Bytes that have left."""
        self.ready_at = now
        self.express: deque[Item] = deque()
        self.express_bytes = 0
        self.committed: deque[Item] = deque()
        self.committed_bytes = 0
        self.kept_until = 0
        """When all `committed` packets will have left, if some of them may not leave at once."""
        self.own = FlowQueue(max(LEAST_LIMIT, rate * OWN_TIME // SECOND))
        self.turn = 0
        """Bytes that `committed` has had more than `own` while both waited."""

    @property
    def busy(self) -> bool:
        """Whether anything waits."""
        return bool(self.express or self.committed or self.own.bytes)

    @property
    def free_at(self) -> int:
        """When a packet could leave that is given to the line now, behind all that waits."""
        waiting = self.express_bytes + self.committed_bytes + self.own.bytes
        at = self.ready_at + waiting * SECOND // self.rate
        return at if at > self.kept_until else self.kept_until

    @property
    def due(self) -> int:
        """When the next packet leaves; something must wait."""
        if self.express or self.own.bytes:
            return self.ready_at
        return max(self.ready_at, self.committed[0].after)

    def express_at(self) -> int:
        """When a new express packet could leave."""
        return self.ready_at + self.express_bytes * SECOND // self.rate

    def advance(self, now: int) -> None:
        """Time has passed: an idle line is ready now, a busy one has not saved more than `CREDIT`."""
        least = now - CREDIT if self.busy else now
        if self.ready_at < least:
            self.ready_at = least

    def push_first(self, item: Item) -> None:
        """Puts a packet into `express`: behind what is there, in front of all the rest."""
        self.express.append(item)
        self.express_bytes += item.size

    def commit(self, item: Item) -> None:
        """Takes the next packet of the common stream."""
        if self.higher or self.hold:
            self.kept_until = max(self.free_at, item.after) + item.size * SECOND // self.rate
        self.committed.append(item)
        self.committed_bytes += item.size

    def take(self, now: int) -> Item | None:
        """The packet that leaves now, or None: nothing waits, or the line is not ready."""
        if self.ready_at > now:
            return None
        if self.express:
            item = self.express.popleft()
            self.express_bytes -= item.size
        elif self.own.bytes and (not self.committed or self.turn > 0 or self.committed[0].after > now):
            packet, size, _, flow = self.own.take()
            item = Item(packet, size, 0, reorder=False, flow=flow)
            self.turn = self.turn - size if self.committed else 0
        elif self.committed and self.committed[0].after <= now:
            item = self.committed.popleft()
            self.committed_bytes -= item.size
            self.turn = self.turn + item.size if self.own.bytes else 1
            if self.ready_at < item.after:  # the line was idle, and has nothing to catch up
                self.ready_at = item.after
        else:
            return None
        self.sent += item.size
        self.ready_at += item.size * SECOND // self.rate
        return item
