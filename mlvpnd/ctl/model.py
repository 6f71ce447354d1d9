"""A tunnel for `mlvpnctl`, whatever the source: properties by their names and units on the bus (org.mlvpn1(5)).

Values are plain: str, int, float, bool, lists and mappings of these; an address is `[host, port]`. Properties that the
source does not know are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlvpnd.bus import names

Properties = Mapping[str, object]
ManagedObjects = Mapping[str, Mapping[str, Properties]]
"""Object path to interface to properties, as from ObjectManager."""

CARRYING_STATES = ("up", "lossy", "slow")
"""States of links whose peer answers."""
MARKS = {"up": "@", "lossy": "~", "slow": "~"}
"""The marks of states in the process title; all other states have `!`."""


class View:
    """Something with properties. A getter returns its type's zero if the value is missing or of another type.

    It and its subclasses are no dataclasses: importing those takes a tenth of the time that a run may take.
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

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        value = self.properties.get(key)
        return [str(one) for one in value] if isinstance(value, list) else []

    def flag(self, key: str) -> bool:
        """A truth value."""
        return self.properties.get(key) is True

    def address(self, key: str) -> str:
        """A `[host, port]` in written form; empty: unknown."""
        return format_endpoint(self.properties.get(key))


class LinkView(View):
    """One link."""

    @property
    def state(self) -> str:
        """`down`, `waiting`, `up`, `lossy`, `slow` or `disabled`."""
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
        """Everything; `Links` are the links themselves, not their paths."""
        return {**self.properties, "Links": [dict(link.properties) for link in self.links]}


def from_objects(objects: ManagedObjects) -> TunnelView | None:
    """The tunnel of an instance, from its ObjectManager; None: it has none."""
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
    """The tunnel from the answer to `Describe`."""
    members = description.get("Links")
    links = [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []
    views = tuple(LinkView(str(link.get("Name", "")), link) for link in links)
    return TunnelView(str(description.get("Name", "")), description, views)


def from_control(status: Mapping[str, object]) -> TunnelView:
    """The tunnel from a control socket's answer to `status` (`status.to_json`), which has the newest link first."""
    # The imports take long, and with a bus they are not needed.
    from mlvpnd.operator.faces import from_json
    from mlvpnd.operator.status import LinkStatus, ReorderStatus, TunnelStatus

    members = status.get("tunnels")
    newest_first = [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []
    name = str(status.get("tunnel", ""))
    tunnel_path = names.tunnel_path(name)
    views = [
        LinkView(str(link.get("name", "")), {"State": "down", **from_json(LinkStatus, link), "Tunnel": tunnel_path})
        for link in reversed(newest_first)
    ]
    reorder, packets = _mapping(status.get("reorder")), _mapping(status.get("packets"))
    told = from_json(TunnelStatus, status)
    state = told.get("State")
    properties = {
        **told,
        "Version": status.get("mlvpnd_version"),
        "State": state if isinstance(state, str) else "down",
        "StatusText": " ".join(MARKS.get(link.state, "!") + link.name for link in reversed(views)),
        "ReorderBufferSize": reorder.get("size"),
        "Links": [names.link_path(name, link.name) for link in views],
        "Drops": {**_mapping(told.get("Drops")), "tun": packets.get("tun_dropped")},
        "ReorderBuffer": from_json(ReorderStatus, reorder),
    }
    return TunnelView(name, _known(properties), views)


def format_endpoint(value: object) -> str:
    """`198.51.100.1:5080` or `[2001:db8::1]:5080` for `[host, port]`; empty without a host."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2 or not value[0]:
        return ""
    host, port = value
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _known(properties: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in properties.items() if value is not None}
