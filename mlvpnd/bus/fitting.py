"""Checks a message before it is sent, besides the library's checks: for a breach the bus would end the connection.

The rules are those of the D-Bus specification, "Type System" and "Message Protocol". dbus-next and dbus-fast both let
some breaches pass: names that end in a line feed, wrong signatures as values, changed variants, and dict entries
outside arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from mlvpnd.errors import MlvpndError

from .message import Kind, Message

MAX_SIZE = 1 << 26
"""Bytes of an array. Whole messages may have twice as many; nothing here comes near."""
MAX_NAME_SIZE = 255
MAX_DEPTH = 64
"""Depth of nested containers, including variants; of arrays and of structs half as many."""
_BASIC = frozenset("ybnqiuxtdsogh")

_PATH = re.compile(r"/|(?:/[A-Za-z0-9_]+)+")
_INTERFACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BUS_NAME = re.compile(r":[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+")
_NEEDED = {
    Kind.CALL: ("path", "member"),
    Kind.RETURN: ("reply_serial",),
    Kind.ERROR: ("error_name", "reply_serial"),
    Kind.SIGNAL: ("path", "interface", "member"),
}


class Misfit(MlvpndError):
    """Something must not be sent; the text says what."""


def check_header(message: Message) -> None:
    """Raises Misfit for an invalid or missing header field."""
    for field, pattern, most in (
        ("path", _PATH, MAX_SIZE),
        ("interface", _INTERFACE, MAX_NAME_SIZE),
        ("member", _MEMBER, MAX_NAME_SIZE),
        ("error_name", _INTERFACE, MAX_NAME_SIZE),
        ("destination", _BUS_NAME, MAX_NAME_SIZE),
    ):
        value = getattr(message, field)
        if value and (len(value) > most or pattern.fullmatch(value) is None):
            raise Misfit(f"{value!r} is no {field}")
    for field in _NEEDED[Kind(message.kind)]:
        if not getattr(message, field):
            raise Misfit(f"no {field}")
    if not 0 < message.serial < 1 << 32:
        raise Misfit(f"serial {message.serial}")


def check_signature(tree: Any) -> None:
    """Raises Misfit for a signature that the library takes and D-Bus does not: dict entries outside arrays, empty
    structs, containers nested too deep."""
    for kind in tree.types:
        _check_type(kind, inside="", depth=0)


def _check_type(kind: Any, *, inside: str, depth: int) -> None:
    code, parts = kind.token, kind.children
    if code == "{" and (inside != "a" or parts[0].token not in _BASIC):
        raise Misfit("a dict entry is an element of an array, and its key is of a basic type")
    if code == "(" and not parts:
        raise Misfit("a struct of nothing")
    if depth > MAX_DEPTH // 2:
        raise Misfit("too many containers in each other")
    for part in parts:
        _check_type(part, inside=code, depth=depth + 1)


def check_value(kind: Any, value: Any, tree_of: Callable[[str], Any], depth: int = 0) -> None:
    """Raises for a value that the library has verified for its type, but that D-Bus does not take.

    `tree_of` gives the library's tree of a signature, and raises for an invalid one.
    """
    code, parts = kind.token, kind.children
    if depth > MAX_DEPTH:
        raise Misfit("too many containers in each other")
    if code == "o" and _PATH.fullmatch(value) is None:
        raise Misfit(f"{value!r} is no object path")
    if code == "g":
        tree_of(value)
    for part, element in _elements(code, parts, value, tree_of):
        check_value(part, element, tree_of, depth + 1)


def _elements(code: str, parts: Any, value: Any, tree_of: Callable[[str], Any]) -> Iterable[tuple[Any, Any]]:
    """A value's elements, each with its type. Raises for a variant whose value does not fit its signature."""
    if code == "v":  # perhaps verified when it was made, and perhaps changed since
        tree = tree_of(value.signature)
        tree.verify([value.value])
        return [(tree.types[0], value.value)]
    if code == "(":
        return zip(parts, value, strict=True)
    if code != "a" or parts[0].signature == "y":
        return ()
    if parts[0].children and isinstance(value, dict):
        key, content = parts[0].children
        return [pair for one, other in value.items() for pair in ((key, one), (content, other))]
    return [(parts[0], element) for element in value]


def check_size(data: bytes) -> None:
    """Raises Misfit for an encoded message that is too large."""
    if len(data) > MAX_SIZE:
        raise Misfit(f"{len(data)} bytes")
