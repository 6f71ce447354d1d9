"""The errors that a caller on the bus gets, by name."""

from __future__ import annotations

from mlvpnd.errors import MlvpndError

_STANDARD = "org.freedesktop.DBus.Error."
ACCESS_DENIED = _STANDARD + "AccessDenied"
INTERACTIVE_AUTHORIZATION_REQUIRED = _STANDARD + "InteractiveAuthorizationRequired"
INVALID_ARGS = _STANDARD + "InvalidArgs"
LIMITS_EXCEEDED = _STANDARD + "LimitsExceeded"
NO_REPLY = _STANDARD + "NoReply"
PROPERTY_READ_ONLY = _STANDARD + "PropertyReadOnly"
UNKNOWN_INTERFACE = _STANDARD + "UnknownInterface"
UNKNOWN_METHOD = _STANDARD + "UnknownMethod"
UNKNOWN_OBJECT = _STANDARD + "UnknownObject"
UNKNOWN_PROPERTY = _STANDARD + "UnknownProperty"

_OWN = "org.mlvpn1.Error."
BUSY = _OWN + "Busy"
CONFIG_INVALID = _OWN + "ConfigInvalid"
CONFIG_UNREADABLE = _OWN + "ConfigUnreadable"
HELPER_FAILED = _OWN + "HelperFailed"
INTERNAL = _OWN + "Internal"
LINK_DISABLED = _OWN + "LinkDisabled"
NO_SUCH_LINK = _OWN + "NoSuchLink"

MAX_TEXT_SIZE = 16384
"""Characters of an error's text or a signal's message: a configuration file may have any number of faults."""


class BusError(MlvpndError):
    """An error message, sent or received: a name, and a text for people."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text[:MAX_TEXT_SIZE]


class BusUnavailable(MlvpndError):
    """There is no bus, or the connection to it ended."""


def no_reply(member: str, limit: float) -> BusError:
    """A method was called and not answered for `limit` seconds."""
    return BusError(NO_REPLY, f"{member}: no answer after {limit:g} s")


def refused() -> BusUnavailable:
    """The bus did not accept our introduction."""
    return BusUnavailable("the bus does not accept this process")


def why_unreachable(error: OSError | BusError | BusUnavailable) -> str:
    """Why a bus cannot be reached, for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
