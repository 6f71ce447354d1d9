"""What goes through a tunnel to and from other hosts: forwarding, NAT, the firewall's forward chain, MSS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface

from mlvpnd.config import Config, DeviceKind, Mode

from .finding import UNTIL_REBOOT, Finding, ok, problem, sysctl, warning
from .firewall import Objects, accept_forwarded, closed_chains, lets_in_icmp, passes, rules_of, translates
from .network import TABLE_MAIN, Entry, IPInterface, Network
from .system import System

_FULL_MTU = 1500
"""Bytes. The MTU that hosts behind the tunnel have."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A host that packets of a tunnel may cross."""

    config: Config
    interface: str
    """The tunnel's interface."""
    network: Network
    system: System
    ruleset: Objects | None
    """None: it cannot be read, or not all of it."""

    def inner(self, version: int) -> IPInterface | None:
        """The interface's address; None: it has none of this version in the file."""
        text = self.config.ip4 if version == 4 else self.config.ip6
        try:
            return ip_interface(text) if text else None
        except ValueError:
            return None

    def ways_out(self, version: int) -> list[tuple[str, Entry]]:
        """The default routes of the main table outside the tunnel, with the interfaces' names."""
        names = {one.index: one.name for one in self.network.interfaces() if one.name != self.interface}
        return [
            (names[one.interface], one)
            for one in self.network.entries(version)
            if one.network.prefixlen == 0 and one.table == TABLE_MAIN and one.interface in names
        ]


def check_crossing(crossing: Crossing) -> Iterator[Finding]:
    """All that concerns packets of other hosts."""
    if crossing.config.tuntap is DeviceKind.TAP:
        return  # a bridge forwards frames, not this host
    for version in (4, 6):
        if crossing.inner(version) is None:
            continue
        if crossing.system.forwards(version, crossing.interface):
            yield from _nat(crossing, version)
        else:
            yield _not_forwarded(crossing, version)
    if crossing.system.forwards(4, crossing.interface):
        yield from _forward_chains(crossing)
    yield from _segments(crossing)


def _not_forwarded(crossing: Crossing, version: int) -> Finding:
    dropped = crossing.system.misaddressed(version)
    server = crossing.config.mode is Mode.SERVER
    routed = crossing.config.ip4_routes if version == 4 else crossing.config.ip6_routes
    reason = ""
    if dropped:
        reason = f"{dropped} packets for other hosts were dropped"
    elif translates(crossing.ruleset or (), crossing.inner(version)):
        reason = "the firewall has NAT for the tunnel"
    elif server and routed:
        reason = f"{routed} is behind the client"
    off = f"forwarding of IPv{version} is off"
    if not reason:
        return ok(
            "forwarding", f"{off}: {'clients reach this host alone' if server else 'only this host uses the tunnel'}"
        )
    behind = "clients reach this host alone" if server else "hosts behind this client do not reach the tunnel"
    name = "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding"
    if version == 4 and crossing.system.parameter("net/ipv4/ip_forward") == 1:
        name = f"net.ipv4.conf.{crossing.interface}.forwarding"  # off on this interface alone
    found = problem("forwarding", f"{off}, and {reason}: {behind}", *sysctl(name, 1))
    if version == 6:
        note = "With forwarding, an interface takes router advertisements only if its accept_ra is 2."
        return found.noted(note)
    return found


def _nat(crossing: Crossing, version: int) -> Iterator[Finding]:
    """A server that forwards private addresses into the internet as they are gets no answers."""
    inner, ways = crossing.inner(version), crossing.ways_out(version)
    if version == 6 or inner is None or crossing.ruleset is None or not ways or not inner.is_private:
        return
    if crossing.config.mode is Mode.CLIENT:
        return
    if translates(crossing.ruleset, inner):
        yield ok("nat", f"the firewall translates the addresses of {inner.network}")
        return
    device = ways[0][0]
    yield warning(
        "nat",
        f"nothing translates the tunnel's private addresses {inner.network} on their way out by {device}: what clients"
        " send into the internet gets no answer",
        "nft add table ip mlvpn",
        "nft add chain ip mlvpn postrouting '{ type nat hook postrouting priority srcnat; }'",
        f"nft add rule ip mlvpn postrouting ip saddr {inner.network} oifname {device} masquerade",
    ).noted(f"{UNTIL_REBOOT} Put the rule into the firewall's own file too.")


def _forward_chains(crossing: Crossing) -> Iterator[Finding]:
    """A firewall that forwards nothing by default, as Docker's, needs rules for the tunnel."""
    ruleset, interface = crossing.ruleset, crossing.interface
    if ruleset is None:
        return
    out = {name for name, _ in crossing.ways_out(4)}
    for chain in closed_chains(ruleset, "forward"):
        if any(passes(rule, interface, out) for rule in rules_of(ruleset, chain)):
            continue
        place = f"{chain['family']} {chain['table']} {chain['name']}"
        yield warning(
            "forward-chain",
            f"the firewall's chain {place} forwards nothing by default, and no rule in it lets through what comes out"
            f" of {interface}",
            *accept_forwarded(chain, interface),
        ).noted(f"{UNTIL_REBOOT} Put the rules into the firewall's own file too.")


def _segments(crossing: Crossing) -> Iterator[Finding]:
    """Without the clamp, TCP of hosts behind the tunnel depends on ICMP that firewalls like to drop."""
    config, ruleset = crossing.config, crossing.ruleset
    mtu = next((one.mtu for one in crossing.network.interfaces() if one.name == crossing.interface), _FULL_MTU)
    if config.mss_clamp != 0 or mtu >= _FULL_MTU or not ruleset:
        return
    filtering: Sequence[str] = [
        f"{chain['family']} {chain['table']} {chain['name']}"
        for hook in ("input", "forward")
        for chain in closed_chains(ruleset, hook)
        if not any(lets_in_icmp(rule) for rule in rules_of(ruleset, chain))
    ]
    if filtering:
        yield warning(
            "mss",
            f"mss_clamp is off, and the firewall's chain {filtering[0]} drops ICMP: large TCP packets of hosts behind"
            f" the tunnel vanish, because nobody tells them of its MTU of {mtu}. Remove 'mss_clamp = off' from"
            " [general]",
        )
