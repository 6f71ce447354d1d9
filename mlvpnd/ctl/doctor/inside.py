"""Whether what should go through a tunnel does: its routes, IPv6, DNS; and whether its addresses are its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_interface, ip_network

from mlvpnd.config import Config, LinkConfig, Mode
from mlvpnd.ctl.model import TunnelView

from .finding import UNTIL_REBOOT, Finding, listed, problem, warning
from .network import TABLE_MAIN, Entry, Interface, IPAddress, IPNetwork, Network
from .routing import Uplink
from .system import System

_SOMEWHERE = {4: ip_address("192.88.99.1"), 6: ip_address("2000::1")}
"""Addresses of the internet for look-ups of routes. Nothing is sent to them."""
_INTERNET6 = "2000::/3"
_HALVES = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
"""Together all addresses, and each preferred to a default route."""


class InsideDoctor:
    """Checks one running tunnel against the kernel's tables."""

    def __init__(self, config: Config, network: Network, system: System, tunnel: TunnelView) -> None:
        self._config = config
        self._network = network
        self._system = system
        self._tunnel = tunnel
        wanted = tunnel.text("Interface") or config.interface_name
        self._device = next((one for one in network.interfaces() if one.name == wanted), None)

    def check(self, uplinks: Sequence[Uplink]) -> Iterator[Finding]:
        """All checks; `uplinks` are the ways of the links."""
        if self._device is None:
            return  # another check says so
        yield from self._addresses(self._device)
        if not self._device.up or not any(link.up for link in self._tunnel.links):
            return
        if self._config.configure_interface:
            yield from self._routes(self._device, uplinks)
        if self._config.mode is Mode.CLIENT and self._leaves(4) == self._device:
            yield from self._ipv6(self._device, uplinks)
            yield from self._dns(self._device)

    def _addresses(self, device: Interface) -> Iterator[Finding]:
        """A network that the host has elsewhere cannot be reached through the tunnel, or not there."""
        for text in (self._config.ip4, self._config.ip6):
            try:
                inner = ip_interface(text)
            except ValueError:
                continue
            for other, address in self._network.addresses():
                if other.index == device.index or other.loopback or not address.network.overlaps(inner.network):
                    continue
                yield problem(
                    "inner-address",
                    f"the tunnel's network {inner.network} overlaps with {address.network} of {other.name}: packets go"
                    f" to only one of them. Give the tunnel other addresses at both ends ('ip{inner.version}')",
                )
                break

    def _routes(self, device: Interface, uplinks: Sequence[Uplink]) -> Iterator[Finding]:
        for text in (*self._config.ip4_routes.split(), *self._config.ip6_routes.split()):
            try:
                network = ip_network(text)
            except ValueError:
                continue
            first = network[min(1, network.num_addresses - 1)]
            probe = first if network.prefixlen else _SOMEWHERE[network.version]
            if self._preferred(network, device) or self._goes_by(probe) == device:
                continue
            yield self._lost(network, device, uplinks)

    def _preferred(self, network: IPNetwork, device: Interface) -> bool:
        """Whether the tunnel's route to a network is the one that counts. A part of it may be nearer, as a LAN is."""
        metrics: dict[bool, list[int]] = {True: [], False: []}
        for one in self._network.entries(network.version):
            if one.network == network and one.table == TABLE_MAIN:
                metrics[one.interface == device.index].append(one.metric)
        return bool(metrics[True]) and min(metrics[True]) <= min(metrics[False], default=min(metrics[True]))

    def _lost(self, network: IPNetwork, device: Interface, uplinks: Sequence[Uplink]) -> Finding:
        """A route of the file that the kernel does not use."""
        entries = [
            one
            for one in self._network.entries(network.version)
            if one.network == network and one.table == TABLE_MAIN and one.interface != device.index
        ]
        there = any(
            one.network == network and one.interface == device.index for one in self._network.entries(network.version)
        )
        what = "default route" if network.prefixlen == 0 else f"route to {network}"
        instead = f": {self._written(entries[0])} is there" if entries else ""
        how = "is not used" if there else "was not taken by the kernel" if entries else "is missing"
        text = f"the {what} through {device.name} {how}{instead}"
        ip = "ip -6" if network.version == 6 else "ip"
        if network.prefixlen:
            return problem("inner-route", text, f"{ip} route replace {network} dev {device.name}").noted(UNTIL_REBOOT)
        halves = _HALVES[network.version]
        key = f"ip{network.version}_routes = {' '.join(halves)}"
        return problem(
            "inner-route",
            f"{text}. Put '{key}' into [general]",
            *self._ways_to_peers(ip, network.version, uplinks),
            *(f"{ip} route add {half} dev {device.name}" for half in halves),
        ).noted(f"{UNTIL_REBOOT} The line of the file lasts.")

    def _ways_to_peers(self, ip: str, version: int, uplinks: Sequence[Uplink]) -> Iterator[str]:
        """Commands that keep the links' own packets out of the tunnel, for links that rely on the default route."""
        said = set()
        for uplink in uplinks:
            local, remote, route = uplink.ends.local, uplink.ends.remote, uplink.route
            if not uplink.good or route is None or uplink.interface is None or uplink.ends.link.binddevice:
                continue
            has_rule = local is not None and any(local in rule.source for rule in self._network.rules(version))
            if remote is None or remote.version != version or has_rule or remote in said:
                continue
            said.add(remote)
            via = f"via {route.gateway} " if route.gateway is not None else ""
            yield f"{ip} route replace {remote} {via}dev {uplink.interface.name}"

    def _written(self, entry: Entry) -> str:
        name = next((one.name for one in self._network.interfaces() if one.index == entry.interface), "several lines")
        via = f" via {entry.gateway}" if entry.gateway is not None else ""
        return f"one by {name}{via} with metric {entry.metric}"

    def _ipv6(self, device: Interface, uplinks: Sequence[Uplink]) -> Iterator[Finding]:
        leaves = self._leaves(6)
        if leaves is None or leaves.loopback or leaves == device:
            return
        # Without IPv6, links over IPv6 would go too.
        over_ipv6 = any(uplink.ends.remote is not None and uplink.ends.remote.version == 6 for uplink in uplinks)
        commands = () if over_ipv6 else (f"ip -6 route add unreachable {_INTERNET6} metric 1",)
        yield warning(
            "ipv6-leak",
            f"IPv4 goes through {device.name}, but IPv6 goes round it by {leaves.name}. Give the tunnel IPv6"
            " ('ip6', 'ip6_routes = ::/0'), or let this host send none",
            *commands,
        ).noted(f"{UNTIL_REBOOT} Programs then use IPv4." if commands else "")

    def _dns(self, device: Interface) -> Iterator[Finding]:
        servers = [one for one in self._system.nameservers() if not one.is_loopback]
        ways = {server: self._goes_by(server) for server in servers}
        outside = [(server, way) for server, way in ways.items() if way is not None and way != device]
        if outside:
            server, way = outside[0]
            yield warning(
                "dns",
                f"the name server {server} is asked by {way.name} and not through {device.name}: the line's provider"
                " sees which names are looked up. Put one behind the tunnel into /etc/resolv.conf",
            )
        named = [link for link in self._config.links if _is_name(link.remotehost)]
        names = [link for link in named if not self._system.in_hosts(link.remotehost)]
        if servers and not outside and all(ways.values()) and names:
            yield self._only_inside(names)

    def _only_inside(self, links: Sequence[LinkConfig]) -> Finding:
        """Once the tunnel is down, nobody answers who the peer is."""
        host = links[0].remotehost
        view = self._tunnel.link(links[0].name)
        live = view.properties.get("RemoteAddress") if view is not None else None
        commands = [f"echo '{live[0]} {host}' >>/etc/hosts"] if isinstance(live, list) and live and live[0] else []
        names = listed([link.name for link in links])
        return warning(
            "dns-loop",
            f"{names}: {host} can be looked up only through the tunnel itself: after a restart it will not come up",
            *commands,
        ).noted("The line must be changed when the peer's address changes." if commands else "")

    def _leaves(self, version: int) -> Interface | None:
        return self._goes_by(_SOMEWHERE[version])

    def _goes_by(self, address: IPAddress) -> Interface | None:
        """The interface by which this host's own packets to an address leave."""
        route = self._network.route(address, None, None)
        if route is None:
            return None
        return next((one for one in self._network.interfaces() if one.index == route.interface), None)


def _is_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return bool(host)
    return False
