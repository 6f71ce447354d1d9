"""A queue for packets of many flows that wait for a link: each flow gets the same share of bytes, whatever it asks for.

It is a deficit round robin (Shreedhar and Varghese 1995). The flow at the front may send while its deficit covers its
next packet. Then it gets a quantum and goes to the end. A full queue drops from the front of the flow that has most in
it: whoever fills the queue pays, and hears of it soonest. Flows with the same bucket have one share together.

A packet of a line that is gone is put back before younger packets of its flow, and keeps its number.
"""

from __future__ import annotations

from collections import deque

QUANTUM = 1514
"""Bytes that a flow may send in a turn: as a rule its largest packet, so that each turn sends one."""
BUCKETS = 1024
"""Flows that are told apart, by their keys modulo this number."""
UNNUMBERED = -1
"""Stands for the number of a packet that has none yet."""

Waiting = tuple[bytes, int, int, int]
"""A packet that waits, its size, its number or `UNNUMBERED`, and the bucket of its flow. There is one for each packet,
and a named tuple would take ten times as long to make."""


class _Flow:
    __slots__ = ("bucket", "bytes", "deficit", "packets")

    def __init__(self, bucket: int) -> None:
        self.bucket = bucket
        self.packets: deque[Waiting] = deque()
        self.bytes = 0
        self.deficit = QUANTUM


class FlowQueue:
    """At most `limit` bytes; a packet counts with the size given to `push`."""

    __slots__ = ("_flows", "_turn", "bytes", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._flows: dict[int, _Flow] = {}
        self._turn: deque[_Flow] = deque()

    @property
    def flows(self) -> int:
        """Flows that have a packet waiting."""
        return len(self._flows)

    def push(self, flow: int, packet: bytes, size: int) -> int:
        """Takes a packet of a flow; returns how many packets, of any flow, it drops for it."""
        bucket = flow % BUCKETS
        waiting = self._flows.get(bucket)
        if waiting is None:
            waiting = self._flows[bucket] = _Flow(bucket)
            self._turn.append(waiting)
        waiting.packets.append((packet, size, UNNUMBERED, bucket))
        waiting.bytes += size
        self.bytes += size
        return self._drop_from_fattest() if self.bytes > self.limit else 0

    def put_back(self, flow: int, packet: bytes, size: int, number: int) -> None:
        """Takes a packet that is older than all others of its flow. It may exceed the limit: call `trim` then."""
        bucket = flow % BUCKETS
        waiting = self._flows.get(bucket)
        if waiting is None:
            waiting = self._flows[bucket] = _Flow(bucket)
            self._turn.appendleft(waiting)
        waiting.packets.appendleft((packet, size, number, bucket))
        waiting.bytes += size
        self.bytes += size

    def trim(self) -> int:
        """Drops what exceeds the limit; returns how many packets it drops.

        The flows with most in the queue are cut to one level, or up to a packet above it; from there on packets are
        dropped as by `push`. That alone would take too long where many flows have much too much.
        """
        if self.bytes <= self.limit:
            return 0
        dropped, level = 0, self._level()
        for flow in list(self._flows.values()) if level else []:
            while flow.bytes - flow.packets[0][1] >= level:
                self._take(flow)
                dropped += 1
        return dropped + self._drop_from_fattest()

    def _level(self) -> int:
        """Bytes that each flow may have so that all together have no more than the limit. More must be waiting."""
        left, count = self.limit, len(self._flows)
        for size in sorted([flow.bytes for flow in self._flows.values()]):
            if size > left // count:
                break
            left -= size
            count -= 1
        return left // count

    def _drop_from_fattest(self) -> int:
        dropped = 0
        while self.bytes > self.limit:
            self._take(max(self._flows.values(), key=lambda flow: flow.bytes))
            dropped += 1
        return dropped

    def next_size(self) -> int:
        """The size of the packet whose turn it is; the queue must not be empty."""
        turn = self._turn
        flow = turn[0]
        while flow.deficit < flow.packets[0][1]:
            flow.deficit += QUANTUM
            turn.rotate(-1)
            flow = turn[0]
        return flow.packets[0][1]

    def pop(self) -> bytes:
        """Takes the packet whose turn it is; the queue must not be empty."""
        return self.take()[0]

    def take(self) -> Waiting:
        """Takes the packet whose turn it is, with all that is known of it; the queue must not be empty."""
        size = self.next_size()
        flow = self._turn[0]
        flow.deficit -= size
        return self._take(flow)

    def _take(self, flow: _Flow) -> Waiting:
        waiting = flow.packets.popleft()
        size = waiting[1]
        flow.bytes -= size
        self.bytes -= size
        if not flow.packets:
            if self._turn[0] is flow:
                self._turn.popleft()
            else:
                self._turn.remove(flow)
            del self._flows[flow.bucket]
        return waiting
