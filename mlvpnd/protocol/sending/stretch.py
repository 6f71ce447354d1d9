"""Which flows are delivered as late as by a far line, because they keep queues so short that it would stay idle.

BBR has at most twice its rate times its least round trip under way, and measures that anew when it is ten seconds old
(draft-ietf-ccwg-bbr: MinRTTFilterLen; Linux since 4.9). A flow that has filled the near lines for nearly so long is
delivered in order over all lines from then on, as late as by the far one: it takes that for its least round trip, and
grows until all are full. Flows that speak, type or are short are not stretched.

Integers throughout, times are nanoseconds and arguments.
"""

from __future__ import annotations

from .flow_queue import BUCKETS
from .line import SECOND

AFTER = 8_600_000_000
"""Age of a flow, or of its last chance, at which it is stretched: complete just before the ten seconds, for until those
are over it carries a fraction of what it did."""
AGAIN = 10_200_000_000
"""From one chance to the next: measuring takes BBR 0.2 s."""
PAUSE = 1_000_000_000
"""Without a packet, after which a flow begins anew."""
FULL = 75
"""Percent of the near lines' rate that they must have carried since it began."""
GREEDY = 4
"""Times that the flow with most may have had what it has: one that takes less does not want more."""
GROWTH = 30
"""Percent of the time that passes by which packets are delayed more: TCP does not take for lost what is that late."""
SETTLE = 3_000_000_000
"""In which TCP may send something again all the same."""
CHECK = 4_000_000_000
"""In which a stretched flow must carry a part of what it did before: else its window is bounded, or it wants less."""
CONTENT = 3
"""Into which that is divided for the part."""
MILLISECOND = 1_000_000
"""The part is counted in these, so that its bytes times its time are small enough for the native twin."""
REFRAIN = 60_000_000_000
"""For which it stays with the near lines then."""


class Stretch:
    """Flows are known by their buckets."""

    __slots__ = ("_begun", "_bytes", "_carried", "_checks", "_newest", "_seen", "_since")

    def __init__(self) -> None:
        self._since = 0
        """When the first of those that are stretched was so."""
        self._newest = -SETTLE
        """When the last was."""
        self._begun = [0] * BUCKETS
        self._seen = [-PAUSE] * BUCKETS
        self._bytes = [0] * BUCKETS
        self._carried = [0] * BUCKETS
        """What the near lines had carried when each flow had begun."""
        self._checks: dict[int, tuple[int, int, int]] = {}
        """Of each stretched flow: when it is looked at, the bytes that it had when it was so last, and those that it
        must have more."""

    def __bool__(self) -> bool:
        """Whether any flow is stretched."""
        return bool(self._checks)

    def delay(self, now: int) -> int:
        """By how much packets are delayed at most."""
        return (now - self._since) * GROWTH // 100

    def is_settling(self, now: int) -> bool:
        """Whether TCP may send again what is only late."""
        return now - self._newest < SETTLE

    def forget(self, now: int) -> None:
        """Flows that have ended are not stretched."""
        for bucket in [bucket for bucket in self._checks if now - self._seen[bucket] >= PAUSE]:
            del self._checks[bucket]

    def admit(self, flow: int, size: int, now: int, carried: int, rate: int) -> bool:
        """Notes a bulk packet; whether its flow is stretched. The near lines have a rate, and have carried so much."""
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
