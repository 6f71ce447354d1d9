"""Messages, and the stream of bytes in which they come.

Anybody may send messages. Only headers are read here: this is cheap, and a stranger cannot choose types. A body is
decoded (`lib.decode`) only if its signature is an expected one. Whatever is too large is skipped as it comes and is
never held.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlvpnd.errors import MlvpndError

from .names import BUS_NAME, BUS_PATH

NO_REPLY_EXPECTED = 1
NO_AUTO_START = 2
ALLOW_INTERACTIVE_AUTHORIZATION = 4

MAX_MESSAGE_SIZE = 1 << 27
"""Bytes, from the D-Bus specification."""
MAX_HEADER_SIZE = 4096
"""Bytes. A longer header is of no message for mlvpnd. It cannot be answered either: its sender stays unread."""

_FIXED_SIZE = 16
_BYTE_ORDERS = {ord("l"): "<", ord("B"): ">"}
_FIELDS = {
    1: "path",
    2: "interface",
    3: "member",
    4: "error_name",
    5: "reply_serial",
    6: "destination",
    7: "sender",
    8: "signature",
}


class StreamError(MlvpndError):
    """The input is no stream of D-Bus messages."""


class Kind(enum.IntEnum):
    """Types of messages."""

    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


class Message(NamedTuple):
    """A message, to be made with keywords; missing header fields are empty."""

    kind: int
    """A Kind; in a received message, anything up to 255."""
    flags: int = 0
    serial: int = 0
    path: str = ""
    interface: str = ""
    member: str = ""
    error_name: str = ""
    reply_serial: int = 0
    destination: str = ""
    sender: str = ""
    signature: str = ""
    body: Sequence[Any] = ()
    """The values of a message to send."""
    raw: bytes | None = None
    """A whole received message, its body still encoded; None: the body was too large."""

    def variant_signature(self) -> str:
        """The type inside the last argument of a raw message of signature `ssv`."""
        if self.raw is None or self.signature != "ssv":
            raise ValueError("not a body with a variant at a known place")
        cursor = _Cursor(self.raw)
        cursor.at = _header_size(self.raw)
        cursor.string()
        cursor.string()
        return cursor.signature()


def call_of_bus(member: str, signature: str = "", body: Sequence[Any] = ()) -> Message:
    """A call of a method of the bus itself."""
    return Message(
        kind=Kind.CALL,
        destination=BUS_NAME,
        path=BUS_PATH,
        interface=BUS_NAME,
        member=member,
        signature=signature,
        body=body,
    )


class Splitter:
    """Cuts a stream into messages; `max_body` is the largest body that is kept, in bytes."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._skip = 0
        self.dropped = 0
        """Messages whose header could not be used."""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises StreamError, after which nothing can be read."""
        self._buffer += data
        found = []
        while (message := self._next()) is not _INCOMPLETE:
            if message is None:
                self.dropped += 1
            else:
                found.append(message)
        return found

    def _next(self) -> Message | None:
        """The next message; None: it was dropped; _INCOMPLETE: not all of it has come."""
        buffer = self._buffer
        if self._skip:
            size = min(self._skip, len(buffer))
            del buffer[:size]
            self._skip -= size
        if self._skip or len(buffer) < _FIXED_SIZE:
            return _INCOMPLETE
        order = _BYTE_ORDERS.get(buffer[0])
        if order is None or buffer[3] != 1:
            raise StreamError("not a D-Bus message")
        (body_size,) = struct.unpack_from(f"{order}I", buffer, 4)
        header_size = _header_size(buffer)
        size = header_size + body_size
        if size > MAX_MESSAGE_SIZE:
            raise StreamError("a message is larger than D-Bus allows")
        if header_size > MAX_HEADER_SIZE:
            self._skip = size
            return None
        keep = size if body_size <= self._max_body else header_size
        if len(buffer) < keep:
            return _INCOMPLETE
        raw = bytes(buffer[:keep])
        del buffer[:keep]
        self._skip = size - keep
        return _parse(raw, complete=keep == size)


_INCOMPLETE = Message(kind=0)


def _header_size(data: bytes | bytearray) -> int:
    """Bytes of a message's header, including the padding before the body."""
    (fields_size,) = struct.unpack_from(f"{_BYTE_ORDERS[data[0]]}I", data, 12)
    return _FIXED_SIZE + (int(fields_size) + 7) // 8 * 8


def _parse(raw: bytes, *, complete: bool) -> Message | None:
    cursor = _Cursor(raw)
    (fields_size,) = struct.unpack_from(cursor.order + "I", raw, 12)
    (serial,) = struct.unpack_from(cursor.order + "I", raw, 8)
    fields: dict[str, Any] = {}
    cursor.at = _FIXED_SIZE
    try:
        while cursor.at < _FIXED_SIZE + fields_size:
            cursor.align(8)
            name = _FIELDS.get(raw[cursor.at])
            cursor.at += 1
            value = cursor.basic(cursor.signature())
            if name is not None and isinstance(value, int) == (name == "reply_serial"):
                fields[name] = value
    except (ValueError, IndexError, struct.error):
        return None
    return Message(kind=raw[1], flags=raw[2], serial=serial, raw=raw if complete else None, **fields)


class _Cursor:
    """A place in an encoded message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.order = _BYTE_ORDERS[data[0]]
        self.at = 0

    def align(self, size: int) -> None:
        self.at = -(-self.at // size) * size

    def basic(self, signature: str) -> str | int:
        """A value of a type that header fields have. Raises ValueError for another type."""
        if signature in ("s", "o"):
            return self.string()
        if signature == "g":
            return self.signature()
        if signature == "u":
            return self.uint32()
        raise ValueError(f"header field of type {signature}")

    def uint32(self) -> int:
        self.align(4)
        (value,) = struct.unpack_from(self.order + "I", self._data, self.at)
        self.at += 4
        return int(value)

    def string(self) -> str:
        return self._text(self.uint32())

    def signature(self) -> str:
        size = self._data[self.at]
        self.at += 1
        return self._text(size)

    def _text(self, size: int) -> str:
        begin, self.at = self.at, self.at + size + 1
        return self._data[begin : begin + size].decode()
