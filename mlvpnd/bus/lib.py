"""The only file that knows the D-Bus library: dbus-next, or dbus-fast, its living twin.

Of either only the codec is used. Their connection is not fit for a daemon that anybody may call: it connects with a
blocking call, reads as long as something comes, decodes whatever comes, arrays of 32 MiB and types without end (each of
which its cache keeps), and queues what it writes without limit. `connection` does that part; here a message to be
sent becomes bytes, and the body of one whose signature is known becomes values.
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
    """Inside, modules of `package` can be imported without what it imports itself.

    That are its connections: asyncio, an XML parser and, where it finds it, GLib; 5 MiB, and most of the time that
    a short run of a program takes.
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
    """A value is not of the type that its signature says, or a name is none; a fault of mlvpnd's own."""


class DecodeError(MlvpndError):
    """The body of a message that came cannot be had."""


def encode(message: Message) -> bytes:
    """The bytes of a message to be sent; raises EncodeError.

    Texts may come from files and peers: what D-Bus forbids in strings, for which the bus would end the
    connection, is replaced. It would end it for any other value, too, that does not fit its signature, and for a
    name that is none. dbus-fast does not look at the values of a body, so both are checked here.
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
    """A signature as the library has it; raises for one that is none."""
    tree = SignatureTree(signature)
    fitting.check_signature(tree)
    return tree


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


def answered(call: Message, answer: Message) -> list[Any]:
    """The values that the answer to a call brings; raises BusError where it is an error or cannot be decoded."""
    try:
        body = decode(answer)
    except DecodeError as error:
        raise BusError(NO_REPLY, f"{call.member}: {error}") from None
    if answer.kind == Kind.ERROR:
        raise BusError(answer.error_name, str(body[0]) if body else "")
    return body


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
