"""Which flows are stretched: delivered as late as by a far line, which would be idle because they keep queues short.

BBR has at most twice its rate times its least round trip under way. It measures this round trip anew when the last
measurement is ten seconds old (draft-ietf-ccwg-bbr: MinRTTFilterLen; Linux since 4.9). A flow that has filled the near
lines for nearly so long is stretched. From then on it is delivered in order over all lines, as late as by the far one.
It takes this delay for its least round trip, and grows until all lines are full. Flows that speak, type or are short
are not stretched.

All numbers are integers. Times are nanoseconds, and arguments.
"""

from __future__ import annotations

from .flow_queue import BUCKETS
from .line import SECOND

AFTER = 8_600_000_000
"""Nanoseconds: age of a flow, or of its last chance, at which it is stretched. The stretch is then complete just before
the ten seconds: until they are over, the flow carries a fraction of what it did."""
AGAIN = 10_200_000_000
"""Nanoseconds from a flow's one chance to the next; BBR takes 0.2 s to measure."""
PAUSE = 1_000_000_000
"""Nanoseconds without a packet after which a flow begins anew."""
FULL = 75
"""Percent of the near lines' rate that they must have carried since a flow began, for it to be stretched."""
GREEDY = 4
"""Factor: a flow is stretched only if no other has had more than so many times its bytes. A flow that takes less does
not want more."""
GROWTH = 30
"""Percent of the time that passes by which the packets' delay grows; TCP takes no packet for lost that is so late."""
SETTLE = 3_000_000_000
"""Nanoseconds after a flow is stretched in which TCP may send something again all the same."""
CHECK = 4_000_000_000
"""Nanoseconds in which a stretched flow must carry a part of what it did before, see `CONTENT`. Else its window is
bounded, or it wants less."""
CONTENT = 3
"""Divisor: a stretched flow must carry its earlier rate divided by this."""
MILLISECOND = 1_000_000
"""Nanoseconds: unit of time in the division by `CONTENT`, so that bytes times time are small enough for the twin."""
REFRAIN = 60_000_000_000
"""Nanoseconds that a flow stays with the near lines after it has carried less than `CHECK` asks for."""


class Stretch:
    """Flows are known by their buckets."""

    __slots__ = ("_begun", "_bytes", "_carried", "_checks", "_newest", "_seen", "_since")

    def __init__(self) -> None:
        self._since = 0
        """Since when any flow is stretched."""
        self._newest = -SETTLE
        """When a flow was stretched last."""
        self._begun = [0] * BUCKETS
        self._seen = [-PAUSE] * BUCKETS
        self._bytes = [0] * BUCKETS
        self._carried = [0] * BUCKETS
        """Bytes that the near lines had carried when each flow began."""
        self._checks: dict[int, tuple[int, int, int]] = {}
        """Of each stretched flow: when it is checked next, its bytes at the last check, and how many more it needs."""

    def __bool__(self) -> bool:
        """Whether any flow is stretched."""
        return bool(self._checks)

    def delay(self, now: int) -> int:
        """Nanoseconds that packets are delayed, at most."""
        return (now - self._since) * GROWTH // 100

    def is_settling(self, now: int) -> bool:
        """Whether TCP may send packets again that are only late."""
        return now - self._newest < SETTLE

    def forget(self, now: int) -> None:
        """Stretches no flow any more that has ended."""
        for bucket in [bucket for bucket in self._checks if now - self._seen[bucket] >= PAUSE]:
            del self._checks[bucket]

    def admit(self, flow: int, size: int, now: int, carried: int, rate: int) -> bool:
        """Notes a bulk packet; whether its flow is stretched. `carried` and `rate`: the near lines', in bytes."""
        bucket = flow % BUCKETS
        if now - self._seen[bucket] >= PAUSE:
            self._checks.pop(bucket, None)
            self._begin(bucket, now, carried)
        self._seen[bucket] = now
        self._bytes[bucket] += size
        age = now - self._begun[bucket]
        if bucket in self._checks:
            return self._goes_on(bucket, now, carried)
        if age <= 0:
            self._begin(bucket, self._begun[bucket], carried)
        elif age >= AFTER:
            done, own = carried - self._carried[bucket], self._bytes[bucket]
            most = max(had for had, seen in zip(self._bytes, self._seen, strict=True) if now - seen < PAUSE)
            if done >= rate * FULL // 100 * age // SECOND and own * GREEDY >= most:
                if not self._checks:
                    self._since = now
                self._newest = now
                self._checks[bucket] = now + CHECK, own, own * (CHECK // CONTENT // MILLISECOND) // (age // MILLISECOND)
                return True
            self._begin(bucket, self._begun[bucket] + AGAIN, carried)
        return False

    def _goes_on(self, bucket: int, now: int, carried: int) -> bool:
        due, before, least = self._checks[bucket]
        if now < due:
            return True
        if self._bytes[bucket] - before < least:
            del self._checks[bucket]
            self._begin(bucket, now + REFRAIN, carried)
            return False
        self._checks[bucket] = now + CHECK, self._bytes[bucket], least
        return True

    def _begin(self, bucket: int, begun: int, carried: int) -> None:
        self._begun[bucket], self._bytes[bucket], self._carried[bucket] = begun, 0, carried
