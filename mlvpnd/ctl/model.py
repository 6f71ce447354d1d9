"""A tunnel as `mlvpnctl` sees it, whoever told: properties by their names and units on the bus (org.mlvpn1(5)).

Values are plain: str, int, float, bool, lists and mappings of these; an address is `[host, port]`. What the teller does
not know is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlvpnd.bus import names

Properties = Mapping[str, object]
ManagedObjects = Mapping[str, Mapping[str, Properties]]
"""Object path to interface to properties, as ObjectManager tells."""

CARRYING_STATES = ("up", "lossy", "slow")
"""Of links: the peer answers."""
MARKS = {"up": "@", "lossy": "~", "slow": "~"}
"""In the process title; all other states have `!`."""

_STATE_OF_WORD = {
    "disconnected": "down",
    "waiting peer": "waiting",
    "connected": "up",
    "lossy link": "lossy",
    "slow link": "slow",
}
_USEC = 1_000_000


class View:
    """Something with properties; the getters take what is missing or of another type for the zero of theirs.

    It and its kinds are no dataclasses: importing those takes a tenth of the time that a run may.
    """

    def __init__(self, name: str, properties: Properties) -> None:
        self.name = name
        self.properties = properties

    def text(self, key: str) -> str:
        """A string."""
        value = self.properties.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> float:
        """A number."""
        value = self.properties.get(key)
        return value if isinstance(value, int | float) else 0

    def flag(self, key: str) -> bool:
        """A truth value."""
        return self.properties.get(key) is True

    def address(self, key: str) -> str:
        """A `[host, port]` as it is written; empty: unknown."""
        return format_endpoint(self.properties.get(key))


class LinkView(View):
    """One link."""

    @property
    def state(self) -> str:
        """`down`, `waiting`, `up`, `lossy` or `slow`."""
        return self.text("State")

    @property
    def up(self) -> bool:
        """Whether the peer answers on it."""
        return self.state in CARRYING_STATES


class TunnelView(View):
    """One tunnel with its links, in the configuration's order."""

    def __init__(self, name: str, properties: Properties, links: Sequence[LinkView]) -> None:
        super().__init__(name, properties)
        self.links = tuple(links)

    def link(self, name: str) -> LinkView | None:
        """The link of that name."""
        return next((link for link in self.links if link.name == name), None)

    def to_json(self) -> dict[str, object]:
        """All there is; `Links` are the links themselves and not their paths."""
        return {**self.properties, "Links": [dict(link.properties) for link in self.links]}


def from_objects(objects: ManagedObjects) -> TunnelView | None:
    """The tunnel of an instance, by what its ObjectManager tells; None: it tells of none."""
    for interfaces in objects.values():
        tunnel = interfaces.get(names.TUNNEL_INTERFACE)
        if tunnel is None:
            continue
        paths = tunnel.get("Links")
        links = []
        for path in paths if isinstance(paths, list) else ():
            properties = objects.get(path, {}).get(names.LINK_INTERFACE)
            if properties is not None:
                links.append(LinkView(str(properties.get("Name", "")), properties))
        return TunnelView(str(tunnel.get("Name", "")), tunnel, tuple(links))
    return None


def from_description(description: Mapping[str, object]) -> TunnelView:
    """The tunnel by the answer to `Describe`."""
    members = description.get("Links")
    links = [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []
    views = tuple(LinkView(str(link.get("Name", "")), link) for link in links)
    return TunnelView(str(description.get("Name", "")), description, views)


def from_control(status: Mapping[str, object]) -> TunnelView:
    """The tunnel by the answer to `status` of a control socket (`status.to_json`), whose links come newest first."""
    members = status.get("tunnels")
    newest_first = [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []
    links = newest_first[::-1]
    device = _mapping(status.get("tuntap"))
    reorder = _mapping(status.get("reorder"))
    packets = _mapping(status.get("packets"))
    name = str(status.get("tunnel", ""))
    state = status.get("state")
    views = [_link_from_control(link, name) for link in links]
    properties: dict[str, object] = {
        "Name": name,
        "Version": status.get("mlvpnd_version"),
        "ConfigFile": status.get("config_file"),
        "Mode": status.get("mode"),
        "State": state if isinstance(state, str) else "down",
        "StatusText": " ".join(MARKS.get(link.state, "!") + link.name for link in reversed(views)),
        "Interface": device.get("name"),
        "InterfaceType": device.get("type"),
        "MTU": device.get("mtu"),
        "ReorderBufferSize": reorder.get("size"),
        "Links": [names.link_path(name, link.name) for link in views],
        "CleartextData": status.get("cleartext_data"),
        "DataPlane": status.get("data_plane"),
        "StartTimestamp": _usec(status.get("start_time")),
        "LastReloadTimestamp": _usec(status.get("last_reload")),
        "TxBytes": packets.get("tun_read_bytes"),
        "RxBytes": packets.get("tun_written_bytes"),
        "TxPackets": packets.get("tun_read"),
        "RxPackets": packets.get("tun_written"),
        "Tier": status.get("tier"),
        "Drops": {**_mapping(status.get("drops")), "tun": packets.get("tun_dropped")},
        "ReorderBuffer": {
            "Held": reorder.get("held"),
            "WaitUSec": _usec(reorder.get("wait_ms"), 1000),
            "Late": reorder.get("late"),
            "Timeouts": reorder.get("timeouts"),
            "Duplicates": reorder.get("duplicates"),
        },
    }
    return TunnelView(name, _known(properties), views)


def _link_from_control(link: Mapping[str, object], tunnel: str) -> LinkView:
    share, retransmitted = link.get("share"), link.get("retransmitted")
    properties = {
        "Name": link.get("name"),
        "Tunnel": names.tunnel_path(tunnel),
        "State": _STATE_OF_WORD.get(str(link.get("status")), "down"),
        "StateChangeTimestamp": _usec(link.get("state_since")),
        "Enabled": link.get("enabled"),
        "BandwidthUpload": link.get("bandwidth"),
        "FallbackOnly": link.get("fallback_only"),
        "LossTolerance": link.get("loss_tolerance"),
        "LatencyTolerance": link.get("latency_tolerance"),
        "TimeoutUSec": _usec(link.get("timeout")),
        "LocalAddress": _endpoint(link.get("local")),
        "RemoteAddress": _endpoint(link.get("peer")),
        "Weight": share * 100 if isinstance(share, int | float) else None,
        "LossPercent": link.get("loss"),
        "RetransmittedPercent": round(retransmitted * 100, 2) if isinstance(retransmitted, int | float) else None,
        "Spare": link.get("spare"),
        "SmoothedRttUSec": _usec(link.get("srtt_ms") or 0, 1000),  # null: no sample yet, which the bus has as 0
        "RttVarianceUSec": _usec(link.get("rttvar_ms") or 0, 1000),
        "TxBytes": link.get("sentbytes"),
        "RxBytes": link.get("recvbytes"),
        "TxPackets": link.get("sentpackets"),
        "RxPackets": link.get("recvpackets"),
        "Disconnects": link.get("disconnects"),
        "LastPacketTimestampMonotonic": _usec(link.get("last_packet_monotonic")),
        "Device": link.get("device"),
        "Reason": link.get("reason"),
        "LastError": link.get("last_error"),
        "MinRttUSec": _usec(link.get("min_rtt_ms") or 0, 1000),
        "Drops": link.get("drops"),
    }
    return LinkView(str(link.get("name", "")), _known(properties))


def format_endpoint(value: object) -> str:
    """`198.51.100.1:5080` or `[2001:db8::1]:5080` for `[host, port]`; empty where there is no host."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2 or not value[0]:
        return ""
    host, port = value
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _endpoint(text: object) -> list[object]:
    """The other way."""
    from mlvpnd.status import split_address  # takes long, and is not needed where there is a bus

    try:
        return list(split_address(str(text or "")))
    except ValueError:
        return ["", 0]


def _usec(value: object, unit: int = _USEC) -> int | None:
    return round(value * unit) if isinstance(value, int | float) else None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _known(properties: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in properties.items() if value is not None}
