"""Whether each link leaves by its own uplink: address, interface, route from the source, rp_filter, outer MTU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlvpnd.config import Config, DeviceKind, Mode
from mlvpnd.config.model import ETHERNET_HEADER_SIZE, UNSET_MTU_IPV4, UNSET_MTU_IPV6

from .advice import Advice, Networkd, WayAdviser
from .ends import Ends, is_ipv6
from .finding import UNTIL_REBOOT, Finding, Severity, ok, problem, sysctl, warning
from .network import Interface, IPAddress, Network, Route, widest_beside

_BOX_OVERHEAD = {False: 1500 - UNSET_MTU_IPV4, True: 1500 - UNSET_MTU_IPV6}
"""Bytes of IP, UDP, header and MAC around an inner packet, by whether the outer packet is IPv6."""
_ADDRESS_NOTE = (
    "If the line gets its addresses from its router, they change: then 'binddevice' with the interface's name is better"
    " than 'bindhost'. " + UNTIL_REBOOT
)


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

    def __init__(self, config: Config, network: Network, networkd: Networkd, *, runs: bool) -> None:
        """`runs`: whether an interface of the tunnel's name is the tunnel's."""
        self._config = config
        self._network = network
        self._by_name = {name: one for one in network.interfaces() for name in (one.name, *one.alternatives)}
        self._by_index = {one.index: one for one in network.interfaces()}
        self._own = self._by_name.get(config.interface_name) if runs else None
        self._adviser = WayAdviser(network, networkd)
        self.uplinks: list[Uplink] = []
        """The uplinks of the links that `check` has examined."""

    def check(self, ends: Ends) -> Iterator[Finding]:
        """Checks one link, and adds its way to `uplinks`."""
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
                add = f"ip addr add {ends.local}/{prefix} dev {device.name if device is not None else 'INTERFACE'}"
                return [problem("address", text, "ip addr", add, link=name).noted(_ADDRESS_NOTE)], None
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
            yield self._astray(text, name, self._adviser.own_table(ends, interface))
        elif leaves.name == self._config.interface_name:
            text = f"{name}: the way to the peer {remote} leads into the tunnel's own interface {leaves.name}"
            yield self._astray(text, name, self._adviser.way_out(ends, interface))
        elif interface is not None and leaves.index != interface.index:
            text = (
                f"{name}: packets to the peer {remote}{_from(ends)} leave by {leaves.name} and not by {interface.name}:"
                " they need a routing table of their own"
            )
            yield self._astray(text, name, self._adviser.own_table(ends, interface))
        else:
            self.uplinks.append(Uplink(ends, leaves, route, good=True))
            via = f" via {route.gateway}" if route.gateway else ""
            yield ok("route", f"{name}: packets to {remote}{_from(ends)} leave by {leaves.name}{via}", link=name)
            yield from self._source_check(ends, leaves)
            yield from self._mtu(ends, leaves, route)
            return
        self.uplinks.append(Uplink(ends, interface, route))

    def _astray(self, text: str, link: str, advice: Advice) -> Finding:
        return problem("route", text, *advice.commands, link=link).noted(advice.note)

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
                *sysctl(f"net.ipv4.conf.{interface.name}.rp_filter", 2),
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
        device = self._own
        beside = widest_beside(device, self._network.interfaces()) if device is not None else None
        return beside.mtu if beside is not None else 0

    @property
    def tunnel_mtu(self) -> int:
        """MTU in bytes of the tunnel's interface: from the kernel, else from the file."""
        if self._own is not None:
            return self._own.mtu
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
            # A link that goes astray, or is bound to nothing, has its own finding.
            link = uplink.ends.link
            if uplink.route is not None and uplink.good and (link.bindhost or link.binddevice):
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


def _from(ends: Ends) -> str:
    return f" from {ends.local}" if ends.local is not None else ""
