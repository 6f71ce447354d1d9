"""An operator without a tunnel: a status that tests change, and a record of the requests."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from mlvpnd.errors import MlvpndError
from mlvpnd.operator.face import LinkPropertiesChanged, NoSuchLink, Notice, Reloaded
from mlvpnd.operator.status import LinkState, LinkStatus, ReorderStatus, TunnelStatus


def link_status(name: str, **values: Any) -> LinkStatus:
    """A link that is up, with a value in every field that the bus shows."""
    shown: dict[str, Any] = {
        "status": LinkState.CONNECTED,
        "mode": "client",
        "sent_packets": 11,
        "received_packets": 12,
        "sent_bytes": 13,
        "received_bytes": 14,
        "bandwidth_upload": 125000,
        "has_rtt": True,
        "srtt_ms": 23.5,
        "rttvar_ms": 2.25,
        "loss_percent": 3,
        "retransmitted": 0.0057,
        "spare": True,
        "disconnects": 4,
        "timeout": 30,
        "peer": "198.51.100.1:5080",
        "local": "[2001:db8::2]:5081",
        "share": 0.5,
        "state_since": 1700000001.5,
        "priority": 2,
        "loss_tolerance": 50,
        "latency_tolerance_ms": 100,
        "last_packet_monotonic": 12.25,
        "drops": {"replay": 2},
    }
    return LinkStatus(name, **(shown | values))


def tunnel_status(*links: LinkStatus) -> TunnelStatus:
    """A tunnel of these links, with a value in every field that the bus shows."""
    return TunnelStatus(
        name="mlvpn0",
        interface="tun7",
        kind="tun",
        started_at=1700000000.25,
        reloaded_at=1700000000.5,
        now=1700000100.0,
        pid=4711,
        links=links,
        mtu=1400,
        tier="normal",
        drops={"bad_mac": 5},
        reorder=ReorderStatus(size=64, held=1),
        tun_packets_read=21,
        tun_packets_written=22,
        tun_bytes_read=23,
        tun_bytes_written=24,
        state="up",
        state_since=1700000000.25,
        mode="client",
        config_file="/etc/mlvpn/mlvpn0.conf",
        cleartext_data=True,
        paced=True,
        rules=6,
    )


class FakeOperator:
    """`control_plane.Operator`."""

    def __init__(self, *links: str) -> None:
        self.status = tunnel_status(*(link_status(name) for name in links))
        self.asked: list[tuple[Any, ...]] = []
        self.reload_error: MlvpndError | None = None
        self.warnings: list[str] = []
        self.reload_gate: asyncio.Event | None = None
        """If there is one, a reload waits for it."""
        self.snapshots = 0
        self.snapshot_error: Exception | None = None
        self._listeners: list[Callable[[Notice], None]] = []
        self._target = "journal"

    @property
    def listeners(self) -> int:
        """The number of subscribers."""
        return len(self._listeners)

    def notify(self, notice: Notice) -> None:
        """Tells all subscribers."""
        for listener in list(self._listeners):
            listener(notice)

    def change(self, **values: Any) -> None:
        """Sets other values for fields of the tunnel."""
        self.status = dataclasses.replace(self.status, **values)

    def change_link(self, name: str, **values: Any) -> None:
        """Sets other values for fields of a link; raises NoSuchLink."""
        if name not in [link.name for link in self.status.links]:
            raise NoSuchLink(f"no link {name}")
        links = (dataclasses.replace(link, **values) if link.name == name else link for link in self.status.links)
        self.change(links=tuple(links))

    def snapshot(self) -> TunnelStatus:
        self.snapshots += 1
        if self.snapshot_error is not None:
            raise self.snapshot_error
        return self.status

    def subscribe(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def reload(self) -> Sequence[str]:
        self.asked.append(("reload",))
        if self.reload_gate is not None:
            await self.reload_gate.wait()
        if self.reload_error is not None:
            self.notify(Reloaded(ok=False, message=str(self.reload_error)))
            raise self.reload_error
        self.change(reloaded_at=self.status.reloaded_at + 1)
        self.notify(Reloaded(ok=True))
        return self.warnings

    def reconnect(self, link: str) -> None:
        self.change_link(link)
        self.asked.append(("reconnect", link))

    def set_enabled(self, link: str, *, enabled: bool) -> None:
        self.change_link(link, enabled=enabled)
        self.asked.append(("set_enabled", link, enabled))
        self.notify(LinkPropertiesChanged(link))

    def set_bandwidth_upload(self, link: str, bandwidth: int) -> None:
        self.change_link(link, bandwidth_upload=bandwidth)
        self.asked.append(("set_bandwidth_upload", link, bandwidth))
        self.notify(LinkPropertiesChanged(link))

    def forget(self) -> None:
        self.asked.append(("forget",))

    def log_target(self) -> str:
        return self._target

    def set_log_target(self, target: str) -> None:
        self._target = target
        self.asked.append(("set_log_target", target))
