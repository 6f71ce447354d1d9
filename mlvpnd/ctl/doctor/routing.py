"""Whether each link leaves by its own uplink: address, interface, route from the source, rp_filter, outer MTU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlvpnd.config import Config, DeviceKind, Mode
from mlvpnd.config.model import ETHERNET_HEADER_SIZE, UNSET_MTU_IPV4, UNSET_MTU_IPV6

from .ends import Ends, is_ipv6
from .finding import Finding, Severity, ok, problem, warning
from .network import Interface, IPAddress, Network, Route, widest_beside

_BOX_OVERHEAD = {False: 1500 - UNSET_MTU_IPV4, True: 1500 - UNSET_MTU_IPV6}
"""Bytes of IP, UDP, header and MAC around an inner packet, by whether the outer packet is IPv6."""
_FIRST_OWN_TABLE = 101


@dataclass(frozen=True, slots=True)
class Uplink:
    """The way of a link's packets, as far as it is known."""

    ends: Ends
    interface: Interface | None = None
    """The interface that they should leave by."""
    route: Route | None = None
    """The route that the kernel takes."""
    good: bool = False
    """Whether the route leaves by the right interface."""


class RoutingDoctor:
    """Checks the links of one configuration against the kernel's tables."""

    def __init__(self, config: Config, network: Network) -> None:
        self._config = config
        self._network = network
        self._by_name = {name: one for one in network.interfaces() for name in (one.name, *one.alternatives)}
        self._by_index = {one.index: one for one in network.interfaces()}
        self._tables = set(network.tables())
        self.uplinks: list[Uplink] = []
        """The uplinks of the links that `check` has examined."""

    def check(self, ends: Ends) -> Iterator[Finding]:
        """Checks one link, and adds its way to `uplinks`."""
        name = ends.link.name
        for text in ends.problems:
            yield problem("look-up", f"{name}: {text}", link=name)
        findings, interface = self._interface(ends)
        yield from findings
        if any(finding.severity is Severity.PROBLEM for finding in findings):
            self.uplinks.append(Uplink(ends))
            return
        yield from self._route(ends, interface)

    def _interface(self, ends: Ends) -> tuple[list[Finding], Interface | None]:
        """What is wrong with the link's own interface, and the interface; None: any, or it has a loopback address."""
        link, name = ends.link, ends.link.name
        device = self._by_name.get(link.binddevice)
        if link.binddevice and device is None:
            text = f"{name}: there is no interface {link.binddevice} (binddevice)"
            return [problem("interface", text, "ip link", link=name)], None
        findings = []
        if ends.local is not None:
            owner = self._network.owner(ends.local)
            if owner is None:
                prefix = 64 if is_ipv6(ends.local) else 24
                text = f"{name}: no interface of this host has its bindhost {ends.local}"
                add = f"ip addr add {ends.local}/{prefix} dev {link.binddevice or 'INTERFACE'}"
                return [problem("address", text, "ip addr", add, link=name)], None
            if device is not None and owner.index != device.index and not owner.loopback:
                text = f"{name}: its bindhost {ends.local} is on {owner.name} and not on its binddevice {device.name}"
                findings.append(warning("address", text, "ip addr", link=name))
            device = device or owner
        if device is None or device.loopback:
            return findings, None
        if not device.up:
            text = f"{name}: its interface {device.name} is switched off"
            findings.append(problem("interface", text, f"ip link set {device.name} up", link=name))
        elif not device.carrier:
            text = f"{name}: its interface {device.name} has no carrier: is the cable or the modem unplugged?"
            findings.append(problem("interface", text, f"ip link show {device.name}", link=name))
        return findings, device

    def _route(self, ends: Ends, interface: Interface | None) -> Iterator[Finding]:
        name, remote = ends.link.name, ends.remote
        if remote is None:
            self.uplinks.append(Uplink(ends, interface))
            return
        bound = interface if ends.link.binddevice else None
        route = self._network.route(remote, ends.local, bound)
        leaves = self._by_index.get(route.interface) if route is not None else None
        if route is None or leaves is None:
            text = f"{name}: there is no route to the peer {remote}" + _from(ends)
            yield problem("route", text, *self._own_table(ends, interface), link=name)
        elif leaves.name == self._config.interface_name:
            text = f"{name}: the way to the peer {remote} leads into the tunnel's own interface {leaves.name}"
            yield problem("route", text, *self._way_out(ends, interface), link=name)
        elif interface is not None and leaves.index != interface.index:
            text = (
                f"{name}: packets to the peer {remote}{_from(ends)} leave by {leaves.name} and not by {interface.name}:"
                " they need a routing table of their own"
            )
            yield problem("route", text, *self._own_table(ends, interface), link=name)
        else:
            self.uplinks.append(Uplink(ends, leaves, route, good=True))
            via = f" via {route.gateway}" if route.gateway else ""
            yield ok("route", f"{name}: packets to {remote}{_from(ends)} leave by {leaves.name}{via}", link=name)
            yield from self._source_check(ends, leaves)
            yield from self._mtu(ends, leaves, route)
            return
        self.uplinks.append(Uplink(ends, interface, route))

    def _source_check(self, ends: Ends, interface: Interface) -> Iterator[Finding]:
        """A strict rp_filter drops what comes by an interface that answers would not take, even for bound sockets."""
        name, remote = ends.link.name, ends.remote
        if remote is None or is_ipv6(remote) or not self._network.strict_source_check(interface):
            return
        back = self._network.route(remote, ends.local, None)
        if back is None or back.interface != interface.index:
            yield problem(
                "rp-filter",
                f"{name}: the kernel drops packets of the peer on {interface.name}: rp_filter is strict there, and the"
                " route back does not leave by this interface",
                f"sysctl -w net.ipv4.conf.{interface.name}.rp_filter=2",
                f"echo net.ipv4.conf.{interface.name}.rp_filter=2 >/etc/sysctl.d/90-mlvpn.conf",
                link=name,
            )

    def _mtu(self, ends: Ends, interface: Interface, route: Route) -> Iterator[Finding]:
        needs, largest = self.overhead(ends), min(route.mtu or interface.mtu, interface.mtu)
        mtu = self.tunnel_mtu
        if mtu + needs > largest and mtu > self._bridge_takes:
            yield warning(
                "mtu",
                f"{ends.link.name}: full packets are split in two: with the tunnel's MTU of {mtu} they have"
                f" {mtu + needs} bytes, and {interface.name} takes {largest}. Put"
                f" 'mtu = {largest - needs}' into [general] at both ends",
                link=ends.link.name,
            )

    @property
    def _bridge_takes(self) -> int:
        """Bytes that the bridge of the tunnel's interface takes, for which packets must be split; 0: no bridge."""
        device = self._by_name.get(self._config.interface_name)
        beside = widest_beside(device, self._network.interfaces()) if device is not None else None
        return beside.mtu if beside is not None else 0

    @property
    def tunnel_mtu(self) -> int:
        """MTU in bytes of the tunnel's interface: from the kernel, else from the file."""
        device = self._by_name.get(self._config.interface_name)
        if device is not None:
            return device.mtu
        return self._config.effective_mtu(ipv6_path=any(is_ipv6(one.ends.remote) for one in self.uplinks))

    def overhead(self, ends: Ends) -> int:
        """Bytes around an inner packet of the link."""
        ethernet = ETHERNET_HEADER_SIZE if self._config.tuntap is DeviceKind.TAP else 0
        return _BOX_OVERHEAD[is_ipv6(ends.remote or ends.local)] + ethernet

    def check_shared(self) -> Iterator[Finding]:
        """Finds links of a client that leave by the same line. To be called after `check` of all links."""
        if self._config.mode is not Mode.CLIENT:
            return
        shared: dict[tuple[int, IPAddress | None], list[Uplink]] = {}
        for uplink in self.uplinks:
            if uplink.route is not None:
                shared.setdefault((uplink.route.interface, uplink.route.gateway), []).append(uplink)
        for (index, gateway), uplinks in shared.items():
            if len(uplinks) < 2:
                continue
            names = " and ".join(uplink.ends.link.name for uplink in uplinks)
            via = f" via {gateway}" if gateway else ""
            device = self._by_index.get(index)
            yield warning(
                "shared-uplink",
                f"{names} leave by the same uplink, {device.name if device else index}{via}: their bandwidths do not"
                " add up, and they fail together",
            )

    def _own_table(self, ends: Ends, interface: Interface | None) -> Sequence[str]:
        """Commands that give a source a route of its own."""
        if ends.remote is None:
            return ()
        if interface is None:
            return self._way_out(ends, None)
        version = ends.remote.version
        ip = "ip -6" if version == 6 else "ip"
        rule = next(
            (rule for rule in self._network.rules(version) if ends.local is not None and ends.local in rule.source),
            None,
        )
        if ends.local is None:
            # The link is bound to a device: a route by the device is enough, whatever its metric.
            return (f"{ip} route add default {self._by(interface, version)} metric {1000 + interface.index}",)
        there = self._network.own_table(interface, version) if rule is None else None
        table = rule.table if rule is not None else there or self._free_table()
        commands = []
        if there is None:
            commands.append(f"{ip} route replace default {self._by(interface, version)} table {table}")
        if rule is None:
            commands.append(f"{ip} rule add from {ends.local} lookup {table}")
        return commands

    def _way_out(self, ends: Ends, interface: Interface | None) -> Sequence[str]:
        """Commands that give the peer a route outside the tunnel."""
        if ends.remote is None:
            return ()
        version = ends.remote.version
        by = self._by(interface, version) if interface is not None else "via GATEWAY dev INTERFACE"
        return (f"ip {'-6 ' if version == 6 else ''}route add {ends.remote} {by}",)

    def _by(self, interface: Interface, version: int) -> str:
        if interface.point_to_point:
            return f"dev {interface.name}"
        return f"via {self._network.gateway(interface, version) or 'GATEWAY'} dev {interface.name}"

    def _free_table(self) -> int:
        table = _FIRST_OWN_TABLE
        while table in self._tables:
            table += 1
        self._tables.add(table)
        return table


def _from(ends: Ends) -> str:
    return f" from {ends.local}" if ends.local is not None else ""
