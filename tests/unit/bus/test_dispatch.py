"""What a caller is told of an operator's refusal; all else is in tests/bus/test_service.py."""

from __future__ import annotations

import pytest

from mlvpnd.bus import errors
from mlvpnd.bus.dispatch import of_operator
from mlvpnd.bus.errors import BusError
from mlvpnd.config import ConfigError, Problem
from mlvpnd.errors import MlvpndError
from mlvpnd.operator.face import ConfigUnreadable, LinkDisabled, NoSuchLink


@pytest.mark.parametrize(
    ("error", "name", "text"),
    [
        (
            ConfigError((Problem("f", 1, "k", "no"), Problem("f", 2, "", "no"))),
            errors.CONFIG_INVALID,
            "f:1: k: no\nf:2: no",
        ),
        (ConfigUnreadable("f: gone"), errors.CONFIG_UNREADABLE, "f: gone"),
        (NoSuchLink("no link x"), errors.NO_SUCH_LINK, "no link x"),
        (LinkDisabled("x is disabled"), errors.LINK_DISABLED, "x is disabled"),
        (MlvpndError("helper"), errors.HELPER_FAILED, "helper"),
        (BusError("a.b", "c"), "a.b", "c"),
    ],
)
def test_the_name_tells_what_was_wrong(error: MlvpndError, name: str, text: str) -> None:
    told = of_operator(error)
    assert (told.name, told.text) == (name, text)
