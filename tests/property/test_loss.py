"""The loss meter against a plain list of arrivals with their times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.receiving.loss import BUCKET, JUMP, LEAST, WINDOW, LossMeter

STEPS = st.tuples(st.one_of(st.integers(-3, 5), st.integers(-70, 70)), st.sampled_from([0.0, 0.003, 0.07, 1.1]))


@given(st.lists(STEPS, max_size=300), st.sampled_from([0, 30, 1 << 40]))
def test_loss_is_what_is_missing_of_what_was_sent_of_late(steps: list[tuple[int, float]], first: int) -> None:
    loss = LossMeter(first)
    newest, seq, now = first, first, 0.0
    came: set[int] = set()
    known_at: dict[int, float] = {}
    """When each number was first known to have been sent."""
    for step, pause in steps:
        seq, now = max(0, seq + step), now + pause
        if seq in came or seq <= first:
            continue
        came.add(seq)
        loss.received(seq, now)
        known_at.update((number, now) for number in range(newest + 1, seq + 1))
        newest = max(newest, seq)
        assert loss.sent <= newest - first
        window = range(newest - loss.sent + 1, newest + 1)
        assert loss.lost == sum(number not in came for number in window)
        assert 0 <= loss.percent <= 99
        # The whole window counts, and little more than the window.
        recent = sum(at > now - WINDOW + BUCKET for at in known_at.values())
        assert loss.sent >= min(newest - first, max(recent, LEAST))


@given(st.integers(JUMP + 1, 1 << 63), st.integers(0, 1 << 40))
def test_a_jump_is_a_new_beginning(jump: int, first: int) -> None:
    loss = LossMeter(first)
    loss.received(first + 5, 1.0)
    loss.received(first + 5 + jump, 1.1)
    assert (loss.sent, loss.lost, loss.newest) == (0, 0, first + 5 + jump)
