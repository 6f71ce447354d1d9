"""Packets of many flows that wait for a link: each flow gets the same share of bytes, whatever it asks for.

Deficit round robin (Shreedhar and Varghese 1995): the flow at the front may send while its deficit covers its
next packet, then it gets a quantum and goes to the end. A full queue drops from the front of the flow that has most
in it: whoever fills the queue pays, and hears of it soonest. Two flows with the same bucket share one share.
"""

from __future__ import annotations

from collections import deque

QUANTUM = 1514
"""Bytes that a flow may send in a turn: its largest packet, as a rule, so that each turn sends one."""
BUCKETS = 1024
"""Flows told apart."""


class _Flow:
    __slots__ = ("bucket", "bytes", "deficit", "packets")

    def __init__(self, bucket: int) -> None:
        self.bucket = bucket
        self.packets: deque[tuple[bytes, int]] = deque()
        self.bytes = 0
        self.deficit = QUANTUM


class FlowQueue:
    """At most `limit` bytes; a packet counts with the size that it is pushed with."""

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
        """Takes a packet of a flow; returns how many packets had to go for it, of any flow."""
        bucket = flow % BUCKETS
        waiting = self._flows.get(bucket)
        if waiting is None:
            waiting = self._flows[bucket] = _Flow(bucket)
            self._turn.append(waiting)
        waiting.packets.append((packet, size))
        waiting.bytes += size
        self.bytes += size
        dropped = 0
        while self.bytes > self.limit:
            fattest = max(self._flows.values(), key=lambda flow: flow.bytes)
            self._take(fattest)
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
        size = self.next_size()
        flow = self._turn[0]
        flow.deficit -= size
        return self._take(flow)

    def _take(self, flow: _Flow) -> bytes:
        packet, size = flow.packets.popleft()
        flow.bytes -= size
        self.bytes -= size
        if not flow.packets:
            if self._turn[0] is flow:
                self._turn.popleft()
            else:
                self._turn.remove(flow)
            del self._flows[flow.bucket]
        return packet
