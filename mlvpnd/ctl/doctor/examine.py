"""All checks of a host and its tunnels, in the order in which an operator would make them.

Findings come as they are made. A cause has one finding: what follows from it is not told again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from mlvpnd.base.printable import printable
from mlvpnd.config import Config, Mode
from mlvpnd.ctl.model import TunnelView

from . import host
from .advice import Networkd
from .capacity import check_bandwidths, check_connections, check_unread, is_unread, queues
from .ends import Ends, Resolver, check_ends, ends_of
from .files import check_config_file, check_credential, check_links_of_file, check_shared_password, check_status_command
from .finding import Finding, Severity, by_hand, listed, ok, problem, warning
from .firewall import Objects, check_firewall, read_ruleset
from .forwarding import Crossing, check_crossing
from .inside import InsideDoctor
from .limits import Limits
from .live import (
    check_boot,
    check_helper,
    check_interface,
    check_link,
    check_password,
    check_remote,
    check_reorder,
    check_unit,
    together,
    unit_state,
)
from .network import KernelNetwork, Network
from .probe import port_holders, port_taken, probe_peers
from .routing import RoutingDoctor, Uplink
from .system import System

_OWN_PROGRAMS = ("mlvpn", "mlvpnd")
"""Our programs, as named among ports' holders."""
_OF_ALL = frozenset({"look-up", "port", "firewall", "password"})
"""Checks whose findings about several links have no link's name."""


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
    silence: str = ""
    """Why a daemon that was asked gave no answer; empty: it did, or it does not run."""


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
    system: System
    networkd: Networkd


def kernel_tools(network: KernelNetwork) -> Tools:
    """The tools that look at this host."""
    return Tools(
        network,
        Resolver(),
        probe_peers,
        port_taken,
        port_holders,
        read_ruleset,
        unit_state,
        System(),
        Networkd(),
    )


def examine_host(limits: Limits) -> Iterator[Finding]:
    """The checks that concern all tunnels."""
    yield from limits.findings("tun-device", "the device for interfaces", host.check_tun)
    yield from limits.findings("user", "the daemons' user", host.check_user)

    def clock() -> Iterator[Finding]:
        return host.check_clock(time.time(), synchronised=host.clock_synchronised())

    yield from limits.findings("clock", "the clock", clock)
    yield from limits.findings("conntrack", "the table of connections", lambda: check_connections(System()))


def examine(patient: Patient, tools: Tools, limits: Limits) -> Iterator[Finding]:
    """The checks of one tunnel, each within its limit."""
    return _Examination(patient, tools, limits).findings()


@dataclass
class _Examination:
    """What the checks of a tunnel have found, for the later ones."""

    patient: Patient
    tools: Tools
    limits: Limits
    config: Config | None = None
    ends: list[Ends] = field(default_factory=list)
    ruleset: Objects | None = None
    uplinks: list[Uplink] = field(default_factory=list)
    runs: bool = False
    """Whether the tunnel runs, even if it could not be asked."""
    runs_unseen: bool = False
    """Whether a program of ours has the ports of a tunnel that could not be asked."""
    explained: set[str] = field(default_factory=set)
    """Links with a finding that says why they may be silent; empty text: it is about all of them."""

    def findings(self) -> Iterator[Finding]:
        self.runs = self.patient.tunnel is not None or bool(self.patient.silence)
        bad = False
        for one in self.limits.findings("config", "the file", self._file):
            bad = bad or one.severity is Severity.PROBLEM
            yield one
        if self.patient.tunnel is not None or not bad:
            # A service cannot run with a file that is wrong: only this is told.
            yield from self.limits.findings("service", "the service", self._service)
        config = self.config
        if config is None:
            return
        steps: tuple[tuple[str, str, Callable[[Config], Iterable[Finding]]], ...] = (
            ("look-up", "the names of the file", self._look_ups),
            ("route", "the links' routes", self._routes),
            ("port", "the links' ports", self._ports),
            ("tunnel-interface", "the tunnel's interface", self._interface),
            ("firewall", "the firewall", self._firewall),
            ("peer", "the peers' answers", self._peers),
            ("bandwidth", "the lines' bandwidths", self._capacity),
            ("inner-route", "what goes through the tunnel", self._inside),
            ("forwarding", "what the tunnel forwards", self._crossing),
        )
        for check, what, step in steps:
            for one in self.limits.findings(check, what, partial(step, config)):
                if one.severity is not Severity.OK and (one.link or one.check in _OF_ALL):
                    self.explained.add(one.link)
                yield one if self.patient.is_instance else by_hand(one)

    def _file(self) -> Iterator[Finding]:
        patient = self.patient
        result = check_config_file(patient.path, credential=patient.is_instance)
        yield from result.findings
        config = result.config
        if config is None:
            return
        self.config = config
        if patient.is_instance:
            yield from check_credential(patient.name, config)
        yield from check_shared_password(patient.path, config)
        yield from check_status_command(config)
        yield from check_links_of_file(config)

    def _service(self) -> Iterator[Finding]:
        patient = self.patient
        name, unit = patient.name, f"mlvpn@{patient.name}.service"
        if patient.silence:
            text = f"the tunnel {name} does not answer: {patient.silence}"
            yield warning("service", text, f"systemctl status {unit}")
            return
        state = self.tools.unit_state(unit) if patient.is_instance else None
        self.runs = self.runs or (state is not None and state.get("ActiveState") == "active")
        if state is not None:
            units = [f"mlvpn-{part}@{name}.socket" for part in ("helper", "script")]
            sockets = {one: self.tools.unit_state(one) or {} for one in units}
            missing = [*check_helper(name, state, sockets)]
            if missing:
                yield from missing
                return
        if patient.is_instance or patient.tunnel is not None:
            yield from check_unit(name, state, patient.tunnel)
            if state is not None and patient.tunnel is not None and state.get("ActiveState") == "active":
                yield from check_boot(name, [state, self.tools.unit_state(f"mlvpn@{name}.socket") or {}])
        else:
            yield warning("service", "the tunnel is not running", f"mlvpn -c {patient.path}")

    def _interface(self, config: Config) -> Iterable[Finding]:
        if self.patient.tunnel is None and (self.runs or self.runs_unseen):
            return ()  # who has the ports has the interface
        return check_interface(config, self.tools.network, self.patient.tunnel)

    def _look_ups(self, config: Config) -> Iterator[Finding]:
        # A little less than the check's own limit, so that what is known is told.
        self.ends = [self._known(one) for one in ends_of(config, self.tools.resolver, self.limits.left * 0.95)]
        yield from check_ends(self.ends)

    def _known(self, ends: Ends) -> Ends:
        """With the address that the running link uses, if the name cannot be looked up now."""
        tunnel = self.patient.tunnel
        link = tunnel.link(ends.link.name) if tunnel is not None else None
        live = link.properties.get("RemoteAddress") if link is not None else None
        if ends.remote is not None or not ends.link.remotehost or not isinstance(live, Sequence) or len(live) != 2:
            return ends
        try:
            return ends.at(ip_address(str(live[0])))
        except ValueError:
            return ends

    def _routes(self, config: Config) -> Iterator[Finding]:
        routing = RoutingDoctor(config, self.tools.network, self.tools.networkd, runs=self.runs)
        for one in self.ends:
            yield from routing.check(one)
            self.uplinks = list(routing.uplinks)
        yield from routing.check_shared()

    def _ports(self, config: Config) -> Iterator[Finding]:
        """Each link's local port: free, or the tunnel's own. One finding for each holder."""
        taken: dict[str, list[Ends]] = {}
        for ends in self.ends:
            name, port = ends.link.name, ends.local_port
            if not port or not self.tools.port_taken(ends):
                continue
            holders = self.tools.port_holders(port)
            own = any(one.startswith(_OWN_PROGRAMS) for one in holders)
            if self.runs and (own or not holders):
                yield ok("port", f"{name}: the tunnel itself holds UDP port {port}", link=name)
                continue
            self.runs_unseen = self.runs_unseen or own
            taken.setdefault(", ".join(map(printable, holders)) or "another program", []).append(ends)
        for who, held in taken.items():
            names = [one.link.name for one in held]
            ports = sorted({one.local_port for one in held})
            what = f"UDP port {ports[0]} is" if len(ports) == 1 else f"UDP ports {', '.join(map(str, ports))} are"
            text = f"{listed(names)}: {what} taken by {who}"
            commands = [f"ss -ulpn 'sport = :{port}'" for port in ports]
            yield problem("port", text, *commands, link=names[0] if len(names) == 1 else "")

    def _firewall(self, config: Config) -> Iterator[Finding]:
        if os.geteuid():
            return  # only root may read it
        self.ruleset = self.tools.ruleset()
        if self.ruleset is not None:
            yield from check_firewall(config, self.ends, self.ruleset)

    def _peers(self, config: Config) -> Iterator[Finding]:
        tunnel, tools = self.patient.tunnel, self.tools
        views = {link.name: link for link in tunnel.links} if tunnel is not None else {}
        if tunnel is not None:
            for finding in check_password(config, tunnel):
                self.explained.update(views)
                yield finding
        down = {name for name in views if not views[name].up}
        # A route that is known to be wrong need not be probed, nor one that is in use.
        usable = [one for one in self.uplinks if one.good and (tunnel is None or one.ends.link.name in down)]
        probed = tools.probe([one.ends for one in usable])
        of_links: list[Finding] = []
        for uplink in self.uplinks:
            name = uplink.ends.link.name
            if tunnel is not None and name not in views:
                text = f"{name}: the running tunnel does not have this link yet"
                yield warning("peer", text, f"mlvpnctl reload {tunnel.name}", link=name)
                continue
            if not uplink.good and config.mode is Mode.CLIENT and tunnel is None:
                continue
            if tunnel is not None:
                stale = [*check_remote(uplink, tunnel)]
                yield from stale
                if stale:
                    continue
                late = is_unread(tools.system, uplink)
                if (late and views[name].up) or (queues(views[name]) and config.paced):
                    continue  # what it loses or waits for has a check of its own
            route = uplink.route
            dead = bool(
                uplink in usable
                and route is not None
                and route.gateway is not None
                and tools.network.dead_neighbour(route.interface, route.gateway)
            )
            explained = not self.explained.isdisjoint({name, ""})
            of_links += check_link(
                uplink, tunnel, probed.get(name), mode=config.mode, gateway_dead=dead, explained=explained
            )
        yield from together(of_links)

    def _capacity(self, config: Config) -> Iterator[Finding]:
        tunnel, system = self.patient.tunnel, self.tools.system
        yield from check_bandwidths(config, system, self.uplinks, tunnel)
        yield from check_unread(system, self.uplinks, tunnel)
        if tunnel is not None and not (config.paced and any(map(queues, tunnel.links))):
            # A queue makes the links differ, and has its finding.
            yield from check_reorder(config, tunnel)

    def _inside(self, config: Config) -> Iterator[Finding]:
        if self.patient.tunnel is not None:
            yield from InsideDoctor(config, self.tools.network, self.tools.system, self.patient.tunnel).check(
                self.uplinks
            )

    def _crossing(self, config: Config) -> Iterator[Finding]:
        tunnel, system = self.patient.tunnel, self.tools.system
        if tunnel is not None:
            interface = tunnel.text("Interface") or config.interface_name
            ruleset = None if system.hidden_tables() else self.ruleset
            yield from check_crossing(Crossing(config, interface, self.tools.network, system, ruleset))
