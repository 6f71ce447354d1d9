"""The row of each type."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.wire.inner import packet_from
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


@pytest.mark.parametrize("kind", CONTROL)
def test_no_control_packet_becomes_a_packet_by_another_type(kind: int) -> None:
    """The type is not authentic. Whoever makes it DATA on the way must not get the plaintext delivered."""
    for layer2 in (False, True):
        assert packet_from(bytes(CONTROL[kind].size), layer2=layer2) is None
        assert packet_from(b"\x45" * CONTROL[kind].size, layer2=layer2) is None


def test_a_plaintext_fits_by_its_size_or_as_the_only_one() -> None:
    fields, fixed = Control(4), Control(2, b"AU")
    assert [fields.fits(plaintext) for plaintext in (b"", b"abc", b"abcd", b"abcde")] == [False, False, True, False]
    assert [fixed.fits(plaintext) for plaintext in (b"", b"AU", b"OK", b"AUX")] == [False, True, False, False]
