"""Answers calls: a call comes in, values or a BusError go out.

The steps: find object, interface and member; check the arguments; check the permission; log; act; announce the change;
answer. A call that needs no permission is answered at once, any other by a coroutine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mlvpnd.base.bandwidth import MAX_BANDWIDTH
from mlvpnd.config import ConfigError
from mlvpnd.errors import MlvpndError
from mlvpnd.logs import log
from mlvpnd.logs.journal import of_link
from mlvpnd.operator import face
from mlvpnd.operator.face import ConfigUnreadable, LinkDisabled, NoSuchLink, Operator

from . import authorize, errors, introspection, lib, names
from .authorize import Authorizer
from .errors import BusError
from .introspection import INTERFACES
from .message import Message
from .objects import LOG_LEVELS, LOG_TARGETS, Object, Tree

MACHINE_ID = Path("/etc/machine-id")
MAX_RELOADS = 8
"""Reloads at the same time; they wait for each other."""

_BASIC_TYPES = frozenset("ybnqiuxtdsog")

_log = log.logger("control")


class Answer(NamedTuple):
    """A method's return values."""

    signature: str = ""
    body: Sequence[Any] = ()


Result = Answer | Coroutine[Any, Any, Answer]


class Write(NamedTuple):
    """A property that may be set."""

    action: str
    check: Callable[[Any], bool]
    """Whether a value of the right type is in range."""
    apply: Callable[[str, Any], None]
    """Takes the link's name (empty for other objects) and the value."""


def of_operator(error: MlvpndError) -> BusError:
    """The error for the caller when the operator has refused."""
    if isinstance(error, BusError):
        return error
    if isinstance(error, ConfigError):
        return BusError(errors.CONFIG_INVALID, str(error))
    if isinstance(error, ConfigUnreadable):
        return BusError(errors.CONFIG_UNREADABLE, str(error))
    if isinstance(error, NoSuchLink):
        return BusError(errors.NO_SUCH_LINK, str(error))
    if isinstance(error, LinkDisabled):
        return BusError(errors.LINK_DISABLED, str(error))
    return BusError(errors.HELPER_FAILED, str(error))


class Dispatcher:
    """Answers calls for one instance; `announce` sends signals about what changed."""

    def __init__(self, operator: Operator, tree: Tree, authorizer: Authorizer, announce: Callable[[], None]) -> None:
        self._operator = operator
        self._tree = tree
        self._authorizer = authorizer
        self._announce = announce
        self._reloads = 0
        self._methods: Mapping[tuple[str, str], Callable[[Message, Object], Result]] = {
            (names.PROPERTIES_INTERFACE, "Get"): self._get,
            (names.PROPERTIES_INTERFACE, "GetAll"): self._get_all,
            (names.PROPERTIES_INTERFACE, "Set"): self._set,
            (names.OBJECT_MANAGER_INTERFACE, "GetManagedObjects"): self._get_managed_objects,
            (names.TUNNEL_INTERFACE, "Describe"): self._describe,
            (names.TUNNEL_INTERFACE, "GetLink"): self._get_link,
            (names.TUNNEL_INTERFACE, "Reload"): self._reload,
            (names.TUNNEL_INTERFACE, "ReloadWithWarnings"): self._reload_with_warnings,
            (names.TUNNEL_INTERFACE, "Forget"): self._forget,
            (names.LINK_INTERFACE, "Reconnect"): self._reconnect,
        }
        self._writes: Mapping[tuple[str, str], Write] = {
            (names.LINK_INTERFACE, "Enabled"): Write(
                authorize.MANAGE_LINK,
                lambda value: True,
                lambda link, value: operator.set_enabled(link, enabled=value),
            ),
            (names.LINK_INTERFACE, "BandwidthUpload"): Write(
                authorize.MANAGE_LINK,
                lambda value: value <= MAX_BANDWIDTH,
                operator.set_bandwidth_upload,
            ),
            (names.LOG_CONTROL_INTERFACE, "LogLevel"): Write(
                authorize.SET_LOG_LEVEL,
                lambda value: value in LOG_LEVELS,
                lambda _, value: face.set_log_level(LOG_LEVELS[value]),
            ),
            (names.LOG_CONTROL_INTERFACE, "LogTarget"): Write(
                authorize.SET_LOG_LEVEL,
                lambda value: value in LOG_TARGETS,
                lambda _, value: operator.set_log_target(value),
            ),
        }

    def dispatch(self, call: Message) -> Result:
        """The answer, or a coroutine that gives it; both raise BusError."""
        peer = INTERFACES[names.PEER_INTERFACE]
        if call.interface == peer.name or (not call.interface and call.member in peer.methods):
            return self._peer(call)
        objects = self._tree.all()
        one = objects.get(call.path)
        children = _children(objects, call.path)
        if one is None and not children:
            raise BusError(errors.UNKNOWN_OBJECT, f"no object {call.path}")
        interface = _interface_of(call, one)
        _check_signature(call, interface)
        if interface == names.INTROSPECTABLE_INTERFACE:
            return Answer("s", [introspection.document(_interfaces(one), children)])
        return self._methods[interface, call.member](call, one or Object(call.path, "", {}))

    # Standard interfaces.

    def _peer(self, call: Message) -> Answer:
        """The Peer interface, on any path, as in other implementations."""
        _check_member(names.PEER_INTERFACE, call.member)
        _check_signature(call, names.PEER_INTERFACE)
        if call.member == "Ping":
            return Answer()
        try:
            return Answer("s", [MACHINE_ID.read_text().strip()])
        except OSError as error:
            raise BusError(errors.INTERNAL, "the machine's id cannot be read") from error

    def _get(self, call: Message, one: Object) -> Answer:
        interface, name = _decode(call)
        _check_property(one, interface, name)
        return Answer("v", [one.typed({name: one.read[name]()})[name]])

    def _get_all(self, call: Message, one: Object) -> Answer:
        (interface,) = _decode(call)
        if interface in ("", one.interface) and one.interface:
            return Answer("a{sv}", [one.typed(one.values())])
        _check_interface(one, interface)
        return Answer("a{sv}", [{}])

    def _get_managed_objects(self, call: Message, one: Object) -> Answer:
        managed = self._tree.managed()
        told = {path: {one.interface: one.typed(one.values())} for path, one in managed.items()}
        return Answer("a{oa{sa{sv}}}", [told])

    def _set(self, call: Message, one: Object) -> Result:
        found = call.variant_signature()
        if found not in _BASIC_TYPES:  # no property has it, and decoding is costly
            raise BusError(errors.INVALID_ARGS, f"no writable property is of type {found[:40]}")
        interface, name, variant = _decode(call)
        _check_property(one, interface, name)
        write = self._writes.get((one.interface, name))
        if write is None:
            raise BusError(errors.PROPERTY_READ_ONLY, f"{name} cannot be set")
        expected = INTERFACES[one.interface].properties[name].type
        if variant.signature != expected:
            raise BusError(errors.INVALID_ARGS, f"{name} is of type {expected}, not {variant.signature}")
        if not write.check(variant.value):
            raise BusError(errors.INVALID_ARGS, f"{name} cannot be {str(variant.value)[:80]}")
        return self._change(
            call, write.action, lambda: write.apply(one.link, variant.value), f"{name}={variant.value}", one.link
        )

    # Ours.

    def _describe(self, call: Message, one: Object) -> Answer:
        return Answer("s", [self._tree.describe()])

    def _get_link(self, call: Message, one: Object) -> Answer:
        (name,) = _decode(call)
        if not any(link.name == name for link in self._operator.snapshot().links):
            raise BusError(errors.NO_SUCH_LINK, f"no link {name[:80]}")
        return Answer("o", [self._tree.link_path(name)])

    def _reconnect(self, call: Message, one: Object) -> Result:
        return self._change(
            call, authorize.MANAGE_LINK, lambda: self._operator.reconnect(one.link), "Reconnect", one.link
        )

    def _forget(self, call: Message, one: Object) -> Result:
        return self._change(call, authorize.MANAGE_LINK, self._operator.forget, "Forget")

    async def _change(self, call: Message, action: str, apply: Callable[[], None], what: str, link: str = "") -> Answer:
        await self._allow(call, action, what, link)
        if call.path not in self._tree.all():  # the question took time
            raise BusError(errors.UNKNOWN_OBJECT, f"no object {call.path}")
        try:
            apply()
        except MlvpndError as error:
            raise of_operator(error) from error
        self._announce()
        return Answer()

    async def _reload(self, call: Message, one: Object) -> Answer:
        await self._reloaded(call)
        return Answer()

    async def _reload_with_warnings(self, call: Message, one: Object) -> Answer:
        return Answer("as", (list(await self._reloaded(call)),))

    async def _reloaded(self, call: Message) -> Sequence[str]:
        await self._allow(call, authorize.RELOAD, "Reload")
        if self._reloads >= MAX_RELOADS:
            raise BusError(errors.BUSY, "too many reloads wait already")
        self._reloads += 1
        try:
            # A caller that goes away must not stop a reload half-way.
            warnings = await asyncio.shield(self._operator.reload())
        except MlvpndError as error:
            raise of_operator(error) from error
        finally:
            self._reloads -= 1
        self._announce()
        return warnings

    async def _allow(self, call: Message, action: str, what: str, link: str = "") -> None:
        uid = await self._authorizer.check(call, action)
        extra = {**log.ASKED, **of_link(link)}
        _log.info("%s: %s asked for by uid %d (%s)", call.path, what, uid, call.sender, extra=extra)


def _children(paths: Mapping[str, Object], path: str) -> list[str]:
    """The next elements of all paths below `path`, in order, each once."""
    prefix = "/" if path == "/" else path + "/"
    found = (one.removeprefix(prefix).partition("/")[0] for one in paths if one.startswith(prefix))
    return list(dict.fromkeys(found))


def _interfaces(one: Object | None) -> list[str]:
    own = [one.interface] if one is not None else []
    return [*own, *names.STANDARD_INTERFACES]


def _interface_of(call: Message, one: Object | None) -> str:
    """The called interface; if the call names none, the first interface that has the member."""
    interfaces = _interfaces(one)
    if call.interface:
        if call.interface not in interfaces:
            raise BusError(errors.UNKNOWN_INTERFACE, f"{call.path} has no interface {call.interface}")
        _check_member(call.interface, call.member)
        return call.interface
    for interface in interfaces:
        if call.member in INTERFACES[interface].methods:
            return interface
    raise BusError(errors.UNKNOWN_METHOD, f"{call.path} has no method {call.member}")


def _check_member(interface: str, member: str) -> None:
    if member not in INTERFACES[interface].methods:
        raise BusError(errors.UNKNOWN_METHOD, f"{interface} has no method {member}")


def _check_signature(call: Message, interface: str) -> None:
    expected = INTERFACES[interface].methods[call.member].in_signature
    if call.signature != expected:
        raise BusError(errors.INVALID_ARGS, f"{call.member} takes '{expected}', not '{call.signature}'")
    if call.raw is None:
        raise BusError(errors.LIMITS_EXCEEDED, "the arguments are too long")


def _check_interface(one: Object, interface: str) -> None:
    if interface not in ("", one.interface, *names.STANDARD_INTERFACES):
        raise BusError(errors.UNKNOWN_INTERFACE, f"{one.path} has no interface {interface[:255]}")


def _check_property(one: Object, interface: str, name: str) -> None:
    _check_interface(one, interface)
    if name not in one.read or interface not in ("", one.interface):
        raise BusError(errors.UNKNOWN_PROPERTY, f"{one.path} has no property {name[:255]}")


def _decode(call: Message) -> list[Any]:
    try:
        return lib.decode(call)
    except lib.DecodeError as error:
        raise BusError(errors.INVALID_ARGS, str(error)) from error
