"""`mlvpnctl top`: the content of the live screen as lines of styled text, without a terminal.

`screen` shows them on a terminal; `--once` and `-n` print them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlvpnd.base.printable import printable

from .model import LinkView, TunnelView
from .output import STATE_STYLE, duration, milliseconds, rate, short_rate, width
from .rates import RateBook, newest, sparkline

Segment = tuple[str, str]
"""A style of `output.STYLES` ("": none) and a text."""
Line = list[Segment]

_NAME_WIDTH = 12
_RATE_WIDTH = 8
_COLUMNS = (("STATE", 8), ("SHARE", 5), ("RTT", 7), ("LOSS", 5))
_GRAPH_LIMITS = (4, 60)
"""Columns of a graph, at least and at most. Without room for the least there is no graph."""
_FRAME_LINES = 6
"""Lines of the screen besides those of links."""
WAITING = "no tunnel is running; waiting for one"
HELP = "q quit   ←→ tunnel   ↑↓ scroll"


class Reading(NamedTuple):
    """One reading of all tunnels."""

    views: Sequence[TunnelView]
    """Running tunnels."""
    failures: Mapping[str, str]
    """By name: why other tunnels could not be read."""
    clock: float
    """Seconds of a clock that only grows."""
    now: float
    """The Unix time."""


class Top:
    """The screen's state: the last reading, rates, the shown tunnel."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        """Shows the tunnels `names`, running or not; empty: all that run."""
        self._names = tuple(names)
        self._seen: set[str] = set()
        self._rates = RateBook()
        self._views: dict[str, TunnelView] = {}
        self._failures: dict[str, str] = {}
        self._now = 0.0
        self._selected = ""
        self._offset = 0
        self._known_links: set[tuple[str, str]] = set()

    def update(self, reading: Reading) -> None:
        """Takes a reading."""
        views, failures, clock, now = reading
        self._views = {view.name: view for view in views}
        self._failures = dict(failures)
        self._seen |= {*self._views}
        self._now = now
        for view in views:
            for link in view.links:
                self._rates.add((view.name, link.name), link, clock)
        present = {(view.name, link.name) for view in views for link in view.links}
        for key in self._known_links - present:
            self._rates.forget(key)
        self._known_links |= present
        if self.tunnels and self._selected not in self.tunnels:
            self._selected, self._offset = self.tunnels[0], 0

    @property
    def tunnels(self) -> list[str]:
        """The tunnels that can be shown, in order; a tunnel that was seen stays when it stops."""
        return list(self._names) or sorted(self._seen)

    def turn(self, step: int) -> None:
        """Shows the next tunnel (1) or the one before (-1)."""
        tunnels = self.tunnels
        if tunnels:
            index = tunnels.index(self._selected) if self._selected in tunnels else 0
            self._selected, self._offset = tunnels[(index + step) % len(tunnels)], 0

    def scroll(self, step: int) -> None:
        """Moves the list of links."""
        view = self._views.get(self._selected)
        self._offset = max(0, min(self._offset + step, len(view.links) - 1 if view is not None else 0))

    def screen(self, columns: int, rows: int) -> list[Line]:
        """`rows` lines of at most `columns` columns."""
        if self._selected:
            body = self._tunnel(self._selected, columns, max(1, rows - _FRAME_LINES))
        else:
            body = self._nothing()
        lines = [self._head(), *body]
        lines = lines[: rows - 1] + [[] for _ in range(rows - 1 - len(lines))] + [[("faint", HELP)]]
        return [_clip(line, columns) for line in lines[:rows]]

    def report(self, columns: int) -> list[Line]:
        """The lines of all tunnels, one below the other, for print."""
        lines: list[Line] = []
        for name in self.tunnels:
            lines += [[("strong", printable(name))], *self._tunnel(name, columns, 1 << 16), []]
        return [_clip(line, columns) for line in lines or self._nothing()]

    def to_json(self) -> dict[str, object]:
        """All tunnels, with `TxRate` and `RxRate` of each link in bytes per second."""
        tunnels = []
        for view in self._views.values():
            links = []
            for link in view.links:
                key = view.name, link.name
                rates = {"TxRate": newest(self._rates.sent(key)), "RxRate": newest(self._rates.received(key))}
                links.append({**link.properties, **rates})
            tunnels.append({**view.properties, "Links": links})
        failures = [{"Name": name, "Error": text} for name, text in self._failures.items()]
        return {"Time": self._now, "Tunnels": tunnels, "Failures": failures}

    # Parts of the screen

    def _nothing(self) -> list[Line]:
        return [[("", printable(line))] for line in self._failures.get("", WAITING).splitlines()]

    def _head(self) -> Line:
        line: Line = [("strong", "mlvpn"), ("", " ")]
        for name in self.tunnels:
            line += [("", " "), ("title" if name == self._selected else "faint", printable(name))]
        return line

    def _tunnel(self, name: str, columns: int, room: int) -> list[Line]:
        view = self._views.get(name)
        if view is None:
            text = self._failures.get(name) or self._failures.get("") or "not running"
            return [[("bad", printable(line))] for line in text.splitlines()]
        state = view.text("State")
        up_since = view.number("StartTimestamp") / 1_000_000
        facts = [printable(view.text(key)) for key in ("Mode", "Interface")]
        if up_since:
            facts.append(f"running for {duration(self._now - up_since)}")
        line: Line = [(STATE_STYLE.get(state, ""), state or "-"), ("", "  " + "  ".join(filter(None, facts)))]
        keys = [(name, link.name) for link in view.links]
        totals = tuple(sum(newest(rates(key)) for key in keys) for rates in (self._rates.sent, self._rates.received))
        total: Line = [("", f"sends {rate(totals[0])}, receives {rate(totals[1])}")]
        graph = _graph_width(columns)
        tops = self._highest(keys, graph)
        shown = view.links[self._offset :][:room] if name == self._selected else view.links[:room]
        rows = [self._link(name, link, graph, tops) for link in shown]
        hidden = len(view.links) - len(shown)
        more: list[Line] = [[("faint", f"{hidden} more")]] if hidden else []
        return [line, total, _heads(graph), *rows, *more]

    def _highest(self, keys: Sequence[tuple[str, str]], columns: int) -> tuple[float, float]:
        """The rates of a full bar, sent and received: the same for all links, so that they can be compared."""
        sent = [one for key in keys for one in self._rates.sent(key)[-max(columns, 1) :]]
        received = [one for key in keys for one in self._rates.received(key)[-max(columns, 1) :]]
        return max(sent, default=0.0), max(received, default=0.0)

    def _link(self, tunnel: str, link: LinkView, graph: int, tops: tuple[float, float]) -> Line:
        key = tunnel, link.name
        weight, rtt = link.number("Weight"), link.number("SmoothedRttUSec")
        cells = [
            link.state,
            f"{weight:.0f} %" if weight else "-",
            milliseconds(rtt) if rtt else "-",
            f"{link.number('LossPercent'):.0f} %" if link.up else "-",
        ]
        styles = [STATE_STYLE.get(link.state, "faint"), "", "", "odd" if link.state == "lossy" else ""]
        line: Line = [("strong", _fit(printable(link.name), _NAME_WIDTH))]
        for text, style, (_, wide) in zip(cells, styles, _COLUMNS, strict=True):
            padded = f" {text:<{wide}}" if style and wide == _COLUMNS[0][1] else f" {text:>{wide}}"
            line.append((style, padded))
        for rates, top, style in (
            (self._rates.sent(key), tops[0], "good"),
            (self._rates.received(key), tops[1], "odd"),
        ):
            line.append(("", f"  {short_rate(newest(rates)):>{_RATE_WIDTH}}"))
            if graph:
                line += [("", " "), (style, sparkline(rates, graph, top))]
        return line


def _heads(graph: int) -> Line:
    text = f"{'LINK':<{_NAME_WIDTH}}"
    for index, (head, wide) in enumerate(_COLUMNS):
        text += f" {head:<{wide}}" if index == 0 else f" {head:>{wide}}"
    for head in ("TX bit/s", "RX bit/s"):
        text += f"  {head:>{_RATE_WIDTH}}" + (" " * (graph + 1) if graph else "")
    return [("title", text)]


def _graph_width(columns: int) -> int:
    """The columns that each of the two graphs may take in a line of `columns` columns."""
    taken = _NAME_WIDTH + sum(wide + 1 for _, wide in _COLUMNS) + 2 * (_RATE_WIDTH + 3)
    least, most = _GRAPH_LIMITS
    room = (columns - taken) // 2
    return 0 if room < least else min(room, most)


def _fit(text: str, columns: int) -> str:
    """`text` in exactly `columns` columns."""
    if width(text) <= columns:
        return text + " " * (columns - width(text))
    kept = ""
    for character in text:
        if width(kept + character) > columns - 1:
            break
        kept += character
    return kept + "…" + " " * (columns - 1 - width(kept))


def _clip(line: Line, columns: int) -> Line:
    clipped: Line = []
    for style, text in line:
        if width(text) > columns:
            text = _fit(text, columns)
        clipped.append((style, text))
        columns -= width(text)
        if columns <= 0:
            break
    return clipped
