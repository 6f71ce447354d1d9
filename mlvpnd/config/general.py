"""The `[general]` section: a `Config` without links, filters and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import values
from .model import Config, DataPlane, DeviceKind, Mode, Pacing, Peer
from .problems import shown
from .reader import SectionReader
from .schema import GENERAL_KEYS, MAX_MSS, MIN_MSS, RUNTIME_DIRECTORY

MIN_MTU = 68  # RFC 791 section 3.2
MAX_MTU = 9000
MIN_IPV6_MTU = 1280


def read_general(section: SectionReader, *, require_password: bool) -> tuple[Config, Mode | None]:
    """The section's values, and its mode if it has one. Errors are reported; a wrong key still gets some value."""
    mode = _mode(section)
    password = section.text("password").encode("ascii")
    if require_password and not password:
        section.error("password", "Password is mandatory.")
    given = {key.field: section.value(key) for key in GENERAL_KEYS if key.name not in {*_FIRST, *_OWN}}
    own = {name: read(section) for name, read in _OWN.items()}
    config = Config(mode=mode or Mode.CLIENT, password=password, **given, **own)
    _check_together(section, config)
    return config, mode


def _mode(section: SectionReader) -> Mode | None:
    text = section.text("mode")
    if text == Mode.SERVER.value:
        return Mode.SERVER
    if not text:
        section.error("mode", "Operation mode is mandatory.")
        return None
    if text != Mode.CLIENT.value:
        section.lax_value("mode", "is taken as client")
    return Mode.CLIENT


def _tuntap(section: SectionReader) -> DeviceKind:
    text = section.text("tuntap")
    if text == DeviceKind.TUN.value:
        return DeviceKind.TUN
    if text != DeviceKind.TAP.value:
        section.lax_value("tuntap", "is taken as tap")
    return DeviceKind.TAP


def _statuscommand(section: SectionReader) -> str:
    path = section.plain_text("statuscommand")
    if path and not path.startswith("/"):
        section.lax_value("statuscommand", "is not absolute: it will not be run")
        return ""
    return path


def _mtu(section: SectionReader) -> int | None:
    mtu = section.number("mtu") or None
    if mtu is None or MIN_MTU <= mtu <= MAX_MTU:
        return mtu
    limit = MIN_MTU if mtu < MIN_MTU else MAX_MTU
    section.lax("mtu", f"mtu capped to {limit}")
    return limit


def _mss_clamp(section: SectionReader) -> int | None:
    text = section.text("mss_clamp")
    if text == "auto":
        return None
    if text == "off":
        return 0
    # Strict, without other keys' rules for text after a number: no older file has this key.
    if text.isdecimal() and len(text) <= len(str(MAX_MSS)) and MIN_MSS <= int(text) <= MAX_MSS:
        return int(text)
    section.error("mss_clamp", f"'{shown(text)}' is not a limit for segments")
    return None


def _control_unix_path(section: SectionReader) -> str:
    """Upstream looks the path up in its chroot, `/run/mlvpn` as packaged: there `x` and `/x` are the same file."""
    path = section.plain_text("control_unix_path")
    if not path or path.count("/") > 1:
        return path
    return f"{RUNTIME_DIRECTORY}/{path.removeprefix('/')}"


_FIRST = frozenset({"mode", "password"})
"""Keys that `read_general` reads before all others."""
_OWN: Mapping[str, Callable[[SectionReader], Any]] = {
    "statuscommand": _statuscommand,
    "interface_name": lambda section: section.device("interface_name", pattern=True),
    "tuntap": _tuntap,
    "mtu": _mtu,
    "mss_clamp": _mss_clamp,
    "control_unix_path": _control_unix_path,
    "pacing": lambda section: section.choice("pacing", Pacing),
    "peer": lambda section: section.choice("peer", Peer),
    "data_plane": lambda section: section.optional_choice("data_plane", DataPlane),
}
"""Readers of keys that are not read like others of their kind. A key is named as its field."""


def _check_together(section: SectionReader, config: Config) -> None:
    if config.ip6 and config.mtu is not None and config.mtu < MIN_IPV6_MTU:
        section.advise("mtu", f"ip6 will not work with an MTU of {config.mtu}: IPv6 needs at least {MIN_IPV6_MTU}")
    if bool(config.control_bind_host) is not bool(config.control_bind_port):
        given, missing = "control_bind_host", "control_bind_port"
        if config.control_bind_port:
            given, missing = missing, given
        section.advise(given, f"has no effect without {missing}: set both")
    if config.kill_switch:
        if not config.configure_interface:
            section.advise("kill_switch", "has no effect without configure_interface = 1")
        elif not values.has_default_route(f"{config.ip4_routes} {config.ip6_routes}"):
            text = "has no effect without a default route: 0.0.0.0/0 in ip4_routes, or ::/0 in ip6_routes"
            section.advise("kill_switch", text)
    if not config.configure_interface:
        return
    for name, text, version in (("ip4", config.ip4, 4), ("ip6", config.ip6, 6)):
        if text:
            section.checked(name, values.address_problem(text, version, prefix=True, say=section.sayer(name)))
    for name, text, version in (("ip4_gateway", config.ip4_gateway, 4), ("ip6_gateway", config.ip6_gateway, 6)):
        if text:
            section.checked(name, values.address_problem(text, version, prefix=False, say=section.sayer(name)))
    for name, text, version in (("ip4_routes", config.ip4_routes, 4), ("ip6_routes", config.ip6_routes, 6)):
        section.checked(name, values.routes_problem(text, version, say=section.sayer(name)))
