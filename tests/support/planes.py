"""Runs tests of the code on a data plane, on either twin."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from mlvpnd.config.model import DataPlane
from mlvpnd.dataplane import choice
from mlvpnd.dataplane.plane import Plane
from mlvpnd.dataplane.selector import TurnLoop

Result = TypeVar("Result")
wanted = DataPlane.REFERENCE
"""The twin that `plane` makes."""


def plane() -> Plane:
    """A plane for the running loop."""
    return choice.make(wanted)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Like asyncio.run, on the daemon's kind of loop."""
    with asyncio.Runner(loop_factory=TurnLoop) as runner:
        return runner.run(main)
