"""The keys of `mlvpn.conf` in one table, which the parser, `changes` and the check of the man page read."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypedDict

from mlvpnd.base.instance import (
    RUNTIME_DIRECTORY as RUNTIME_DIRECTORY,  # directory of sockets whose paths name none
)

GENERAL = "general"
FILTERS_PREFIX = "filters"
"""Sections hold filters if their name starts with this."""
RULES = "rules"
"""Sections of this name hold rules; all other names are links."""

UINT32_MAX = 2**32 - 1
MAX_FILE_SIZE = 1 << 20
"""Bytes. A large site's file has some tens of KiB."""
MAX_LINKS = 128
MAX_FILTERS = 255
MAX_RULES = 255
MAX_PRIORITY = 255
MAX_TEXT_LENGTH = 32768
"""Characters of any text. The status command gets texts in its environment, where a string may have 128 KiB."""
MAX_HOST_LENGTH = 255
MAX_DEVICE_NAME_LENGTH = 15
"""Characters. The kernel's limit: IFNAMSIZ without the final NUL."""
MAX_REORDER_BUFFER_SIZE = 65536
"""Packets. At 1500 bytes each: 98 MB, more than half a second of 1 Gbit/s."""
MIN_MSS = 48
"""Bytes, least `mss_clamp`. Linux never sends smaller segments, whatever it is told (TCP_MIN_SND_MSS)."""
MAX_MSS = 8960
"""Bytes, largest `mss_clamp`: the largest `mtu` without the headers of IPv4 and TCP."""


class Kind(enum.Enum):
    """How a value is written."""

    TEXT = "text"
    SECRET = "text, taken byte for byte"  # noqa: S105 - the name of a kind
    PATH = "path"
    NUMBER = "number"
    RATE = "number, also with a unit"
    FLAG = "0 or 1"
    HOST = "host name or address"
    PORT = "port number or service name"
    DEVICE = "interface name"
    CHOICE = "one of two words"
    CHOICE_OR_NUMBER = "one of two words, or a number"
    LIST = "list separated by spaces"


class ReloadEffect(enum.Enum):
    """What a reload does with a changed value."""

    AT_ONCE = "takes effect at once"
    INTERFACE = "set at once with configure_interface, else given to the status command at its next run"
    LINK_DEFAULT = "takes effect at once on links without a value of their own"
    LINK_IN_PLACE = "takes effect at once, the link stays up"
    LINK_RESTART = "restarts the link"
    ALL_LINKS_RESTART = "restarts every link"
    NOT_APPLIED = "needs a restart of the tunnel"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of one class of section."""

    name: str
    """The name in upstream's spelling."""
    field: str
    """Its attribute in `Config` or `LinkConfig`."""
    kind: Kind
    reload: ReloadEffect
    allowed: str
    """The allowed values, for messages."""
    default: str = ""
    """The default as written in a file; empty: unset."""
    alias: str = ""
    """The other spelling."""
    upstream: bool = True
    """False: new in mlvpnd, upstream ignores it."""
    least: int = 0
    """Least number. Upstream's keys are capped to their range; for a key of mlvpnd, a number outside is refused."""
    most: int = UINT32_MAX
    capped: str = "{name} capped to {limit}"
    """The message about a capped number."""
    changed: str = "%s {name} changed from %s to %s"
    """A reload's message about a new value on a link that stays up; takes the link, the old and the new value."""


class _Range(TypedDict):
    """The properties that a number has both in `[general]` and in links."""

    allowed: str
    least: int
    most: int
    capped: str


_TIMEOUT = _Range(allowed="seconds, at least 2", least=2, most=UINT32_MAX, capped="{name} capped to {limit} seconds")
_LOSS = _Range(allowed="percent, 0..100", least=0, most=100, capped="{name} is capped to {limit} %")
_LATENCY = _Range(allowed="milliseconds, 0..1000", least=0, most=1000, capped="{name} is capped to {limit} %")
"""Upstream's words, though the unit is milliseconds."""

GENERAL_KEYS = (
    Key("mode", "mode", Kind.CHOICE, ReloadEffect.ALL_LINKS_RESTART, "server or client"),
    Key("password", "password", Kind.SECRET, ReloadEffect.AT_ONCE, "any text, the same at both ends"),
    Key("statuscommand", "statuscommand", Kind.PATH, ReloadEffect.AT_ONCE, "an absolute path"),
    Key(
        "interface_name",
        "interface_name",
        Kind.DEVICE,
        ReloadEffect.NOT_APPLIED,
        "1..15 characters without '/', ':' or white space, at most one %d for a free number",
        default="mlvpn0",
    ),
    Key("tuntap", "tuntap", Kind.CHOICE, ReloadEffect.NOT_APPLIED, "tun or tap", default="tun"),
    Key("timeout", "timeout", Kind.NUMBER, ReloadEffect.LINK_DEFAULT, default="60", **_TIMEOUT),
    Key("cleartext_data", "cleartext_data", Kind.FLAG, ReloadEffect.AT_ONCE, "0 or 1", default="0"),
    Key(
        "reorder_buffer_size",
        "reorder_buffer_size",
        Kind.NUMBER,
        ReloadEffect.AT_ONCE,
        f"packets, 0..{MAX_REORDER_BUFFER_SIZE}",
        default="0",
        most=MAX_REORDER_BUFFER_SIZE,
        capped="{name} capped to {limit} packets",
    ),
    Key(
        "loss_tolerence",
        "loss_tolerance",
        Kind.NUMBER,
        ReloadEffect.LINK_DEFAULT,
        default="100",
        alias="loss_tolerance",
        **_LOSS,
    ),
    Key(
        "latency_tolerence",
        "latency_tolerance",
        Kind.NUMBER,
        ReloadEffect.LINK_DEFAULT,
        default="1000",
        alias="latency_tolerance",
        **_LATENCY,
    ),
    Key("mtu", "mtu", Kind.NUMBER, ReloadEffect.INTERFACE, "bytes, 68..9000, or 0 for what fits", default="0"),
    Key(
        "mss_clamp",
        "mss_clamp",
        Kind.CHOICE_OR_NUMBER,
        ReloadEffect.AT_ONCE,
        f"auto, off, or bytes, {MIN_MSS}..{MAX_MSS}",
        default="auto",
        upstream=False,
    ),
    Key("ip4", "ip4", Kind.TEXT, ReloadEffect.INTERFACE, "an IPv4 address with prefix, as 10.0.0.1/24"),
    Key("ip6", "ip6", Kind.TEXT, ReloadEffect.INTERFACE, "an IPv6 address with prefix, as fd00::1/64"),
    Key("ip4_gateway", "ip4_gateway", Kind.TEXT, ReloadEffect.INTERFACE, "an IPv4 address"),
    Key("ip6_gateway", "ip6_gateway", Kind.TEXT, ReloadEffect.INTERFACE, "an IPv6 address"),
    Key("ip4_routes", "ip4_routes", Kind.LIST, ReloadEffect.INTERFACE, "IPv4 networks, as 10.1.0.0/16 10.2.0.0/16"),
    Key("ip6_routes", "ip6_routes", Kind.LIST, ReloadEffect.INTERFACE, "IPv6 networks, as fd01::/64 fd02::/64"),
    Key(
        "configure_interface",
        "configure_interface",
        Kind.FLAG,
        ReloadEffect.INTERFACE,
        "0 or 1",
        default="0",
        upstream=False,
    ),
    Key("kill_switch", "kill_switch", Kind.FLAG, ReloadEffect.INTERFACE, "0 or 1", default="0", upstream=False),
    Key(
        "control_unix_path",
        "control_unix_path",
        Kind.PATH,
        ReloadEffect.NOT_APPLIED,
        "a path; a bare name is in /run/mlvpn",
    ),
    Key("control_bind_host", "control_bind_host", Kind.HOST, ReloadEffect.NOT_APPLIED, "a host name or address"),
    Key(
        "control_bind_port",
        "control_bind_port",
        Kind.PORT,
        ReloadEffect.NOT_APPLIED,
        "a port 1..65535 or a service name",
    ),
    Key("pacing", "pacing", Kind.CHOICE, ReloadEffect.AT_ONCE, "auto or off", default="auto", upstream=False),
    Key("peer", "peer", Kind.CHOICE, ReloadEffect.AT_ONCE, "any or mlvpnd", default="any", upstream=False),
    Key("data_plane", "data_plane", Kind.CHOICE, ReloadEffect.NOT_APPLIED, "native or reference", upstream=False),
)
"""The keys of `[general]`."""

LINK_KEYS = (
    Key("bindhost", "bindhost", Kind.HOST, ReloadEffect.LINK_RESTART, "a local host name or address"),
    Key("bindport", "bindport", Kind.PORT, ReloadEffect.LINK_RESTART, "a port 1..65535 or a service name"),
    Key(
        "binddevice",
        "binddevice",
        Kind.DEVICE,
        ReloadEffect.LINK_RESTART,
        "an interface name of 1..15 characters without '/' or white space",
        upstream=False,
    ),
    Key("bindfib", "bindfib", Kind.NUMBER, ReloadEffect.LINK_RESTART, "a number", default="0"),
    Key("remotehost", "remotehost", Kind.HOST, ReloadEffect.LINK_RESTART, "a host name or address"),
    Key("remoteport", "remoteport", Kind.PORT, ReloadEffect.LINK_RESTART, "a port 1..65535 or a service name"),
    Key(
        "bandwidth_upload",
        "bandwidth_upload",
        Kind.RATE,
        ReloadEffect.LINK_IN_PLACE,
        f"bytes per second, 0..{UINT32_MAX}, or as 2.5MB or 20Mbit",
        default="0",
        changed="%s bandwidth changed from %s to %s",
    ),
    Key("timeout", "timeout", Kind.NUMBER, ReloadEffect.LINK_IN_PLACE, **_TIMEOUT),
    Key(
        "loss_tolerence",
        "loss_tolerance",
        Kind.NUMBER,
        ReloadEffect.LINK_IN_PLACE,
        alias="loss_tolerance",
        changed="%s loss tolerence changed from %s%% to %s%%",
        **_LOSS,
    ),
    Key(
        "latency_tolerence",
        "latency_tolerance",
        Kind.NUMBER,
        ReloadEffect.LINK_IN_PLACE,
        alias="latency_tolerance",
        changed="%s latency tolerence changed from %s%% to %s%%",
        **_LATENCY,
    ),
    Key("fallback_only", "fallback_only", Kind.FLAG, ReloadEffect.LINK_IN_PLACE, "0 or 1", default="0"),
    Key(
        "priority",
        "priority",
        Kind.NUMBER,
        ReloadEffect.LINK_IN_PLACE,
        f"0..{MAX_PRIORITY}, lower is used first",
        default="0",
        upstream=False,
        most=MAX_PRIORITY,
    ),
)
"""The keys of links. Timeout and tolerances default to `[general]`'s."""

RETIRED_KEYS = frozenset({"protocol", "loglevel", "bandwidth_download", "reorder_buffer"})
"""Keys of MLVPN 1.x, which 2.x ignores."""


def spellings(keys: tuple[Key, ...]) -> dict[str, Key]:
    """Every accepted spelling with its key."""
    return {name: key for key in keys for name in (key.name, key.alias) if name}
