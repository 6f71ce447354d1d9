"""Commands that give a link's packets a way of their own: a table for each line, and a rule that leads into it.

Where systemd-networkd configures the line, they write a drop-in for its file: networkd removes what others set.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from .ends import Ends, is_ipv6
from .finding import EXAMPLES, UNTIL_REBOOT
from .network import Interface, Network

_FIRST_OWN_TABLE = 101
_DROP_IN = "mlvpn.conf"
_NETWORK = f"{EXAMPLES}/network"
GATEWAY = "GATEWAY"
"""Stands in a command for a router that is not known."""
_LASTING = f"{UNTIL_REBOOT} {_NETWORK} has files that last, for ifupdown, NetworkManager and systemd-networkd."
_KNOW = f" Put the address of the line's router in the place of {GATEWAY}."
_REMOVED = (
    " systemd-networkd runs here and removes such rules when it starts again, unless networkd.conf has"
    " ManageForeignRoutingPolicyRules=no."
)


class Networkd:
    """systemd-networkd, as far as its files in /run tell."""

    def __init__(self, run: Path = Path("/run/systemd/netif"), etc: Path = Path("/etc/systemd/network")) -> None:
        self._run = run
        self._etc = etc

    @property
    def runs(self) -> bool:
        """Whether it has run since the boot."""
        return (self._run / "state").exists()

    def drop_in(self, interface: Interface) -> Path | None:
        """Where a drop-in for the interface's file belongs; None: networkd does not configure the interface."""
        try:
            lines = (self._run / "links" / str(interface.index)).read_text().splitlines()
        except OSError:
            return None
        found = next((line.partition("=")[2] for line in lines if line.startswith("NETWORK_FILE=")), "")
        # In /etc, a drop-in also counts for a file in /run or /usr/lib.
        return self._etc / f"{Path(found).name}.d" / _DROP_IN if found else None


@dataclass(frozen=True, slots=True)
class Advice:
    """Commands, and what there is to know of them."""

    commands: tuple[str, ...] = ()
    note: str = ""


class WayAdviser:
    """Tells commands for the links of one host. No two lines get the same table."""

    def __init__(self, network: Network, networkd: Networkd) -> None:
        self._network = network
        self._networkd = networkd
        self._tables = set(network.tables())

    def own_table(self, ends: Ends, interface: Interface | None) -> Advice:
        """Commands that give a source, or a socket that is bound to a device, a route of its own by the interface."""
        if ends.remote is None:
            return Advice()
        if interface is None:
            return self.way_out(ends, None)
        version = ends.remote.version
        of_rule = self._table_of_rule(ends, interface, version)
        there = self._network.own_table(interface, version) if of_rule is None else None
        table = of_rule or there or self._free_table()
        gateway = self._gateway(interface, version)
        drop_in = self._networkd.drop_in(interface)
        if drop_in is not None:
            return self._lasting(drop_in, ends, interface, table, gateway)
        ip = "ip -6" if version == 6 else "ip"
        commands = []
        if there is None:
            commands.append(f"{ip} route replace default {self._by(interface, version)} table {table}")
        if of_rule is None:
            source = f"from {ends.local}" if ends.local is not None else f"oif {interface.name}"
            commands.append(f"{ip} rule add {source} lookup {table}")
        note = _LASTING + (_KNOW if gateway == GATEWAY else "") + (_REMOVED if self._networkd.runs else "")
        return Advice(tuple(commands), note)

    def way_out(self, ends: Ends, interface: Interface | None) -> Advice:
        """Commands that give the peer a route outside the tunnel."""
        if ends.remote is None:
            return Advice()
        version = ends.remote.version
        ip = "ip -6" if version == 6 else "ip"
        by, table = f"via {GATEWAY} dev INTERFACE", None
        if interface is not None:
            by, table = self._by(interface, version), self._table_of_rule(ends, interface, version)
        command = f"{ip} route replace {ends.remote} {by}{f' table {table}' if table else ''}"
        return Advice((command,), UNTIL_REBOOT + (_KNOW if GATEWAY in by else ""))

    def _table_of_rule(self, ends: Ends, interface: Interface, version: int) -> int | None:
        """The table that a rule gives to the link's packets already; None: there is no rule."""
        local = ends.local
        if local is None:
            return self._network.device_table(interface, version)
        return next((rule.table for rule in self._network.rules(version) if local in rule.source), None)

    def _lasting(self, drop_in: Path, ends: Ends, interface: Interface, table: int, gateway: str) -> Advice:
        ipv6 = is_ipv6(ends.remote)
        way = [f"Gateway={gateway}"] if gateway else [f"Destination={'::/0' if ipv6 else '0.0.0.0/0'}", "Scope=link"]
        route = ["[Route]", *way, f"Table={table}"]
        source = f"From={ends.local}" if ends.local is not None else f"OutgoingInterface={interface.name}"
        rule = ["[RoutingPolicyRule]", source, f"Table={table}"]
        if ends.local is None:
            rule.append(f"Family={'ipv6' if ipv6 else 'ipv4'}")
        text = "\\n".join([*route, "", *rule])
        commands = (
            f"mkdir -p {shlex.quote(str(drop_in.parent))}",
            f"printf '{text}\\n' >{shlex.quote(str(drop_in))}",
            "networkctl reload",
            f"networkctl reconfigure {interface.name}",
        )
        note = f"systemd-networkd configures {interface.name}. These lines of a .network file last over a reboot."
        return Advice(commands, note + (_KNOW if gateway == GATEWAY else ""))

    def _gateway(self, interface: Interface, version: int) -> str:
        """The router; empty: the interface needs none."""
        if interface.point_to_point:
            return ""
        return str(self._network.gateway(interface, version) or GATEWAY)

    def _by(self, interface: Interface, version: int) -> str:
        gateway = self._gateway(interface, version)
        return f"via {gateway} dev {interface.name}" if gateway else f"dev {interface.name}"

    def _free_table(self) -> int:
        table = _FIRST_OWN_TABLE
        while table in self._tables:
            table += 1
        self._tables.add(table)
        return table
