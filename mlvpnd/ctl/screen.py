"""`top` on a terminal, by urwid.

urwid reads keys and window changes, draws only changed lines (so nothing flickers), and is in Debian 12 (2.1.2) and 13
(2.6). rich takes no keys.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

import urwid

from .top import Line, Reading, Top

_PALETTE = {
    "good": ("dark green", ""),
    "odd": ("brown", ""),
    "bad": ("light red", ""),
    "faint": ("dark gray", ""),
    "title": ("default,underline", "underline"),
    "strong": ("default,bold", "bold"),
}
"""By the names of `output.STYLES`: the look with colours, and without."""
_SCROLL = {"up": -1, "down": 1, "page up": -10, "page down": 10}
_LEAST_PAUSE = 0.1
"""Seconds between two readings at least, however long one took."""
_TURN = {"left": -1, "right": 1, "shift tab": -1, "tab": 1}


def run(top: Top, read: Callable[[], Reading], delay: float, *, colour: bool) -> None:
    """Shows `top` until the operator quits.

    A thread calls `read` every `delay` seconds, so that the screen goes on if somebody does not answer.
    An exception of `read` ends the screen and is raised here.
    """
    palette = [(name, colours, "", mono) for name, (colours, mono) in _PALETTE.items()]
    main = urwid.MainLoop(_TopWidget(top), palette=palette, handle_mouse=False)
    main.screen.set_terminal_properties(colors=16 if colour else 1)
    found: queue.SimpleQueue[Reading | Exception] = queue.SimpleQueue()
    ended = threading.Event()

    def take(data: bytes) -> None:
        for _ in data:
            reading = found.get()
            if isinstance(reading, Exception):
                raise reading
            top.update(reading)
        main.widget.refresh()

    def keep_reading() -> None:
        while not ended.is_set():
            began = time.monotonic()
            try:
                found.put(read())
            except Exception as error:  # `take` raises it
                found.put(error)
            if not ended.is_set():
                os.write(pipe, b".")
            ended.wait(max(_LEAST_PAUSE, delay - (time.monotonic() - began)))

    pipe = main.watch_pipe(take)
    # Daemonic: a thread that waits for an answer must not keep the program from ending.
    threading.Thread(target=keep_reading, daemon=True).start()
    try:
        main.run()
    except KeyboardInterrupt:
        pass
    finally:
        ended.set()


class _TopWidget(urwid.Widget):
    """The whole screen."""

    _sizing = frozenset(["box"])
    _selectable = True

    def __init__(self, top: Top) -> None:
        super().__init__()
        self._top = top

    def refresh(self) -> None:
        """The shown data have changed: has the screen drawn anew."""
        self._invalidate()

    def render(self, size: tuple[int, int], focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002 - urwid's signature
        """The canvas; urwid calls this for every size of the window."""
        columns, rows = size
        lines = [_canvas(line, columns) for line in self._top.screen(columns, rows)]
        return urwid.CanvasCombine([(canvas, None, False) for canvas in lines])

    def keypress(self, size: tuple[int, int], key: str) -> str | None:
        """Handles a key; returns it if it has no meaning here."""
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
