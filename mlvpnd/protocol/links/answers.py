"""Which KEEPALIVEs of the peer are answered by one."""

from __future__ import annotations

from mlvpnd.protocol.wire.constants import ANSWER_INTERVAL, EXCLUDED_PROBE_INTERVAL, QUICK_GAP

QUICK_PAUSE = 1.5 * EXCLUDED_PROBE_INTERVAL
"""Seconds in which nothing else has left when a quick answer does: more than between two probes of our own."""


class AnswerPace:
    """The answers on one link.

    One each `ANSWER_INTERVAL`, so that its stamp comes back fresh; and every second one while they come as quickly as
    a link is probed that the peer has excluded, unless something else has left lately. An answer is never answered
    by more than half, so two ends cannot keep each other talking.
    """

    __slots__ = ("_answered_at", "_heard_at", "_unanswered")

    def __init__(self) -> None:
        self._answered_at = self._heard_at = float("-inf")
        self._unanswered = 0

    def answers(self, now: float, sent_at: float) -> bool:
        """Whether to answer the one that comes now; `sent_at`: when something left on this link last."""
        quick = now - self._heard_at < QUICK_GAP
        self._heard_at = now
        self._unanswered += 1
        due = now >= self._answered_at + ANSWER_INTERVAL
        if not due and not (quick and self._unanswered >= 2 and now >= sent_at + QUICK_PAUSE):
            return False
        self._answered_at = now
        self._unanswered = 0
        return True
