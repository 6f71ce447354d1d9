"""What the daemon may ask the helper: a closed table of requests, parsed from bytes to frozen values.

A request is one JSON object with `op` and the fields of its class below. No request carries a path, an interface name,
an argument or an environment: the helper takes them from the configuration file.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from mlvpnd.errors import MlvpndError

MAX_REQUEST_SIZE = 4096
"""Bytes. The longest honest request has a section's name and some 60 bytes more."""


class Refused(MlvpndError):
    """The caller broke the contract; it gets no answer."""


class ScriptEvent(enum.Enum):
    """Upstream's four events of the status command."""

    RTUN_UP = "rtun_up"
    RTUN_DOWN = "rtun_down"
    TUNTAP_UP = "tuntap_up"
    TUNTAP_DOWN = "tuntap_down"

    @property
    def about_link(self) -> bool:
        """Whether the event names a link."""
        return self in (ScriptEvent.RTUN_UP, ScriptEvent.RTUN_DOWN)


class End(enum.Enum):
    """Which host and port of the file to look up."""

    BIND = "bind"
    REMOTE = "remote"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Request:
    """Base of all requests."""

    OP: ClassVar[str]
    DESCRIPTORS: ClassVar[int] = 0
    """How many descriptors come with the request."""


@dataclass(frozen=True, slots=True)
class OpenConfig(Request):
    """Opens the configuration file for reading; also names the files beside it with the same password."""

    OP: ClassVar[str] = "open-config"


@dataclass(frozen=True, slots=True)
class OpenTun(Request):
    """Opens the file's TUN or TAP interface."""

    OP: ClassVar[str] = "open-tun"


@dataclass(frozen=True, slots=True)
class ConfigureTun(Request):
    """Sets the interface's MTU and GSO limit and, if the file asks for it, link state, addresses and routes."""

    OP: ClassVar[str] = "configure-tun"
    DESCRIPTORS: ClassVar[int] = 1
    ipv6_path: bool
    default_routes: bool = True
    """Whether the file's default routes are to be in: a link is up, or was a moment ago."""


@dataclass(frozen=True, slots=True)
class UnconfigureTun(Request):
    """Removes what `ConfigureTun` set, also a kill switch, but not the MTU: the tunnel is about to stop."""

    OP: ClassVar[str] = "unconfigure-tun"
    DESCRIPTORS: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class TuneSocket(Request):
    """Gives a link's UDP socket a receive buffer above the system's limit."""

    OP: ClassVar[str] = "tune-socket"
    DESCRIPTORS: ClassVar[int] = 1
    link: str


@dataclass(frozen=True, slots=True)
class BindSocket(Request):
    """Binds a link's UDP socket as its section says."""

    OP: ClassVar[str] = "bind-socket"
    DESCRIPTORS: ClassVar[int] = 1
    link: str


@dataclass(frozen=True, slots=True)
class RunScript(Request):
    """Runs the status command for the interface whose descriptor comes with the request."""

    OP: ClassVar[str] = "run-script"
    DESCRIPTORS: ClassVar[int] = 1
    event: ScriptEvent
    link: str | None = None

    def __post_init__(self) -> None:
        if self.event.about_link != (self.link is not None):
            raise Refused(f"{self.OP}: rtun events need a link, other events take none")


@dataclass(frozen=True, slots=True)
class Resolve(Request):
    """Looks up a name of the file."""

    OP: ClassVar[str] = "resolve"
    end: End
    link: str | None = None

    def __post_init__(self) -> None:
        if (self.end is End.CONTROL) != (self.link is None):
            raise Refused(f"{self.OP}: bind and remote need a link, control takes none")


@dataclass(frozen=True, slots=True)
class OpenControl(Request):
    """Opens the control socket, bound and listening."""

    OP: ClassVar[str] = "open-control"


@dataclass(frozen=True, slots=True)
class OpenLog(Request):
    """Opens a new socket connected to the system log."""

    OP: ClassVar[str] = "open-log"


@dataclass(frozen=True, slots=True)
class ReadState(Request):
    """Reads the state file of the configuration file; no descriptor comes back if there is none."""

    OP: ClassVar[str] = "read-state"


@dataclass(frozen=True, slots=True)
class WriteState(Request):
    """Replaces the state file by the bytes of the descriptor's file."""

    OP: ClassVar[str] = "write-state"
    DESCRIPTORS: ClassVar[int] = 1


TABLE: dict[str, type[Request]] = {
    request.OP: request
    for request in (
        OpenConfig,
        OpenTun,
        ConfigureTun,
        UnconfigureTun,
        TuneSocket,
        BindSocket,
        RunScript,
        Resolve,
        OpenControl,
        OpenLog,
        ReadState,
        WriteState,
    )
}
"""All requests by their `op`."""

BY_HAND = frozenset(TABLE.values())
"""What the parent serves to a daemon that was started by hand."""
SCRIPT = frozenset((RunScript,))
"""What `mlvpn-script@.service` serves."""
HELPER = frozenset((OpenConfig, OpenTun, ConfigureTun, UnconfigureTun, TuneSocket, BindSocket))
"""What `mlvpn-helper@.service` serves. There the daemon needs no help with names, log, control socket and state."""


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused("not a boolean")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Refused("not a text")
    return value


def _event(value: object) -> ScriptEvent:
    try:
        return ScriptEvent(_text(value))
    except ValueError:
        raise Refused("unknown event") from None


def _end(value: object) -> End:
    try:
        return End(_text(value))
    except ValueError:
        raise Refused("unknown end") from None


_FIELD: dict[str, Callable[[object], object]] = {
    "ipv6_path": _flag,
    "default_routes": _flag,
    "link": _text,
    "event": _event,
    "end": _end,
}


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused("a key is repeated")
    return members


def encode(request: Request) -> bytes:
    """The request's message. What is the default is left out, as a helper of an older version knows fewer fields."""
    members: dict[str, object] = {"op": request.OP}
    for field in dataclasses.fields(request):
        value = getattr(request, field.name)
        if value != field.default:
            members[field.name] = value.value if isinstance(value, enum.Enum) else value
    return json.dumps(members).encode()


def parse(data: bytes, descriptors: int) -> Request:
    """The request in a message that came with `descriptors` descriptors. Raises Refused."""
    if len(data) > MAX_REQUEST_SIZE:
        raise Refused("too long")
    try:
        members = json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise Refused("not JSON") from None
    if not isinstance(members, dict):
        raise Refused("not an object")
    op = members.pop("op", None)
    kind = TABLE.get(op) if isinstance(op, str) else None
    if kind is None:
        raise Refused(f"unknown op {ascii(op)[:80]}")
    if descriptors != kind.DESCRIPTORS:
        raise Refused(f"{kind.OP}: {descriptors} descriptors instead of {kind.DESCRIPTORS}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, object] = {}
    for name, value in members.items():
        if name not in known:
            raise Refused(f"{kind.OP}: unknown field {ascii(name)[:80]}")
        try:
            values[name] = _FIELD[name](value)
        except Refused as error:
            raise Refused(f"{kind.OP}: {name}: {error}") from None
    for name, field in known.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise Refused(f"{kind.OP}: {name} is missing")
    return kind(**values)
