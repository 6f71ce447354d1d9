"""Facts of hosts that do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

from mlvpnd.config import Config, parse
from mlvpnd.ctl.doctor.ends import Ends
from mlvpnd.ctl.doctor.finding import Finding, Severity
from mlvpnd.ctl.doctor.network import Entry, Interface, IPAddress, IPInterface, Route, Rule
from mlvpnd.ctl.doctor.system import System

PEER = "198.51.100.1"

CLIENT = f"""\
[general]
mode = client
password = secret
configure_interface = 1
ip4 = 10.0.0.2/24
reorder_buffer_size = 512
[adsl1]
bindhost = 192.0.2.2
remotehost = {PEER}
remoteport = 5080
bandwidth_upload = 2500000
[adsl2]
bindhost = 203.0.113.2
remotehost = {PEER}
remoteport = 5081
bandwidth_upload = 1250000
"""
SERVER = f"""\
[general]
mode = server
password = secret
configure_interface = 1
reorder_buffer_size = 512
[adsl1]
bindhost = {PEER}
bindport = 5080
bandwidth_upload = 1
[adsl2]
bindhost = {PEER}
bindport = 5081
bandwidth_upload = 1
"""

ETH0 = Interface(2, "eth0", up=True, carrier=True, mtu=1500)
ETH1 = Interface(3, "eth1", up=True, carrier=True, mtu=1500)
PPP0 = Interface(4, "ppp0", up=True, carrier=True, mtu=1492, point_to_point=True)
LOOPBACK = Interface(1, "lo", up=True, carrier=True, mtu=65536, loopback=True)
GATEWAYS = {ETH0.index: ip_address("192.0.2.1"), ETH1.index: ip_address("203.0.113.1")}


def config_of(text: str = CLIENT) -> Config:
    """A good configuration."""
    return parse(text.encode(), "f").config


def ends(config: Config) -> list[Ends]:
    """The ends of all links; the hosts are numbers."""
    return [
        Ends(
            link,
            ip_address(link.bindhost) if link.bindhost else None,
            int(link.bindport or 0),
            ip_address(link.remotehost) if link.remotehost else None,
            int(link.remoteport or 0),
            remotes=(ip_address(link.remotehost),) if link.remotehost else (),
        )
        for link in config.links
    ]


@dataclass
class FakeNetwork:
    """Stands for `network.Network`: two lines with a table each, as it should be."""

    devices: list[Interface] = field(default_factory=lambda: [LOOPBACK, ETH0, ETH1])
    owners: dict[str, Interface] = field(default_factory=lambda: {"192.0.2.2": ETH0, "203.0.113.2": ETH1, PEER: ETH0})
    by_source: Mapping[str, Interface | None] = field(default_factory=lambda: {"192.0.2.2": ETH0, "203.0.113.2": ETH1})
    """The interface by which packets from an address leave. None: nowhere; other addresses: by `default`."""
    default: Interface | None = None
    """The interface by which packets from all other addresses leave. None: nowhere."""
    path_mtu: int = 0
    source_rules: dict[str, int] = field(default_factory=dict)
    """The table of each network."""
    own_tables: Mapping[str, int] = field(default_factory=dict)
    """The table of each interface."""
    used_tables: set[int] = field(default_factory=lambda: {254, 255})
    dead: set[str] = field(default_factory=set)
    strict: set[str] = field(default_factory=set)

    listed: list[Entry] = field(default_factory=list)
    """The entries of all tables."""
    device_tables: Mapping[str, int] = field(default_factory=dict)
    """The table of each interface's rule for bound sockets."""
    prefixes: list[tuple[Interface, str]] = field(default_factory=list)
    """Addresses with their prefixes."""

    def interfaces(self) -> list[Interface]:
        return self.devices

    def addresses(self) -> list[tuple[Interface, IPInterface]]:
        return [(owner, ip_interface(text)) for owner, text in self.prefixes]

    def entries(self, version: int) -> list[Entry]:
        return [one for one in self.listed if one.network.version == version]

    def device_table(self, interface: Interface, version: int) -> int | None:
        return self.device_tables.get(interface.name)

    def owner(self, address: IPAddress) -> Interface | None:
        return self.owners.get(str(address))

    def route(self, remote: IPAddress, local: IPAddress | None, interface: Interface | None) -> Route | None:
        leaves = interface or self.by_source.get(str(local), self.default)
        return Route(leaves.index, GATEWAYS.get(leaves.index), self.path_mtu) if leaves is not None else None

    def gateway(self, interface: Interface, version: int) -> IPAddress | None:
        return GATEWAYS.get(interface.index) if version == 4 else None

    def own_table(self, interface: Interface, version: int) -> int | None:
        return self.own_tables.get(interface.name)

    def rules(self, version: int) -> list[Rule]:
        found = [Rule(ip_network(network), table) for network, table in self.source_rules.items()]
        return [rule for rule in found if rule.source.version == version]

    def tables(self) -> set[int]:
        return self.used_tables

    def dead_neighbour(self, interface: int, address: IPAddress) -> bool:
        return str(address) in self.dead

    def strict_source_check(self, interface: Interface) -> bool:
        return interface.name in self.strict


def system_of(root: Path, **files: str) -> System:
    """A host with these files: the name is a path whose slashes are two underscores, as `proc__net__snmp`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return System(root / "proc", root / "sys", root / "etc", root / "run")


def bad(findings: list[Finding]) -> list[tuple[str, str, str]]:
    """Severity, check and link of each finding that is not `ok`."""
    return [(one.severity.value, one.check, one.link) for one in findings if one.severity is not Severity.OK]


def only(findings: list[Finding], check: str) -> Finding:
    """The one finding of a check that is not `ok`."""
    (found,) = [one for one in findings if one.check == check and one.severity is not Severity.OK]
    return found
