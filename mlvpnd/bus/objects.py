"""The objects and their properties: the one place where a snapshot becomes the bus's words, units and paths."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlvpnd import __version__, control_plane, status
from mlvpnd.control_plane import Operator
from mlvpnd.status import LinkState, LinkStatus, TunnelStatus

from . import names
from .introspection import INTERFACES
from .lib import Variant

SYSLOG_IDENTIFIER = "mlvpnd"
LOG_TARGETS = ("journal", "console")

LINK_STATES: Mapping[LinkState, str] = {
    LinkState.DISCONNECTED: "down",
    LinkState.WAITING: "waiting",
    LinkState.CONNECTED: "up",
    LinkState.LOSSY: "lossy",
    LinkState.SLOW: "slow",
}

LOG_LEVELS: Mapping[str, int] = {
    "emerg": 70,
    "alert": 60,
    "crit": logging.CRITICAL,
    "err": logging.ERROR,
    "warning": logging.WARNING,
    "notice": 25,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
"""systemd's words, with logging's numbers."""


@dataclass(frozen=True, slots=True)
class Object:
    """One object with its own interface; the standard ones come on top. Its values are of one snapshot."""

    path: str
    interface: str
    read: Mapping[str, Callable[[], Any]]
    """What gives each property's value, as plain Python."""
    link: str = ""
    """The link that it is."""

    def values(self, emits: tuple[str, ...] = ("true", "false", "const")) -> dict[str, Any]:
        """The properties with one of these annotations, as plain values."""
        properties = INTERFACES[self.interface].properties
        return {name: read() for name, read in self.read.items() if properties[name].emits in emits}

    def typed(self, values: Mapping[str, Any]) -> dict[str, Variant]:
        """Some of its values as they are sent."""
        properties = INTERFACES[self.interface].properties
        return {name: Variant(properties[name].type, value) for name, value in values.items()}


class Tree:
    """All objects of one instance."""

    def __init__(self, operator: Operator, instance: str) -> None:
        self._operator = operator
        self._instance = instance
        self.tunnel_path = names.tunnel_path(instance)

    def link_path(self, link: str) -> str:
        """Where a link is, or would be."""
        return names.link_path(self._instance, link)

    def managed(self) -> dict[str, Object]:
        """The tunnel and its links as they are now, in the configuration's order."""
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
                "LogLevel": lambda: _log_level_word(control_plane.log_level()),
                "LogTarget": self._operator.log_target,
                "SyslogIdentifier": lambda: SYSLOG_IDENTIFIER,
            },
        )
        return {manager.path: manager, log_control.path: log_control, **self.managed()}

    def describe(self) -> str:
        """Everything as JSON: the properties by their names and units, and what is not worth one."""
        now = self._operator.snapshot()
        told: dict[str, Any] = self._tunnel(now).values()
        told |= {
            "Tier": now.tier,
            "Drops": {**now.drops, "tun": sum(now.tun_drops.values())},
            "ReorderBuffer": {
                "Held": now.reorder.held,
                "WaitUSec": usec(now.reorder.wait_seconds),
                "Late": now.reorder.late,
                "Timeouts": now.reorder.timeouts,
                "Duplicates": now.reorder.duplicates,
            },
            "Links": [
                self._link(link).values()
                | {
                    "Device": link.device,
                    "Reason": link.reason,
                    "LastError": link.last_error,
                    "MinRttUSec": _msec(link.min_rtt_ms or 0.0, known=link.has_rtt),
                    "Drops": dict(link.drops),
                }
                for link in now.links
            ],
        }
        return json.dumps(told)

    def _tunnel(self, now: TunnelStatus) -> Object:
        read: dict[str, Callable[[], Any]] = {
            "Name": lambda: self._instance,
            "Version": lambda: __version__,
            "ConfigFile": lambda: now.config_file,
            "Mode": lambda: now.mode,
            "State": lambda: now.state,
            "StatusText": lambda: status.marked_links(now),
            "Interface": lambda: now.interface,
            "InterfaceType": lambda: now.kind,
            "MTU": lambda: now.mtu,
            "ReorderBufferSize": lambda: now.reorder.size,
            "CleartextData": lambda: now.cleartext_data,
            "DataPlane": lambda: now.data_plane,
            "Links": lambda: [self.link_path(link.name) for link in now.links],
            "StartTimestamp": lambda: usec(now.started_at),
            "LastReloadTimestamp": lambda: usec(now.reloaded_at),
            "TxBytes": lambda: now.tun_bytes_read,
            "RxBytes": lambda: now.tun_bytes_written,
            "TxPackets": lambda: now.tun_packets_read,
            "RxPackets": lambda: now.tun_packets_written,
        }
        return Object(self.tunnel_path, names.TUNNEL_INTERFACE, read)

    def _link(self, link: LinkStatus) -> Object:
        read: dict[str, Callable[[], Any]] = {
            "Name": lambda: link.name,
            "Tunnel": lambda: self.tunnel_path,
            "State": lambda: LINK_STATES[link.status],
            "StateChangeTimestamp": lambda: usec(link.state_since),
            "Enabled": lambda: link.enabled,
            "BandwidthUpload": lambda: link.bandwidth_upload,
            "FallbackOnly": lambda: link.fallback_only,
            "LossTolerance": lambda: link.loss_tolerance,
            "LatencyTolerance": lambda: link.latency_tolerance_ms,
            "TimeoutUSec": lambda: usec(link.timeout),
            "LocalAddress": lambda: list(status.split_address(link.local)),
            "RemoteAddress": lambda: list(status.split_address(link.peer)),
            "Weight": lambda: round(link.share * 100, 2),
            "LossPercent": lambda: link.loss_percent,
            "RetransmittedPercent": lambda: round(link.retransmitted * 100, 2),
            "Spare": lambda: link.spare,
            "SmoothedRttUSec": lambda: _msec(link.srtt_ms, known=link.has_rtt),
            "RttVarianceUSec": lambda: _msec(link.rttvar_ms, known=link.has_rtt),
            "TxBytes": lambda: link.sent_bytes,
            "RxBytes": lambda: link.received_bytes,
            "TxPackets": lambda: link.sent_packets,
            "RxPackets": lambda: link.received_packets,
            "Disconnects": lambda: link.disconnects,
            "LastPacketTimestampMonotonic": lambda: usec(link.last_packet_monotonic),
        }
        return Object(self.link_path(link.name), names.LINK_INTERFACE, read, link.name)


def usec(seconds: float) -> int:
    """Seconds as the bus has times."""
    return max(0, round(seconds * 1_000_000))


def _msec(milliseconds: float, *, known: bool) -> int:
    return usec(milliseconds / 1000) if known else 0


def _log_level_word(level: int) -> str:
    """The word for a level, or for the next one that lets no more through."""
    return next((word for word, number in reversed(LOG_LEVELS.items()) if level <= number), "emerg")
