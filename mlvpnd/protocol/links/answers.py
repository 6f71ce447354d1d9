"""Which KEEPALIVEs of the peer are answered by a KEEPALIVE."""

from __future__ import annotations

from mlvpnd.protocol.wire.constants import ANSWER_INTERVAL, EXCLUDED_PROBE_INTERVAL, QUICK_GAP

QUICK_PAUSE = 1.5 * EXCLUDED_PROBE_INTERVAL
"""Seconds in which nothing else may have left before a quick answer: more than between two probes of our own."""


class AnswerPace:
    """The answers on one link.

    One KEEPALIVE is answered each `ANSWER_INTERVAL`, so that its stamp comes back fresh. While they come as quickly as
    the peer probes an excluded link, every second one is answered, unless something else has left lately. Of quick
    answers at most half are answered, so two ends cannot keep each other talking.
    """

    __slots__ = ("_answered_at", "_heard_at", "_unanswered")

    def __init__(self) -> None:
        self._answered_at = self._heard_at = float("-inf")
        self._unanswered = 0

    def answers(self, now: float, sent_at: float) -> bool:
        """Whether to answer the KEEPALIVE that comes now; `sent_at`: when something last left on this link."""
        quick = now - self._heard_at < QUICK_GAP
        self._heard_at = now
        self._unanswered += 1
        due = now >= self._answered_at + ANSWER_INTERVAL
        if not due and not (quick and self._unanswered >= 2 and now >= sent_at + QUICK_PAUSE):
            return False
        self._answered_at = now
        self._unanswered = 0
        return True
