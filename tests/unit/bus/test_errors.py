from __future__ import annotations

from mlvpnd.bus import errors
from mlvpnd.bus.errors import BusError


def test_texts_are_bounded() -> None:
    assert len(BusError("a.b", "x" * 1_000_000).text) == errors.MAX_TEXT_SIZE


def test_who_does_not_answer_is_named() -> None:
    error = errors.no_reply("Reload", 2.5)
    assert (error.name, error.text) == (errors.NO_REPLY, "Reload: no answer after 2.5 s")
    assert "does not accept" in str(errors.refused())


def test_what_keeps_a_bus_from_being_reached() -> None:
    assert errors.why_unreachable(TimeoutError(110, "Connection timed out")) == "no answer in time"
    assert errors.why_unreachable(FileNotFoundError(2, "No such file or directory")) == "No such file or directory"
    assert errors.why_unreachable(OSError("odd")) == "odd"
    assert errors.why_unreachable(errors.refused()) == str(errors.refused())
