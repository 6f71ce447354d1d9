"""The objects and their properties. Only here does a snapshot become the bus's words, units and paths."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlvpnd import __version__
from mlvpnd.base.levels import LOG_LEVELS as WORDS
from mlvpnd.operator import face, status
from mlvpnd.operator.face import Operator
from mlvpnd.operator.faces import bus_values, put
from mlvpnd.operator.status import LinkStatus, TunnelStatus

from . import names
from .introspection import INTERFACES
from .lib import Variant

SYSLOG_IDENTIFIER = "mlvpnd"
LOG_TARGETS = ("journal", "console")

_NUMBERS = (70, 60, logging.CRITICAL, logging.ERROR, logging.WARNING, 25, logging.INFO, logging.DEBUG)
LOG_LEVELS: Mapping[str, int] = dict(zip(WORDS, _NUMBERS, strict=True))
"""systemd's words, with logging's numbers."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object with its own interface, besides the standard ones. Its values are from one snapshot."""

    path: str
    interface: str
    read: Mapping[str, Callable[[], Any]]
    """By property: a function that returns the value as plain Python."""
    link: str = ""
    """The object's link; empty: it is no link."""

    def values(self, emits: tuple[str, ...] = ("true", "false", "const")) -> dict[str, Any]:
        """The properties with one of the annotations `emits`, as plain values."""
        properties = INTERFACES[self.interface].properties
        return {name: read() for name, read in self.read.items() if properties[name].emits in emits}

    def typed(self, values: Mapping[str, Any]) -> dict[str, Variant]:
        """Some of the object's values in the form for sending."""
        properties = INTERFACES[self.interface].properties
        return {name: Variant(properties[name].type, value) for name, value in values.items()}


class Tree:
    """All objects of one instance."""

    def __init__(self, operator: Operator, instance: str) -> None:
        self._operator = operator
        self._instance = instance
        self.tunnel_path = names.tunnel_path(instance)

    def link_path(self, link: str) -> str:
        """The path where a link is or would be."""
        return names.link_path(self._instance, link)

    def managed(self) -> dict[str, Object]:
        """The tunnel and its links now, in the configuration's order."""
        now = self._operator.snapshot()
        found = [self._tunnel(now), *(self._link(link) for link in now.links)]
        return {one.path: one for one in found}

    def all(self) -> dict[str, Object]:
        """Every object."""
        manager = Object(names.MANAGER_PATH, names.OBJECT_MANAGER_INTERFACE, {})
        log_control = Object(
            names.LOG_CONTROL_PATH,
            names.LOG_CONTROL_INTERFACE,
            {
                "LogLevel": lambda: _log_level_word(face.log_level()),
                "LogTarget": self._operator.log_target,
                "SyslogIdentifier": lambda: SYSLOG_IDENTIFIER,
            },
        )
        return {manager.path: manager, log_control.path: log_control, **self.managed()}

    def describe(self) -> str:
        """Everything as JSON: the properties by their names and units, and values that are not worth a property."""
        now = self._operator.snapshot()
        told: dict[str, Any] = {**self._tunnel(now).values(), **_described(now, names.TUNNEL_INTERFACE)}
        told["Drops"]["tun"] = sum(now.tun_drops.values())
        told["ReorderBuffer"] = {name: read() for name, read in bus_values(now.reorder).items()}
        told["Links"] = [{**self._link(link).values(), **_described(link, names.LINK_INTERFACE)} for link in now.links]
        return json.dumps(told)

    def _tunnel(self, now: TunnelStatus) -> Object:
        read: dict[str, Callable[[], Any]] = {
            **_properties(now, names.TUNNEL_INTERFACE),
            "Name": lambda: self._instance,
            "Version": lambda: __version__,
            "StatusText": lambda: status.marked_links(now),
            "ReorderBufferSize": lambda: now.reorder.size,
            "Links": lambda: [self.link_path(link.name) for link in now.links],
        }
        return Object(self.tunnel_path, names.TUNNEL_INTERFACE, read)

    def _link(self, link: LinkStatus) -> Object:
        read = {**_properties(link, names.LINK_INTERFACE), "Tunnel": lambda: self.tunnel_path}
        return Object(self.link_path(link.name), names.LINK_INTERFACE, read, link.name)


def _properties(snapshot: object, interface: str) -> dict[str, Callable[[], Any]]:
    """The functions of the rows that the interface has as properties."""
    return {name: read for name, read in bus_values(snapshot).items() if name in INTERFACES[interface].properties}


def _described(snapshot: object, interface: str) -> dict[str, Any]:
    """The values of the other rows, which are not worth a property."""
    told: dict[str, Any] = {}
    for name, read in bus_values(snapshot).items():
        if name not in INTERFACES[interface].properties:
            put(told, name, read())
    return told


def _log_level_word(level: int) -> str:
    """The word for a level, or for the next higher level that has one."""
    return next((word for word, number in reversed(LOG_LEVELS.items()) if level <= number), "emerg")
