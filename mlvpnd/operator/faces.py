"""How the fields of a snapshot are shown: each has one row, and all faces read it.

The faces are the JSON of the control socket, the metrics, the properties on the bus, and `mlvpnctl` where it has
only the JSON. A row stands with its field in `status`, as `Annotated[type, Face(...)]`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_USEC = 1_000_000


@dataclass(frozen=True, slots=True)
class Unit:
    """How a value of one kind is written on each face; `from_json` makes the bus's value of that in the JSON."""

    json: Callable[[Any], object]
    metric: Callable[[Any], float]
    bus: Callable[[Any], object]
    from_json: Callable[[Any], object]


def usec(seconds: float) -> int:
    """Seconds as the bus has times."""
    return max(0, round(seconds * _USEC))


def split_address(text: str) -> tuple[str, int]:
    """Host and port of a written address, without brackets; `("", 0)` for "". Raises ValueError."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port or 0)


def _same(value: Any) -> Any:
    return value


def _endpoint(text: Any) -> list[object]:
    try:
        return list(split_address(str(text or "")))
    except ValueError:
        return ["", 0]


def _number(convert: Callable[[float], object], absent: object = None) -> Callable[[Any], object]:
    """For what JSON of anybody may hold: another type than a number is `absent`."""
    return lambda value: convert(value) if isinstance(value, int | float) else absent


AS_IT_IS = Unit(_same, _same, _same, _same)
MOMENT = Unit(int, _same, usec, _number(usec))
"""A point in time, in Unix seconds."""
MONOTONIC = Unit(lambda value: round(value, 6), _same, usec, _number(usec))
"""Seconds of the monotonic clock."""
SECONDS = Unit(_same, _same, usec, _number(usec))
SECONDS_IN_MS = Unit(lambda value: round(value * 1000, 1), _same, usec, _number(lambda value: usec(value / 1000)))
"""Seconds that the JSON has in milliseconds."""
MILLISECONDS = Unit(
    lambda value: round(value, 1),
    lambda value: value / 1000,
    lambda value: usec(value / 1000),
    _number(lambda value: usec(value / 1000), absent=0),  # null: no sample yet, which the bus has as 0
)
WHOLE_MILLISECONDS = Unit(_same, lambda value: value / 1000, _same, _same)
"""On the bus too."""
PERCENT = Unit(_same, lambda value: value / 100, _same, _same)
"""Whole percents; metrics have them as a ratio."""
RATIO = Unit(
    lambda value: round(value, 4),
    _same,
    lambda value: round(value * 100, 2),
    _number(lambda value: round(value * 100, 2)),
)
"""0 to 1; the bus has it in percent."""
ENDPOINT = Unit(_same, _same, _endpoint, _endpoint)
"""A written address; the bus has host and port."""
COUNTS = Unit(dict, _same, dict, _same)
"""Numbers by name."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of metrics, without its prefix."""

    name: str
    explained: str
    kind: str = "gauge"


@dataclass(frozen=True, slots=True)
class Upstream:
    """What upstream shows of a field, under its own name and in its own unit, in the JSON and as a metric."""

    name: str
    explained: str = ""
    """Empty: it is no metric."""
    kind: str = "gauge"
    write: Callable[[Any], object] = _same


@dataclass(frozen=True, slots=True)
class Face:
    """One row: a field's name and unit on each face. An empty name: it is not there."""

    unit: Unit = AS_IT_IS
    json: str = ""
    """In the link's object; of a tunnel `block.member` for what stands in a block."""
    metric: Metric | None = None
    bus: str = ""
    """A property, or a member of `Describe` where the interface has no property of that name; there `block.member`."""
    upstream: Upstream | None = None
    known: str = ""
    """Another field that says whether the value is known; empty: it is."""


_found: dict[type, tuple[tuple[str, Face], ...]] = {}


def rows(kind: type) -> tuple[tuple[str, Face], ...]:
    """The rows of a dataclass, field and face, in order."""
    if kind not in _found:
        hints = typing.get_type_hints(kind, include_extras=True)
        marked = ((name, one) for name, hint in hints.items() for one in getattr(hint, "__metadata__", ()))
        _found[kind] = tuple((name, one) for name, one in marked if isinstance(one, Face))
    return _found[kind]


def value_of(snapshot: object, name: str, face: Face) -> Any:
    """A field's value; None: it is not known."""
    known = not face.known or getattr(snapshot, face.known)
    return getattr(snapshot, name) if known else None


def json_members(snapshot: Any) -> dict[str, object]:
    """Upstream's members first, in the order of the fields, then our own."""
    found: dict[str, object] = {}
    for name, face in rows(type(snapshot)):
        if face.upstream is not None:
            found[face.upstream.name] = face.upstream.write(getattr(snapshot, name))
    for name, face in rows(type(snapshot)):
        if face.json:
            value = value_of(snapshot, name, face)
            put(found, face.json, None if value is None else face.unit.json(value))
    return found


def bus_values(snapshot: Any) -> dict[str, Callable[[], object]]:
    """What gives each value on the bus, by its name there."""

    def reader(name: str, face: Face) -> Callable[[], object]:
        def read() -> object:
            value = value_of(snapshot, name, face)
            return 0 if value is None else face.unit.bus(value)

        return read

    return {face.bus: reader(name, face) for name, face in rows(type(snapshot)) if face.bus}


def from_json(kind: type, members: Mapping[str, object]) -> dict[str, object]:
    """The bus's names and values for JSON of such an object; what is missing there is left out."""
    found: dict[str, object] = {}
    for _, face in rows(kind):
        name = face.json or (face.upstream.name if face.upstream else "")
        if not face.bus or not name:
            continue
        at: object = members
        for part in name.split("."):
            at = at.get(part) if isinstance(at, Mapping) else None
        value = face.unit.from_json(at) if at is not None or face.known else None
        if value is not None:
            put(found, face.bus, value)
    return found


def put(into: dict[str, object], name: str, value: object) -> None:
    """Sets a member; `block.member` in a mapping of its own."""
    block, _, member = name.rpartition(".")
    if not block:
        into[member] = value
        return
    inner = into.setdefault(block, {})
    assert isinstance(inner, dict)  # noqa: S101  (no row has a block's name for a value)
    inner[member] = value
