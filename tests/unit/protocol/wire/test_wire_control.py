"""The row of each type."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.wire.wire import CONTROL, Control, PacketType


def test_each_type_but_data_has_a_row() -> None:
    assert {*CONTROL, PacketType.DATA} == set(PacketType)


def test_the_numbers_of_types_leave_no_gap() -> None:
    """Neither twin would know that a number in a gap is no type."""
    assert sorted(PacketType) == list(range(len(PacketType)))


@pytest.mark.parametrize("kind", CONTROL)
def test_what_has_one_plaintext_has_its_size(kind: int) -> None:
    control = CONTROL[kind]
    assert control.only is None or len(control.only) == control.size


def test_a_plaintext_fits_by_its_size_or_as_the_only_one() -> None:
    fields, fixed = Control(4), Control(2, b"AU")
    assert [fields.fits(plaintext) for plaintext in (b"", b"abc", b"abcd", b"abcde")] == [False, False, True, False]
    assert [fixed.fits(plaintext) for plaintext in (b"", b"AU", b"OK", b"AUX")] == [False, True, False, False]
