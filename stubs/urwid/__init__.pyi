"""What mlvpnd uses of urwid."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

class ExitMainLoop(Exception): ...
class Canvas: ...

class CanvasCombine(Canvas):
    def __init__(self, canvases: Sequence[tuple[Canvas, object, bool]]) -> None: ...

class Widget:
    def _invalidate(self) -> None: ...

class Text(Widget):
    def __init__(self, markup: object, *, wrap: str) -> None: ...
    def render(self, size: tuple[int]) -> Canvas: ...

_W = TypeVar("_W", bound=Widget)

class Screen:
    def set_terminal_properties(self, *, colors: int) -> None: ...

class MainLoop(Generic[_W]):
    widget: _W
    screen: Screen
    def __init__(
        self,
        widget: _W,
        *,
        palette: Sequence[tuple[str, str, str, str]],
        handle_mouse: bool,
    ) -> None: ...
    def run(self) -> None: ...
    def watch_pipe(self, callback: Callable[[bytes], bool | None]) -> int: ...
