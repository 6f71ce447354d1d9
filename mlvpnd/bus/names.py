"""Names and paths on the bus."""

from __future__ import annotations

import re

SHARED_NAME = "org.mlvpn1"
"""One tunnel owns the name, all others wait in its queue. So the bus policy, which names it, reaches all tunnels."""
TUNNEL_NAME_PREFIX = "org.mlvpn1.Tunnel."
"""Start of each tunnel's own name."""
MANAGER_PATH = "/org/mlvpn1"
TUNNEL_PATH_PREFIX = "/org/mlvpn1/tunnel/"
LOG_CONTROL_PATH = "/org/freedesktop/LogControl1"

TUNNEL_INTERFACE = "org.mlvpn1.Tunnel"
LINK_INTERFACE = "org.mlvpn1.Link"
LOG_CONTROL_INTERFACE = "org.freedesktop.LogControl1"
OBJECT_MANAGER_INTERFACE = "org.freedesktop.DBus.ObjectManager"
PROPERTIES_INTERFACE = "org.freedesktop.DBus.Properties"
INTROSPECTABLE_INTERFACE = "org.freedesktop.DBus.Introspectable"
PEER_INTERFACE = "org.freedesktop.DBus.Peer"
STANDARD_INTERFACES = (INTROSPECTABLE_INTERFACE, PEER_INTERFACE, PROPERTIES_INTERFACE)
"""Interfaces of every node."""

BUS_NAME = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
POLKIT_NAME = "org.freedesktop.PolicyKit1"
POLKIT_PATH = "/org/freedesktop/PolicyKit1/Authority"
POLKIT_INTERFACE = "org.freedesktop.PolicyKit1.Authority"

_PLAIN_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"


def escape(text: str) -> str:
    """`text` as an element of a path, as by sd_bus_path_encode(3)."""
    if not text:
        return "_"
    first = True
    escaped = ""
    for byte in text.encode(errors="surrogateescape"):
        plain = byte in _LETTERS or (byte in _DIGITS and not first)
        escaped += chr(byte) if plain else f"_{byte:02x}"
        first = False
    return escaped


def tunnel_name(instance: str) -> str:
    """The name that only this instance owns."""
    return TUNNEL_NAME_PREFIX + (instance if _PLAIN_LABEL.fullmatch(instance) else escape(instance))


def tunnel_path(instance: str) -> str:
    """The path of an instance's tunnel."""
    return TUNNEL_PATH_PREFIX + escape(instance)


def link_path(instance: str, link: str) -> str:
    """A link's path. Its last element is escaped; clients read the link's `Name`."""
    return f"{tunnel_path(instance)}/link/{escape(link)}"
