"""Answers to KEEPALIVEs: enough for a peer that probes, never so many that two ends keep each other talking."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.links.answers import QUICK_PAUSE, AnswerPace
from mlvpnd.protocol.wire.constants import ANSWER_INTERVAL, EXCLUDED_PROBE_INTERVAL, PROBE_INTERVAL

NEVER = float("-inf")


def answered(rate: float, seconds: float) -> int:
    """The number of answers to `rate` KEEPALIVEs a second; nothing else is sent."""
    pace, sent_at, count = AnswerPace(), NEVER, 0
    for number in range(int(rate * seconds)):
        now = number / rate
        if pace.answers(now, sent_at):
            count, sent_at = count + 1, now
    return count


@pytest.mark.parametrize("rate", [1.0, 2.0, 5.0, 1 / PROBE_INTERVAL])
def test_ordinary_ones_are_answered_once_a_second_or_so(rate: float) -> None:
    assert answered(rate, 90) <= 90 / ANSWER_INTERVAL + 1
    assert answered(rate, 90) >= 90 * min(rate, 0.9)


def test_quick_probes_get_half_as_many() -> None:
    assert answered(1 / EXCLUDED_PROBE_INTERVAL, 10) == pytest.approx(250, abs=2)


@pytest.mark.parametrize("rate", [20, 50, 100, 1000, 10_000])
def test_answers_are_never_more_than_half_nor_more_than_a_link_is_probed(rate: int) -> None:
    assert answered(rate, 10) <= min(rate / 2, 1 / QUICK_PAUSE) * 10 + 10 / ANSWER_INTERVAL + 1


def test_who_sends_anyway_does_not_answer_besides() -> None:
    pace, count = AnswerPace(), 0
    for number in range(500):
        now = number * EXCLUDED_PROBE_INTERVAL
        count += pace.answers(now, now - 0.01)
    assert count <= 10 / ANSWER_INTERVAL + 1


def test_two_ends_fall_silent_by_themselves() -> None:
    """Each answers the other's answers after 100 ms; what remains is one answer each 0.9 s at most."""
    paces, sent_at = [AnswerPace(), AnswerPace()], [NEVER, NEVER]
    flying = [(number * 0.005, 0) for number in range(200)]
    sent = 0
    while flying and flying[0][0] < 100:
        now, end = flying.pop(0)
        if paces[end].answers(now, sent_at[end]):
            sent_at[end] = now
            sent += 1
            flying.append((now + 0.1, 1 - end))
            flying.sort()
    assert not flying
    assert sent < 60
