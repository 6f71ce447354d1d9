"""The only file that knows the D-Bus library: dbus-next, or dbus-fast, its maintained fork.

Only the codec of either is used. Their connection is not fit for a daemon that anybody may call. It connects with a
blocking call, reads as long as something comes, and decodes everything: arrays of 32 MiB, and types without end, each
of which its cache keeps. It queues its output without limit. `connection` replaces it. This file turns messages to send
into bytes, and the bodies of messages with a known signature into values.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import io
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from mlvpnd.errors import MlvpndError

from . import fitting
from .errors import NO_REPLY, BusError
from .message import Kind, Message


@contextlib.contextmanager
def _only_parts_of(package: str) -> Iterator[None]:
    """Inside, modules of `package` can be imported without the package's own imports.

    Those are for its connections: asyncio, an XML parser and, if installed, GLib. They take 5 MiB and most of a short
    program's time.
    """
    spec = importlib.machinery.PathFinder.find_spec(package)
    if spec is None or package in sys.modules:
        yield
        return
    empty = types.ModuleType(package)
    empty.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[package] = empty
    try:
        yield
    finally:
        del sys.modules[package]


try:
    with _only_parts_of("dbus_next"):
        import dbus_next.errors  # noqa: F401 - first: the modules import each other in a circle
        from dbus_next._private.unmarshaller import Unmarshaller
        from dbus_next.constants import MessageFlag, MessageType
        from dbus_next.message import Message as _Encoder
        from dbus_next.signature import SignatureTree, Variant
except ImportError:  # only dbus-fast is installed, or Python is 3.15, where dbus-next cannot be imported
    with _only_parts_of("dbus_fast"):
        import dbus_fast.errors  # noqa: F401 - as above
        from dbus_fast._private.unmarshaller import Unmarshaller
        from dbus_fast.constants import MessageFlag, MessageType
        from dbus_fast.message import Message as _Encoder
        from dbus_fast.signature import SignatureTree, Variant

__all__ = ["DecodeError", "EncodeError", "Variant", "answered", "decode", "encode", "plain"]


class EncodeError(MlvpndError):
    """A value does not fit its signature, or a name is invalid; a fault of mlvpnd's own."""


class DecodeError(MlvpndError):
    """A received message's body is too large or cannot be decoded."""


def encode(message: Message) -> bytes:
    """The bytes of a message to send. Raises EncodeError.

    The bus ends the connection for characters that D-Bus forbids in strings, for values that do not fit their
    signature, and for invalid names. Texts may come from files and peers, so forbidden characters are replaced. Values
    and names are checked here, because dbus-fast does not look at a body's values.
    """
    body = [_clean(value) for value in message.body]
    try:
        fitting.check_header(message)
        tree = _tree(message.signature)
        tree.verify(body)
        for kind, value in zip(tree.types, body, strict=True):
            fitting.check_value(kind, value, _tree)
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
            body=body,
        )
        data = bytes(encoder._marshall(negotiate_unix_fd=False))
        fitting.check_size(data)
    except Exception as error:  # the library raises all kinds for a wrong value
        raise EncodeError(f"cannot encode {message.signature!r} of {message.member or message.error_name}") from error
    return data


@functools.lru_cache(maxsize=128)
def _tree(signature: str) -> Any:
    """The library's tree of a signature; raises for an invalid one."""
    tree = SignatureTree(signature)
    fitting.check_signature(tree)
    return tree


def decode(message: Message) -> list[Any]:
    """The body of a received message, with Variants in it. Raises DecodeError.

    The caller must have checked that it expects the signature, also within variants.
    """
    if message.raw is None:
        raise DecodeError("the body is too large")
    # Some versions of dbus-fast refuse combinations of flags, which do not concern the body.
    unflagged = message.raw[:2] + b"\0" + message.raw[3:]
    try:
        decoded = Unmarshaller(io.BytesIO(unflagged)).unmarshall()
    except Exception as error:  # the library raises all kinds
        raise DecodeError(f"cannot decode {message.signature!r}") from error
    return list(decoded.body) if decoded is not None else []


def answered(call: Message, answer: Message) -> list[Any]:
    """The values of the answer to a call. Raises BusError if it is an error or cannot be decoded."""
    try:
        body = decode(answer)
    except DecodeError as error:
        raise BusError(NO_REPLY, f"{call.member}: {error}") from None
    if answer.kind == Kind.ERROR:
        raise BusError(answer.error_name, str(body[0]) if body else "")
    return body


def plain(value: Any) -> Any:
    """A decoded value without Variants; structs become lists."""
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
