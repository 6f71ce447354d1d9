"""One of several copies."""

from __future__ import annotations

from mlvpnd.protocol.receiving.copies import JUMP, CopyFilter


def test_the_first_copy_passes_and_the_others_do_not() -> None:
    copies = CopyFilter()
    assert [copies.is_first(number) for number in (10, 10, 12, 11, 11, 12, 13)] == [
        True,
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_no_number_always_passes() -> None:
    copies = CopyFilter()
    assert copies.is_first(0)
    assert copies.is_first(0)


def test_a_peer_that_counts_anew_is_followed() -> None:
    copies = CopyFilter()
    assert copies.is_first(10 * JUMP)
    assert copies.is_first(5)
    assert not copies.is_first(5)
