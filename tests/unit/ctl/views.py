"""Views of tunnels for tests."""

from __future__ import annotations

from mlvpnd.ctl.model import LinkView, TunnelView


def link_view(name: str, **properties: object) -> LinkView:
    """A link that is up."""
    shown: dict[str, object] = {
        "Name": name,
        "State": "up",
        "Weight": 50.0,
        "SmoothedRttUSec": 23_400,
        "LossPercent": 0,
        "TxBytes": 1_288_490_189,
        "RxBytes": 8_589_934_592,
        "RemoteAddress": ["198.51.100.1", 5080],
    }
    return LinkView(name, shown | properties)


def tunnel_view(*links: LinkView, name: str = "mlvpn0", **properties: object) -> TunnelView:
    """A tunnel that is up."""
    shown: dict[str, object] = {
        "Name": name,
        "State": "up",
        "Mode": "client",
        "Interface": "mlvpn0",
        "InterfaceType": "tun",
        "MTU": 1428,
        "StatusText": "@adsl1",
        "StartTimestamp": 1_000_000_000,
    }
    return TunnelView(name, shown | properties, links)
