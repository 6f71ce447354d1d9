"""The loss vector against a plain list of the numbers that came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.loss import WINDOW, LossVector


@given(st.lists(st.one_of(st.integers(-3, 5), st.integers(-70, 70)), max_size=300), st.sampled_from([0, 30, 1 << 40]))
def test_loss_is_what_is_missing_of_the_last_64(steps: list[int], first: int) -> None:
    loss = LossVector(first)
    newest, begin, came = first, first, {first}
    seq = first
    for step in steps:
        seq = max(0, seq + step)
        loss.received(seq)
        if seq > newest + WINDOW:
            newest, begin, came = seq, seq, {seq}
        else:
            newest = max(newest, seq)
            came.add(seq)
        window = range(newest - WINDOW + 1, newest + 1)
        missing = sum(number > begin and number not in came for number in window)
        assert loss.percent == missing * 100 // WINDOW
        assert 0 <= loss.percent <= 98
