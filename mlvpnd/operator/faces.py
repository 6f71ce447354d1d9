"""How the fields of a snapshot are shown: each field has one row, and all faces read it.

The faces are the control socket's JSON, the metrics, the properties on the bus, and `mlvpnctl` if it has only the
JSON. A row stands at its field in `status`, as `Annotated[type, Face(...)]`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_USEC = 1_000_000


@dataclass(frozen=True, slots=True)
class Unit:
    """How each face writes a value of one kind; `from_json` turns the JSON's value into the bus's."""

    json: Callable[[Any], object]
    metric: Callable[[Any], float]
    bus: Callable[[Any], object]
    from_json: Callable[[Any], object]


def usec(seconds: float) -> int:
    """Seconds in the bus's unit of time, microseconds."""
    return max(0, round(seconds * _USEC))


def split_address(text: str) -> tuple[str, int]:
    """Host, without brackets, and port of a written address; `("", 0)` for "". Raises ValueError."""
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
    """Converts a value of untrusted JSON: `absent` if it is no number."""
    return lambda value: convert(value) if isinstance(value, int | float) else absent


AS_IT_IS = Unit(_same, _same, _same, _same)
MOMENT = Unit(int, _same, usec, _number(usec))
"""A point in time, in Unix seconds."""
MONOTONIC = Unit(lambda value: round(value, 6), _same, usec, _number(usec))
"""Seconds of the monotonic clock."""
SECONDS = Unit(_same, _same, usec, _number(usec))
SECONDS_IN_MS = Unit(lambda value: round(value * 1000, 1), _same, usec, _number(lambda value: usec(value / 1000)))
"""Seconds; milliseconds in the JSON."""
MILLISECONDS = Unit(
    lambda value: round(value, 1),
    lambda value: value / 1000,
    lambda value: usec(value / 1000),
    _number(lambda value: usec(value / 1000), absent=0),  # null: no sample yet, 0 on the bus
)
WHOLE_MILLISECONDS = Unit(_same, lambda value: value / 1000, _same, _same)
"""Milliseconds, on the bus too."""
PERCENT = Unit(_same, lambda value: value / 100, _same, _same)
"""Whole percents; a ratio in metrics."""
RATIO = Unit(
    lambda value: round(value, 4),
    _same,
    lambda value: round(value * 100, 2),
    _number(lambda value: round(value * 100, 2)),
)
"""0 to 1; percent on the bus."""
ENDPOINT = Unit(_same, _same, _endpoint, _endpoint)
"""A written address; host and port on the bus."""
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
    """How upstream shows a field in the JSON and as a metric, with its own name and unit."""

    name: str
    explained: str = ""
    """Empty: the field is no metric."""
    kind: str = "gauge"
    write: Callable[[Any], object] = _same


@dataclass(frozen=True, slots=True)
class Face:
    """One row: a field's name and unit on each face. Empty name: the face does not show the field."""

    unit: Unit = AS_IT_IS
    json: str = ""
    """Member of the link's object; for a tunnel, `block.member` if it stands in a block."""
    metric: Metric | None = None
    bus: str = ""
    """A property; a member of `Describe`, maybe `block.member`, if the interface has no property of that name."""
    upstream: Upstream | None = None
    known: str = ""
    """Another field that says whether the value is known; empty: it always is."""


_found: dict[type, tuple[tuple[str, Face], ...]] = {}


def rows(kind: type) -> tuple[tuple[str, Face], ...]:
    """The rows of a dataclass, each with its field's name, in order."""
    if kind not in _found:
        hints = typing.get_type_hints(kind, include_extras=True)
        marked = ((name, one) for name, hint in hints.items() for one in getattr(hint, "__metadata__", ()))
        _found[kind] = tuple((name, one) for name, one in marked if isinstance(one, Face))
    return _found[kind]


def value_of(snapshot: object, name: str, face: Face) -> Any:
    """A field's value; None: unknown."""
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
    """Functions that return the values for the bus, by name on the bus."""

    def reader(name: str, face: Face) -> Callable[[], object]:
        def read() -> object:
            value = value_of(snapshot, name, face)
            return 0 if value is None else face.unit.bus(value)

        return read

    return {face.bus: reader(name, face) for name, face in rows(type(snapshot)) if face.bus}


def from_json(kind: type, members: Mapping[str, object]) -> dict[str, object]:
    """The bus's names and values from the JSON of an object of `kind`; what the JSON lacks is left out."""
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
    """Sets a member; `block.member` goes into the mapping `block`."""
    block, _, member = name.rpartition(".")
    if not block:
        into[member] = value
        return
    inner = into.setdefault(block, {})
    assert isinstance(inner, dict)  # noqa: S101  (no row has a block's name for a value)
    inner[member] = value
