"""The widget; the whole screen on a terminal is tested in tests/bus/test_mlvpnctl.py."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import urwid

from mlvpnd.ctl import screen
from mlvpnd.ctl.top import Reading, Top
from tests.support.terminal import Terminal

from .views import link_view, tunnel_view

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def widget() -> screen._TopWidget:
    top = Top()
    for clock in (0.0, 1.0):
        views = [tunnel_view(link_view("日本"), name=name, TxBytes=clock) for name in ("a", "b")]
        top.update(Reading(views, {}, clock, 0.0))
    return screen._TopWidget(top)


def shown(widget: screen._TopWidget, columns: int = 80, rows: int = 10) -> list[str]:
    canvas: object = widget.render((columns, rows))
    text: list[bytes] = getattr(canvas, "text")  # noqa: B009 - the stub does not have it
    return [line.decode() for line in text]


def test_it_fills_its_window(widget: screen._TopWidget) -> None:
    for columns, rows in ((80, 24), (1, 1), (200, 5)):
        assert len(shown(widget, columns, rows)) == rows
    assert shown(widget)[4].startswith("日本         up")


def test_keys(widget: screen._TopWidget) -> None:
    def title() -> bool:
        return "running" in shown(widget)[1]

    assert title()
    assert widget.keypress((80, 10), "right") is None
    assert widget.keypress((80, 10), "page down") is None
    assert widget.keypress((80, 10), "x") == "x"
    with pytest.raises(urwid.ExitMainLoop):
        widget.keypress((80, 10), "q")


FAILING = """
import time
from mlvpnd.ctl.screen import run
from mlvpnd.ctl.top import Reading, Top

readings = [Reading([], {"": "nobody home"}, 0.0, 0.0)]

def read():
    if readings:
        return readings.pop()
    time.sleep(1)
    raise ValueError("broken")

try:
    run(Top(), read, 0.1, colour=True)
except ValueError as error:
    print("raised:", error)
"""


def test_what_goes_wrong_while_it_runs_is_raised() -> None:
    """The terminal is put back first. What was read before has been shown."""

    async def scenario() -> None:
        environment = {**os.environ, "PYTHONWARNINGS": "error,ignore::ImportWarning"}
        with Terminal([sys.executable, "-c", FAILING], environment, PROJECT) as terminal:
            await terminal.until("nobody home")
            await terminal.until("raised: broken")
            assert await terminal.wait() == 0
            assert b"Warning" not in terminal.output

    asyncio.run(scenario())
