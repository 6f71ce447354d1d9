"""The system bus for `mlvpnctl`: a `bus.caller`, opened when it is needed, and again after it has ended.

Every message carries NO_AUTO_START, because no question may start a tunnel, and ALLOW_INTERACTIVE_AUTHORIZATION unless
that is forbidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlvpnd.bus import errors as bus_errors
from mlvpnd.bus import names
from mlvpnd.bus.caller import Caller
from mlvpnd.bus.errors import BusError, BusUnavailable
from mlvpnd.bus.lib import DecodeError, Variant, decode, plain
from mlvpnd.bus.message import ALLOW_INTERACTIVE_AUTHORIZATION, NO_AUTO_START, Kind, Message

from .errors import ConfigRefused, CtlError, NotAllowed, NotFound, TunnelGone, Unreachable, Unsupported
from .model import ManagedObjects
from .units import Unit, loaded

READ_LIMIT = 10.0
"""Seconds for an answer to a question."""
CHANGE_LIMIT = 300.0
"""Seconds for a change: somebody may have to find a password first."""

_DBUS_ERROR = "org.freedesktop.DBus.Error."
_GONE = frozenset((_DBUS_ERROR + "ServiceUnknown", _DBUS_ERROR + "NameHasNoOwner"))
_CLASSES: dict[str, type[CtlError]] = {
    bus_errors.ACCESS_DENIED: NotAllowed,
    bus_errors.INTERACTIVE_AUTHORIZATION_REQUIRED: NotAllowed,
    bus_errors.NO_SUCH_LINK: NotFound,
    bus_errors.UNKNOWN_OBJECT: NotFound,
    bus_errors.UNKNOWN_METHOD: Unsupported,
    bus_errors.CONFIG_INVALID: ConfigRefused,
    bus_errors.CONFIG_UNREADABLE: ConfigRefused,
}


class SystemBus:
    """A client of the bus; it need not be closed before the process ends."""

    def __init__(self, address: str | None = None, *, interactive: bool = True) -> None:
        """`address` is by default the system bus's; `interactive`: polkit may ask for a password."""
        self._address = address
        self._flags = NO_AUTO_START | (ALLOW_INTERACTIVE_AUTHORIZATION if interactive else 0)
        self._caller: Caller | None = None

    def instances(self) -> list[str]:
        """See `source.Bus`."""
        try:
            (listed,) = self._connected().call_bus("ListNames")
        except (BusError, BusUnavailable) as error:
            raise self._unreachable(error) from None
        return sorted(name for name in listed if name.startswith(names.TUNNEL_NAME_PREFIX))

    def bus_name(self, tunnel: str) -> str:
        """See `source.Bus`."""
        return names.tunnel_name(tunnel)

    def objects(self, bus_name: str) -> ManagedObjects:
        """See `source.Bus`."""
        interface = names.OBJECT_MANAGER_INTERFACE
        (found,) = self.call(bus_name, names.MANAGER_PATH, interface, "GetManagedObjects", limit=READ_LIMIT)
        return found if isinstance(found, dict) else {}

    def describe(self, tunnel: str) -> Mapping[str, object]:
        """See `source.Bus`."""
        import json  # most verbs do not need it

        where = names.tunnel_name(tunnel), names.tunnel_path(tunnel), names.TUNNEL_INTERFACE
        (text,) = self.call(*where, "Describe", limit=READ_LIMIT)
        try:
            found = json.loads(str(text))
        except ValueError:
            raise CtlError(f"{tunnel}: the answer is not JSON") from None
        return found if isinstance(found, dict) else {}

    def units(self) -> Mapping[str, Unit]:
        """See `source.Bus`."""

        def call(*words: Any) -> list[object]:
            return self.call(*words, limit=READ_LIMIT)

        try:
            return loaded(call)
        except TunnelGone:  # there is a bus without systemd
            return {}

    def call(
        self,
        bus_name: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *values: object,
        limit: float = CHANGE_LIMIT,
    ) -> list[object]:
        """Calls a method and returns its values, without Variants.

        Raises TunnelGone, Unreachable, NotAllowed, NotFound, ConfigRefused, CtlError.
        """
        message = Message(
            kind=Kind.CALL,
            flags=self._flags,
            destination=bus_name,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=values,
        )
        try:
            answer = self._connected().call(message, limit=limit)
        except BusUnavailable as error:
            raise self._unreachable(error) from None
        except BusError as error:
            raise translated(error) from None
        return [plain(value) for value in answer]

    def get(self, bus_name: str, path: str, interface: str, name: str) -> object:
        """A property's value; raises as `call`."""
        words = (names.PROPERTIES_INTERFACE, "Get", "ss", interface, name)
        (value,) = self.call(bus_name, path, *words, limit=READ_LIMIT)
        return value

    def set(self, bus_name: str, path: str, interface: str, name: str, signature: str, value: object) -> None:
        """Sets a property of type `signature`; raises as `call`."""
        variant = Variant(signature, value)
        self.call(bus_name, path, names.PROPERTIES_INTERFACE, "Set", "ssv", interface, name, variant)

    def match(self, rules: Sequence[str]) -> None:
        """Has signals that match one of the rules sent here, see `signal`. Raises Unreachable."""
        try:
            for rule in rules:
                self._connected().call_bus("AddMatch", "s", rule)
        except (BusError, BusUnavailable) as error:
            raise self._unreachable(error) from None

    def owner(self, bus_name: str) -> str:
        """The unique name of a name's owner; empty: nobody owns it. Raises Unreachable."""
        try:
            (owner,) = self._connected().call_bus("GetNameOwner", "s", bus_name)
        except BusError:
            return ""
        except BusUnavailable as error:
            raise self._unreachable(error) from None
        return str(owner)

    def signal(self) -> Message:
        """The next signal, whoever sent it. Raises Unreachable at the connection's end."""
        try:
            return self._connected().signal()
        except BusUnavailable as error:
            raise self._unreachable(error) from None

    def close(self) -> None:
        """Ends the connection."""
        if self._caller is not None:
            self._caller.close()
            self._caller = None

    def _connected(self) -> Caller:
        if self._caller is None:
            try:
                self._caller = Caller.open(self._address)
            except BusUnavailable as error:
                raise self._unreachable(error) from None
        return self._caller

    def _unreachable(self, error: BusError | BusUnavailable) -> Unreachable:
        self.close()
        return Unreachable(f"the system bus cannot be reached: {error}")


def values_of(message: Message) -> list[object]:
    """The values of a signal; empty if it cannot be decoded."""
    try:
        return [plain(value) for value in decode(message)]
    except DecodeError:
        return []


def translated(error: BusError) -> CtlError:
    """A call's error as a CtlError of its meaning."""
    if error.name in _GONE:
        return TunnelGone(error.text)
    known = _CLASSES.get(error.name)
    return known(error.text) if known is not None else CtlError(error.text or error.name)
