"""All checks of a host and its tunnels, in the order in which an operator would make them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlvpnd.base.printable import printable
from mlvpnd.config import Config, Mode
from mlvpnd.ctl.model import TunnelView

from . import host
from .ends import Ends, Resolver, ends_of
from .files import check_config_file, check_credential, check_links_of_file, check_shared_password, check_status_command
from .finding import Finding, ok, problem, warning
from .firewall import Objects, check_firewall, read_ruleset
from .live import check_interface, check_link, check_reorder, check_unit, unit_state
from .network import KernelNetwork, Network
from .probe import port_holders, port_taken, probe_peers
from .routing import RoutingDoctor

_OWN_PROGRAMS = ("mlvpn", "mlvpnd")
"""Our programs, as named among ports' holders."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A tunnel to examine."""

    name: str
    path: Path
    """Its configuration file."""
    tunnel: TunnelView | None
    """The running daemon's view; None: it does not run, or cannot be asked."""
    is_instance: bool
    """Whether systemd runs it by its name."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The functions that look at the host; tests replace them."""

    network: Network
    resolver: Resolver
    probe: Callable[[Sequence[Ends]], Mapping[str, int]]
    port_taken: Callable[[Ends], bool]
    port_holders: Callable[[int], list[str]]
    ruleset: Callable[[], Objects | None]
    unit_state: Callable[[str], Mapping[str, str] | None]


def kernel_tools(network: KernelNetwork) -> Tools:
    """The tools that look at this host."""
    return Tools(network, Resolver(), probe_peers, port_taken, port_holders, read_ruleset, unit_state)


def examine_host() -> list[Finding]:
    """The checks that concern all tunnels."""
    return [
        *host.check_tun(),
        *host.check_user(),
        *host.check_clock(time.time(), synchronised=host.clock_synchronised()),
    ]


def examine(patient: Patient, tools: Tools) -> list[Finding]:
    """The checks of one tunnel."""
    result = check_config_file(patient.path, credential=patient.is_instance)
    findings = list(result.findings)
    tunnel, config = patient.tunnel, result.config
    state = tools.unit_state(patient.name) if patient.is_instance else None
    if patient.is_instance or tunnel is not None:
        findings += check_unit(patient.name, state, tunnel)
    else:
        findings.append(warning("service", "the tunnel is not running", f"mlvpn -c {patient.path}"))
    if config is None:
        return findings
    if patient.is_instance:
        findings += check_credential(patient.name, config)
    findings += check_shared_password(patient.path, config)
    findings += check_status_command(config)
    findings += check_links_of_file(config)
    findings += check_interface(config, tools.network, tunnel)
    findings += _examine_links(config, tools, tunnel)
    if tunnel is not None:
        findings += check_reorder(config, tunnel)
    return findings


def _examine_links(config: Config, tools: Tools, tunnel: TunnelView | None) -> list[Finding]:
    findings: list[Finding] = []
    routing = RoutingDoctor(config, tools.network)
    ends = ends_of(config, tools.resolver)
    for one in ends:
        findings += routing.check(one)
        findings += _port(one, tools, tunnel)
    findings += routing.check_shared()
    findings += _firewall(config, ends, tools)
    views = {link.name: link for link in tunnel.links} if tunnel is not None else {}
    down = {name for name in views if not views[name].up}
    # A route that is known to be wrong need not be probed, nor one that is in use.
    usable = [one for one in routing.uplinks if one.good and (tunnel is None or one.ends.link.name in down)]
    probed = tools.probe([one.ends for one in usable])
    for uplink in routing.uplinks:
        name = uplink.ends.link.name
        if tunnel is not None and name not in views:
            text = f"{name}: the running tunnel does not have this link yet"
            findings.append(warning("peer", text, f"mlvpnctl reload {tunnel.name}", link=name))
            continue
        route = uplink.route
        if not uplink.good and config.mode is Mode.CLIENT and tunnel is None:
            continue
        dead = bool(
            uplink in usable
            and route is not None
            and route.gateway is not None
            and tools.network.dead_neighbour(route.interface, route.gateway)
        )
        findings += check_link(uplink, tunnel, probed.get(name), gateway_dead=dead)
    return findings


def _port(ends: Ends, tools: Tools, tunnel: TunnelView | None) -> list[Finding]:
    """The link's local port: free, or the tunnel's own."""
    name, port = ends.link.name, ends.local_port
    if not port or not tools.port_taken(ends):
        return []
    holders = tools.port_holders(port)
    own = tunnel is not None and (not holders or any(one.startswith(_OWN_PROGRAMS) for one in holders))
    if own:
        return [ok("port", f"{name}: the tunnel itself holds UDP port {port}", link=name)]
    who = ", ".join(map(printable, holders)) or "another program"
    return [problem("port", f"{name}: UDP port {port} is taken by {who}", f"ss -ulpn 'sport = :{port}'", link=name)]


def _firewall(config: Config, ends: Sequence[Ends], tools: Tools) -> list[Finding]:
    if os.geteuid():
        return []  # only root may read it
    ruleset = tools.ruleset()
    return [] if ruleset is None else list(check_firewall(config, ends, ruleset))
