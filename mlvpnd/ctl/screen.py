"""`top` on a terminal, by urwid.

urwid and not rich: it reads keys and window changes, draws only the lines that changed (so nothing flickers), runs on
asyncio's loop, and is packaged by Debian 12 (2.1.2) and 13 (2.6); rich takes no keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import urwid

from .top import Line, Top

_PALETTE = {
    "good": ("dark green", ""),
    "odd": ("brown", ""),
    "bad": ("light red", ""),
    "faint": ("dark gray", ""),
    "title": ("default,underline", "underline"),
    "strong": ("default,bold", "bold"),
}
"""By the names of `output.STYLES`: as it is with colours, and without."""
_SCROLL = {"up": -1, "down": 1, "page up": -10, "page down": 10}
_TURN = {"left": -1, "right": 1, "shift tab": -1, "tab": 1}


def run(top: Top, poll: Callable[[Callable[[], None]], Coroutine[None, None, None]], *, colour: bool) -> None:
    """Shows `top` until the operator quits.

    `poll(redraw)` keeps it up to date and says so; it runs meanwhile, and what it raises ends the screen and is
    raised here.
    """
    loop = asyncio.new_event_loop()
    screen = urwid.raw_display.Screen()
    screen.set_terminal_properties(colors=16 if colour else 1)
    palette = [(name, colours, "", mono) for name, (colours, mono) in _PALETTE.items()]
    main = urwid.MainLoop(
        _TopWidget(top),
        palette=palette,
        screen=screen,
        event_loop=urwid.AsyncioEventLoop(loop=loop),
        handle_mouse=False,
    )

    def redraw() -> None:
        main.widget.refresh()
        main.draw_screen()

    task = loop.create_task(poll(redraw))
    failure: list[BaseException] = []

    def ended(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            failure.append(error)
        loop.stop()

    task.add_done_callback(ended)
    try:
        main.run()
    except KeyboardInterrupt:
        pass
    finally:
        task.remove_done_callback(ended)
        loop.run_until_complete(_end_tasks(loop))
        loop.close()
    if failure:
        raise failure[0]


async def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _TopWidget(urwid.Widget):
    """The whole screen."""

    _sizing = frozenset(["box"])
    _selectable = True

    def __init__(self, top: Top) -> None:
        super().__init__()
        self._top = top

    def refresh(self) -> None:
        """What is shown has changed."""
        self._invalidate()

    def render(self, size: tuple[int, int], focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002 - urwid's signature
        """The canvas; urwid calls this for every size that the window takes."""
        columns, rows = size
        lines = [_canvas(line, columns) for line in self._top.screen(columns, rows)]
        return urwid.CanvasCombine([(canvas, None, False) for canvas in lines])

    def keypress(self, size: tuple[int, int], key: str) -> str | None:
        """Takes a key; returns it if it means nothing."""
        if key in ("q", "Q", "esc"):
            raise urwid.ExitMainLoop
        if key in _TURN:
            self._top.turn(_TURN[key])
        elif key in _SCROLL:
            self._top.scroll(_SCROLL[key])
        else:
            return key
        self._invalidate()
        return None


def _canvas(line: Line, columns: int) -> urwid.Canvas:
    segments: Sequence[object] = [(style or None, text) for style, text in line if text]
    return urwid.Text(list(segments) or "", wrap="clip").render((columns,))
