"""The only file that knows the D-Bus library: dbus-next, or dbus-fast, its living twin.

Of either only the codec is used. Their connection is not fit for a daemon that anybody may call: it connects with a
blocking call, reads as long as something comes, decodes whatever comes, arrays of 32 MiB and types without end (each of
which its cache keeps), and queues what it writes without limit. `connection` does that part; here a message to be
sent becomes bytes, and the body of one whose signature is known becomes values.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

from mlvpnd.errors import MlvpndError

from .message import Message


@contextlib.contextmanager
def _without_glib() -> Iterator[None]:
    """dbus-next imports GLib where it finds it, for a main loop that is not ours: 4 MiB and half of its time."""
    hide = "gi" not in sys.modules
    if hide:
        sys.modules["gi"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hide:
            del sys.modules["gi"]


with _without_glib():
    try:
        from dbus_next import Message as _Encoder
        from dbus_next import MessageFlag, MessageType, Variant
        from dbus_next._private.unmarshaller import Unmarshaller
    except ImportError:  # only dbus-fast is installed, or Python is 3.15, where dbus-next cannot be imported
        from dbus_fast import Message as _Encoder
        from dbus_fast import MessageFlag, MessageType, Variant
        from dbus_fast._private.unmarshaller import Unmarshaller

__all__ = ["DecodeError", "EncodeError", "Variant", "decode", "encode", "plain"]


class EncodeError(MlvpndError):
    """A value is not of the type that its signature says, or a name is none; a fault of mlvpnd's own."""


class DecodeError(MlvpndError):
    """The body of a message that came cannot be had."""


def encode(message: Message) -> bytes:
    """The bytes of a message to be sent; raises EncodeError.

    Texts may come from files and peers: what D-Bus forbids in strings, for which the bus would end the
    connection, is replaced.
    """
    try:
        encoder = _Encoder(
            message_type=MessageType(int(message.kind)),
            flags=MessageFlag(message.flags),
            serial=message.serial,
            path=message.path or None,
            interface=message.interface or None,
            member=message.member or None,
            error_name=message.error_name or None,
            reply_serial=message.reply_serial or None,
            destination=message.destination or None,
            signature=message.signature,
            body=[_clean(value) for value in message.body],
        )
        return bytes(encoder._marshall(negotiate_unix_fd=False))
    except Exception as error:  # the library raises all kinds for a wrong value
        raise EncodeError(f"cannot encode {message.signature!r} of {message.member or message.error_name}") from error


def decode(message: Message) -> list[Any]:
    """The body of a message that came, with Variants in it; raises DecodeError.

    Its signature must be one that the caller expected, also within variants.
    """
    if message.raw is None:
        raise DecodeError("the body is too large")
    # Versions of dbus-fast refuse combinations of flags, which say nothing of the body.
    unflagged = message.raw[:2] + b"\0" + message.raw[3:]
    try:
        decoded = Unmarshaller(io.BytesIO(unflagged)).unmarshall()
    except Exception as error:  # the library raises all kinds
        raise DecodeError(f"cannot decode {message.signature!r}") from error
    return list(decoded.body) if decoded is not None else []


def plain(value: Any) -> Any:
    """A decoded value without its Variants; structs as lists."""
    if isinstance(value, Variant):
        return plain(value.value)
    return _each(plain, value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "?").encode("utf-8", "replace").decode()
    if isinstance(value, Variant):
        cleaned = _clean(value.value)
        return value if cleaned == value.value else Variant(value.signature, cleaned)
    return _each(_clean, value)


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """`value` with each of its elements changed."""
    if isinstance(value, dict):
        return {change(key): change(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [change(element) for element in value]
    return value
