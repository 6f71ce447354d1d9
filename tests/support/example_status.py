"""Snapshots with the values of upstream's example."""

from __future__ import annotations

from mlvpnd.operator.status import LinkState, LinkStatus, TunnelStatus

START = 1795333267


def link(name: str, state: LinkState = LinkState.CONNECTED, **more: object) -> LinkStatus:
    """A link with the values of upstream's example."""
    values: dict[str, object] = {
        "mode": "server",
        "bindaddr": "127.0.0.1",
        "bindport": "5081",
        "last_packet_at": START + 0.9,
        "timeout": 5,
        "state_since": START + 1.5,
    }
    return LinkStatus(name=name, status=state, **{**values, **more})  # type: ignore[arg-type]


def tunnel(*links: LinkStatus, **more: object) -> TunnelStatus:
    """A tunnel with the values of upstream's example."""
    values: dict[str, object] = {
        "name": "mlvpn",
        "interface": "mlvpn0",
        "kind": "tun",
        "started_at": START + 0.7,
        "reloaded_at": START + 60.2,
        "now": START + 100.9,
        "pid": 4711,
        "mtu": 1428,
    }
    return TunnelStatus(links=links, **{**values, **more})  # type: ignore[arg-type]


HOSTILE = [
    'a"b',
    "back\\slash",
    "new\nline",
    'all\\"\n\\n',
    "{}",
    "tab\t",
    "\x00\x1b[31m",
    "käse",
    '"} 1\ninjected 1\n',
]
"""Names that a rendering must not pass through unchanged."""
