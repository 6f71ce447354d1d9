"""The kernel's interfaces, addresses, routes, rules and neighbours, by netlink; no program's output is parsed."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

TABLE_MAIN = 254
_TABLE_LOCAL = 255
_IFF_UP = 1
_IFF_POINTOPOINT = 0x10
_IFF_LOWER_UP = 0x10000
_RTAX_MTU = "RTAX_MTU"
_RTM_F_FIB_MATCH = 0x2000  # linux/rtnetlink.h: answer with the table's entry, and fail if there is none
_RTN_UNICAST = 1
_NUD_DEAD = 0x01 | 0x20  # incomplete, failed
_SYSCTL = Path("/proc/sys/net/ipv4/conf")


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface."""

    index: int
    name: str
    up: bool
    """Whether the operator has switched it on."""
    carrier: bool
    """Whether there is something at the cable's other end."""
    mtu: int
    point_to_point: bool = False
    """True: it needs no gateway, as with PPP."""
    loopback: bool = False
    bridge: int = 0
    """The index of the bridge whose port it is; 0: none."""
    alternatives: tuple[str, ...] = ()
    """Its other names, as udev gives them."""


@dataclass(frozen=True, slots=True)
class Route:
    """The way that the kernel would send a packet."""

    interface: int
    gateway: IPAddress | None = None
    mtu: int = 0
    """Bytes. The path's known limit; 0: the interface's."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a routing table that sends packets somewhere."""

    network: IPNetwork
    table: int
    interface: int
    """The interface's index; 0: there are several."""
    gateway: IPAddress | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of policy routing that looks at the source address only."""

    source: IPNetwork
    table: int


class Network(Protocol):
    """The facts that the checks ask for."""

    def interfaces(self) -> list[Interface]:
        """All interfaces."""

    def addresses(self) -> Sequence[tuple[Interface, IPInterface]]:
        """All addresses with their prefixes."""

    def owner(self, address: IPAddress) -> Interface | None:
        """The interface that has the address; None: there is none."""

    def route(self, remote: IPAddress, local: IPAddress | None, interface: Interface | None) -> Route | None:
        """The route of a packet to `remote` from `local`, by a socket bound to `interface`; None: there is none."""

    def entries(self, version: int) -> Sequence[Entry]:
        """The entries of all tables, without those that refuse packets."""

    def gateway(self, interface: Interface, version: int) -> IPAddress | None:
        """The router behind an interface, from the default routes of all tables."""

    def own_table(self, interface: Interface, version: int) -> int | None:
        """A table other than the main one, whose default route leaves by the interface."""

    def rules(self, version: int) -> list[Rule]:
        """The rules by source, in the order of their priority."""

    def device_table(self, interface: Interface, version: int) -> int | None:
        """The table that a rule gives to sockets that are bound to the interface."""

    def tables(self) -> set[int]:
        """Routing tables with a route or a rule."""

    def dead_neighbour(self, interface: int, address: IPAddress) -> bool:
        """Whether the neighbour was lately asked for and did not answer."""

    def strict_source_check(self, interface: Interface) -> bool:
        """Whether the interface's rp_filter is strict (IPv4)."""


class KernelNetwork:
    """This network namespace's facts, as a `Network`. A context manager."""

    def __init__(self) -> None:
        from pyroute2 import IPRoute  # type: ignore[import-untyped]  # ships no types; takes 0.3 s

        self._netlink = IPRoute()
        self._interfaces = [_interface(link) for link in self._netlink.get_links()]
        by_index = {one.index: one for one in self._interfaces}
        self._addresses: list[tuple[Interface, IPInterface]] = []
        for address in self._netlink.get_addr():
            text = address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
            if address["index"] in by_index and text:
                self._addresses.append((by_index[address["index"]], ip_interface(f"{text}/{address['prefixlen']}")))
        self._tables: set[int] = set()
        self._entries = {version: [*self._read_entries(version)] for version in (4, 6)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._netlink.close()

    def interfaces(self) -> list[Interface]:
        """See `Network`."""
        return self._interfaces

    def addresses(self) -> Sequence[tuple[Interface, IPInterface]]:
        """See `Network`."""
        return self._addresses

    def owner(self, address: IPAddress) -> Interface | None:
        """See `Network`."""
        return next((owner for owner, one in self._addresses if one.ip == address), None)

    def route(self, remote: IPAddress, local: IPAddress | None, interface: Interface | None) -> Route | None:
        """See `Network`."""
        from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # ships no types

        what: dict[str, object] = {"family": _family(remote.version), "dst": str(remote)}
        if local is not None:
            what["src"] = str(local)
        if interface is not None:
            what["oif"] = interface.index
        try:
            answers = list(self._netlink.route("get", **what))
            if interface is not None and not interface.point_to_point:
                # To a bound socket without a route the kernel says "on-link". Only a device without a router is so.
                list(self._netlink.route("get", **what, flags=_RTM_F_FIB_MATCH))
        except NetlinkError:
            return None
        return next((_route(answer) for answer in answers if answer.get_attr("RTA_OIF")), None)

    def entries(self, version: int) -> Sequence[Entry]:
        """See `Network`."""
        return self._entries[version]

    def gateway(self, interface: Interface, version: int) -> IPAddress | None:
        """See `Network`."""
        return next((one.gateway for one in self._defaults(interface, version) if one.gateway is not None), None)

    def own_table(self, interface: Interface, version: int) -> int | None:
        """See `Network`."""
        tables = (one.table for one in self._defaults(interface, version))
        return next((table for table in tables if table not in (TABLE_MAIN, _TABLE_LOCAL)), None)

    def device_table(self, interface: Interface, version: int) -> int | None:
        """See `Network`."""
        for message in self._rules(version):
            if message.get_attr("FRA_OIFNAME") == interface.name and not message.get_attr("FRA_SRC"):
                table = message.get_attr("FRA_TABLE")
                return int(table) if table else None
        return None

    def rules(self, version: int) -> list[Rule]:
        """See `Network`."""
        return [rule for message in self._rules(version) if (rule := _rule(message)) is not None]

    def tables(self) -> set[int]:
        """See `Network`."""
        of_rules = {rule.get_attr("FRA_TABLE") for version in (4, 6) for rule in self._rules(version)}
        return {table for table in self._tables | of_rules if table}

    def dead_neighbour(self, interface: int, address: IPAddress) -> bool:
        """See `Network`."""
        for entry in self._netlink.get_neighbours(family=_family(address.version), ifindex=interface):
            if entry.get_attr("NDA_DST") == str(address):
                return bool(entry["state"] & _NUD_DEAD)
        return False

    def strict_source_check(self, interface: Interface) -> bool:
        """See `Network`."""
        # The kernel uses the greater of the two; 1 is strict, 2 is loose.
        return max(map(_sysctl, ("all", interface.name))) == 1

    def _defaults(self, interface: Interface, version: int) -> Iterator[Entry]:
        """The default routes by an interface, in all tables."""
        for one in self._entries[version]:
            if one.network.prefixlen == 0 and one.interface == interface.index:
                yield one

    def _read_entries(self, version: int) -> Iterator[Entry]:
        anywhere = "0.0.0.0" if version == 4 else "::"  # noqa: S104 - a route's destination
        for route in self._netlink.get_routes(family=_family(version)):
            table = int(route.get_attr("RTA_TABLE") or route["table"])
            self._tables.add(table)
            if route["type"] == _RTN_UNICAST:
                gateway = route.get_attr("RTA_GATEWAY")
                yield Entry(
                    ip_network(f"{route.get_attr('RTA_DST') or anywhere}/{route['dst_len']}"),
                    table,
                    route.get_attr("RTA_OIF") or 0,
                    ip_address(gateway) if gateway else None,
                    route.get_attr("RTA_PRIORITY") or 0,
                )

    def _rules(self, version: int) -> Iterator[Any]:
        messages = self._netlink.get_rules(family=_family(version))
        return iter(sorted(messages, key=lambda message: message.get_attr("FRA_PRIORITY") or 0))


def _family(version: int) -> int:
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def widest_beside(port: Interface, interfaces: Sequence[Interface]) -> Interface | None:
    """The port with the largest MTU among the other ports of an interface's bridge; None: there is no other."""
    others = [one for one in interfaces if port.bridge and one.bridge == port.bridge and one.index != port.index]
    return max(others, key=lambda one: one.mtu) if others else None


def _interface(link: Any) -> Interface:
    is_port = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_KIND") == "bridge"
    properties = link.get_attr("IFLA_PROP_LIST")
    return Interface(
        index=link["index"],
        name=link.get_attr("IFLA_IFNAME"),
        up=bool(link["flags"] & _IFF_UP),
        carrier=bool(link["flags"] & _IFF_LOWER_UP),
        mtu=link.get_attr("IFLA_MTU"),
        point_to_point=bool(link["flags"] & _IFF_POINTOPOINT),
        loopback=bool(link["flags"] & 8),
        bridge=(link.get_attr("IFLA_MASTER") or 0) if is_port else 0,
        alternatives=tuple(properties.get_attrs("IFLA_ALT_IFNAME")) if properties is not None else (),
    )


def _route(answer: Any) -> Route:
    gateway = answer.get_attr("RTA_GATEWAY")
    metrics = answer.get_attr("RTA_METRICS")
    mtu = metrics.get_attr(_RTAX_MTU) if metrics is not None else None
    return Route(answer.get_attr("RTA_OIF"), ip_address(gateway) if gateway else None, mtu or 0)


def _rule(message: Any) -> Rule | None:
    source, table = message.get_attr("FRA_SRC"), message.get_attr("FRA_TABLE")
    only_source = not any(message.get_attr(name) for name in ("FRA_DST", "FRA_FWMARK", "FRA_IIFNAME", "FRA_OIFNAME"))
    if not source or not table or not only_source:
        return None
    return Rule(ip_network(f"{source}/{message['src_len']}"), table)


def _sysctl(name: str) -> int:
    try:
        return int((_SYSCTL / name / "rp_filter").read_text())
    except (OSError, ValueError):
        return 0
