"""Writes the output of `mlvpnctl`: colours, tables, amounts and times for people, JSON for programs, a pager.

Modules that only some runs need are imported where they are needed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TextIO

from mlvpnd.base.printable import printable

Cell = str | tuple[str, str]
"""A text, or a style of `STYLES` and a text."""

STYLES = {"good": "32", "odd": "33", "bad": "31;1", "faint": "90", "title": "4", "strong": "1"}
"""By meaning: the SGR parameters."""
STATE_STYLE = {
    "up": "good",
    "fallback": "odd",
    "lossy": "odd",
    "slow": "odd",
    "waiting": "odd",
    "degraded": "odd",
    "connecting": "odd",
    "down": "bad",
    "disabled": "faint",
    "stopping": "odd",
    "starting": "odd",
    "restarting": "bad",
    "failed": "bad",
    "stopped": "faint",
}
"""By state of a tunnel or link: the style."""
JSON_MODES = ("pretty", "short", "off")

_FALSE = ("0", "no", "n", "false", "f", "off")
_TRUE = ("1", "yes", "y", "true", "t", "on")
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_RATE_UNITS = ("kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")


class OutputOptions(NamedTuple):
    """The command line's options about output."""

    json: str = "off"
    """One of `JSON_MODES`."""
    legend: bool = True
    """Whether tables have column heads."""
    quiet: bool = False
    pager: bool = True
    colour: bool = False


class Output:
    """Writes the answer to standard output, as the options say."""

    def __init__(self, options: OutputOptions, stream: TextIO | None = None) -> None:
        self.options = options
        self._stream = stream or sys.stdout

    @property
    def as_json(self) -> bool:
        """Whether the output is for a program."""
        return self.options.json != "off"

    @property
    def dot(self) -> str:
        """The dot before a tunnel, in its state's colour; a star if the output has only plain letters."""
        try:
            "●".encode(self._stream.encoding or "utf-8")
        except UnicodeEncodeError:
            return "*"
        return "●"

    def styled(self, cell: Cell) -> str:
        """A cell's text, with its colour if colours are on."""
        if isinstance(cell, str):
            return cell
        style, text = cell
        return f"\033[{STYLES[style]}m{text}\033[0m" if self.options.colour and style and text else text

    def line(self, *cells: Cell) -> None:
        """Writes a line at once, for output that goes on and for remarks."""
        print("".join(map(self.styled, cells)), file=self._stream, flush=True)

    def remark(self, text: str) -> None:
        """Tells that something was done, unless the output is quiet or JSON."""
        if not self.options.quiet and not self.as_json:
            self.line(text)

    def json(self, value: object, *, lines: bool = False) -> None:
        """Writes a value as JSON; `lines`: it is one of many, so always on one line."""
        import json

        pretty = self.options.json == "pretty" and not lines
        text = json.dumps(value, indent=2 if pretty else None, separators=None if pretty else (",", ":"))
        print(text, file=self._stream, flush=True)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
        """The lines of a table whose columns are as wide as needed."""
        head: list[Sequence[Cell]] = [[("title", text) for text in heads]] if self.options.legend else []
        whole = [*head, *rows]
        widths = [max(width(plain(row[column])) for row in whole) for column in range(len(heads))] if whole else []
        lines = []
        for row in whole:
            cells = []
            for cell, wanted in zip(row, widths, strict=True):
                cells.append(self.styled(cell) + " " * (wanted - width(plain(cell))))
            lines.append("  ".join(cells).rstrip())
        return lines

    def page(self, lines: Sequence[str]) -> None:
        """Writes lines; by the user's pager if they do not fit the terminal."""
        if not self._page(lines):
            for line in lines:
                print(line, file=self._stream)
            self._stream.flush()

    def _page(self, lines: Sequence[str]) -> bool:
        if not self.options.pager or self._stream is not sys.stdout or not sys.stdout.isatty():
            return False
        import shutil
        import subprocess

        if len(lines) < shutil.get_terminal_size().lines:
            return False
        command = pager(os.environ)
        if not command:
            return False
        # less: end by itself if all fits, chop nothing, show colours, leave the text on the screen.
        environment = {"LESS": "FRXMK", "LESSCHARSET": "utf-8", **os.environ}
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603 - the user's own program
        except OSError:
            return False
        with process:  # and wait until it has ended
            try:
                process.communicate(("\n".join(lines) + "\n").encode(errors="replace"))
            except KeyboardInterrupt:
                pass  # the pager gets it too, and ends or not
        return True


def pager(environment: Mapping[str, str]) -> list[str]:
    """The user's pager with its arguments; empty: not wanted, or there is none."""
    for key in ("SYSTEMD_PAGER", "PAGER"):
        if key in environment:
            import shlex

            try:
                words = shlex.split(environment[key])
            except ValueError:  # a quotation without end
                words = []
            return [] if not words or words[0] == "cat" else words
    import shutil

    found = shutil.which("less") or shutil.which("more")
    return [found] if found else []


def colour_wanted(environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether to use colours: on a terminal, unless NO_COLOR or SYSTEMD_COLORS say otherwise."""
    word = environment.get("SYSTEMD_COLORS", "").lower()
    if word in _FALSE:
        return False
    if word in _TRUE:
        return True
    if environment.get("NO_COLOR"):
        return False
    return terminal and environment.get("TERM", "dumb") != "dumb"


def plain(cell: Cell) -> str:
    """The text of a cell."""
    return cell if isinstance(cell, str) else cell[1]


def state_cell(state: str) -> Cell:
    """A state in its colour."""
    return STATE_STYLE.get(state, ""), printable(state) or "-"


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# Amounts.


def size(count: float) -> str:
    """Bytes: `999 B`, `12.0 MiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    # From half a tenth below the next unit on, the value is written in the next unit.
    value, unit = _scaled(count / 1024, 1024, 1023.95, _UNITS)
    return f"{value:.1f} {unit}"


def rate(bytes_per_second: float) -> str:
    """A rate in bits, as lines are sold: `640 bit/s`, `2.5 Mbit/s`."""
    value = bytes_per_second * 8
    if value < 999.5:
        return f"{value:.0f} bit/s"
    value, unit = _scaled(value / 1000, 1000, 999.5, _RATE_UNITS)
    return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"


def _scaled(value: float, step: int, limit: float, units: Sequence[str]) -> tuple[float, str]:
    """`value`, given in the first unit, in the smallest unit in which it is below `limit`."""
    index = 0
    while value >= limit and index < len(units) - 1:
        value /= step
        index += 1
    return value, units[index]


def short_rate(bytes_per_second: float) -> str:
    """A rate in bit/s in at most six columns: `640`, `2.5M`, `31G`."""
    amount, unit = rate(bytes_per_second).split()
    return amount + unit.removesuffix("bit/s")


def milliseconds(usec: float) -> str:
    """A round trip: `23 ms`, `0.4 ms`."""
    value = usec / 1000
    return f"{value:.1f} ms" if 0 < value < 9.95 else f"{value:.0f} ms"


def duration(seconds: float) -> str:
    """A time span in its two largest units: `3h 2min`, `45s`."""
    left = max(0, int(seconds))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def moment(usec: float, now: float) -> str:
    """A point in time, in µs since 1970, as systemctl writes it; `now` is in seconds."""
    if not usec:
        return "-"
    seconds = usec / 1_000_000
    return f"{time.strftime('%a %Y-%m-%d %H:%M:%S %Z', time.localtime(seconds))}; {duration(now - seconds)} ago"
