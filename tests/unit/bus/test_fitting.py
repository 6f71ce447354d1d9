"""What is checked in addition to the library's checks; whole messages are in test_lib.py."""

from __future__ import annotations

import pytest

from mlvpnd.bus import fitting
from mlvpnd.bus.message import Kind, Message


def test_sizes() -> None:
    fitting.check_size(bytes(fitting.MAX_SIZE))
    with pytest.raises(fitting.Misfit):
        fitting.check_size(bytes(fitting.MAX_SIZE + 1))


@pytest.mark.parametrize("name", [":1.5", "org.freedesktop.DBus", "a.b-c", "org.mlvpn1.Tunnel._31"])
def test_names_of_who_is_called(name: str) -> None:
    fitting.check_header(Message(kind=Kind.CALL, serial=1, path="/", member="M", destination=name))


def test_a_misfit_says_what_is_wrong() -> None:
    with pytest.raises(fitting.Misfit, match="'no path' is no path"):
        fitting.check_header(Message(kind=Kind.CALL, serial=1, path="no path", member="M"))
