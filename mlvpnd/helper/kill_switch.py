"""For `kill_switch = 1`: nothing takes the file's default routes by another way while no link is up.

A routing table of the tunnel's own has an `unreachable` route for each default route of the file, and above it the
route through the interface while that is to be in. Rules behind all of the operator's send there what the main table
knows no nearer route for:

    32765: oif DEVICE lookup main              for each device that a link is bound to
    32765: lookup main suppress_prefixlength 0
    32765: lookup TABLE

An `unreachable` route in the main table would do the same to packets of links that are bound to a device: the kernel
looks at the kind of a route before it looks at its device.

The table outlives the interface, and so a crash. Its number comes from the configuration file's path. Each rule has it
as a mark with an empty mask, which matches every packet and tells whose rule it is. All calls block.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from mlvpnd.config.model import Config
from mlvpnd.net.interface import ROUTE_PROTOCOL, index_of, local_end

from . import network
from .network import TABLE_MAIN, NetworkError, Route

if TYPE_CHECKING:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # ships no types

PRIORITY = 32765
"""Of our rules: just before the main table. The kernel puts a new rule behind others of the same priority."""
METRIC = 4_000_000_000
"""Of the `unreachable` routes: behind every route through the interface."""
_FIRST_TABLE, _TABLES = 109_000_000, 1_000_000
_RTN_UNREACHABLE = 7
_NOTHING_SUPPRESSED = 2**32 - 1
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_GONE = frozenset((errno.ENOENT, errno.ESRCH, errno.ENODEV))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of ours."""

    table: int
    device: str = ""
    suppressed: int | None = None
    """Routes of the table with a prefix of at most this length do not count."""
    marked: bool = True


@dataclass(frozen=True, slots=True)
class _Hold:
    """An `unreachable` route."""

    network: IPv4Network | IPv6Network


def table_of(config_path: str) -> int:
    """The number of the routing table of a file's tunnel."""
    return _FIRST_TABLE + zlib.crc32(os.fsencode(os.path.abspath(config_path))) % _TABLES


def apply(device: str, config: Config, table: int, *, default_routes: bool) -> list[str]:
    """Makes rules and table what the file asks for: also none, if it has no `kill_switch`. May be repeated.

    `default_routes`: whether the routes through `device` are to be in. Returns what was missing and was set, in words.
    Raises NetworkError.
    """
    routes = network.default_routes_of(config) if config.kill_switch else []
    devices = _devices(config)
    done: list[str] = []
    problems: list[str] = []
    with network.opened(device) as (netlink, index):
        for version, family in _FAMILIES.items():
            mine = [route for route in routes if route.network.version == version]
            kernel = _Kernel(netlink, family, table, index)
            try:
                if _hold(kernel, mine, devices, default_routes=default_routes, problems=problems):
                    done.append(f"IPv{version} kill switch")
            except OSError as error:
                problems.append(f"kill_switch: {error.strerror}")
    if problems:
        raise NetworkError(f"{device}: " + "; ".join(problems), done)
    return done


def release(table: int) -> None:
    """Removes what `apply` has set, in this or an earlier process; the interface may be gone. Raises NetworkError."""
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # ships no types

    try:
        with network.connect() as netlink:
            for family in _FAMILIES.values():
                _hold(_Kernel(netlink, family, table, 0), [], [], default_routes=False, problems=[])
    except (OSError, NetlinkError) as error:
        raise NetworkError(f"kill_switch: {error}") from None


def _devices(config: Config) -> list[str]:
    """The real names of the devices that links are bound to: a rule does not follow another name of a device."""
    names = dict.fromkeys(local_end(link.bindhost, link.binddevice)[1] for link in config.links)
    return [socket.if_indextoname(number) if (number := index_of(name)) else name for name in names if name]


def _hold(
    kernel: _Kernel, routes: Sequence[Route], devices: Sequence[str], *, default_routes: bool, problems: list[str]
) -> bool:
    """Makes one family's rules and table hold the places of `routes`; returns whether they did not. Raises OSError.

    Appends to `problems` which routes are refused.
    """
    holds = [_Hold(route.network) for route in routes]
    wanted: list[_Hold | Route] = [*holds, *(routes if default_routes else ())]
    rules: list[_Rule] = []
    if holds:
        rules = [_Rule(TABLE_MAIN, name) for name in devices]
        rules += [_Rule(TABLE_MAIN, suppressed=max(one.network.prefixlen for one in holds)), _Rule(kernel.table)]
    else:
        kernel.set_rules([])  # before the routes: else they would be missed for a moment
    present = list(kernel.routes())
    for one, index in present:
        if one not in wanted:
            with contextlib.suppress(OSError):  # it is gone already, as with its interface
                kernel.change(one, "del", index)
    missing = [one for one in wanted if one not in (there for there, _index in present)]
    for one in missing:
        try:
            kernel.change(one, "add", kernel.index)
        except OSError as error:
            problems.append(f"kill_switch {one.network}: {error.strerror}")
    changed = kernel.set_rules(rules) if rules else False
    return changed or any(isinstance(one, _Hold) for one in missing)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """One family's rules and routes of one table. All methods raise OSError, or pyroute2's NetlinkError for a dump."""

    netlink: IPRoute
    family: int
    table: int
    index: int
    """Of the tunnel's interface; 0: it may be gone."""

    def set_rules(self, rules: Sequence[_Rule]) -> bool:
        """Makes our rules these, in this order; returns whether they were others. At no moment is there none."""
        present = list(self._rules())
        if present == list(rules):
            return False
        bridge = _Rule(self.table, marked=False)
        if present and rules and bridge not in present:
            self._change_rule("add", bridge)
        for rule in present:
            if rule != bridge or not rules:
                self._change_rule("del", rule)
        for rule in rules:
            self._change_rule("add", rule)
        if present and rules:
            self._change_rule("del", bridge)
        return True

    def _rules(self) -> Iterator[_Rule]:
        """Our rules, in their order."""
        for message in self.netlink.get_rules(family=self.family):
            if message.get_attr("FRA_PROTOCOL") != ROUTE_PROTOCOL or message.get_attr("FRA_PRIORITY") != PRIORITY:
                continue
            looked_up = int(message.get_attr("FRA_TABLE") or message["table"])
            marked = message.get_attr("FRA_FWMARK") == self.table
            if not marked and looked_up != self.table:
                continue  # another tunnel's
            length = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
            suppressed = None if length in (None, _NOTHING_SUPPRESSED) else int(length)
            yield _Rule(looked_up, str(message.get_attr("FRA_OIFNAME") or ""), suppressed, marked)

    def _change_rule(self, verb: str, rule: _Rule) -> None:
        what: dict[str, object] = {"table": rule.table, "priority": PRIORITY, "protocol": ROUTE_PROTOCOL}
        if rule.marked:
            what |= {"fwmark": self.table, "fwmask": 0}
        if rule.device:
            what["oifname"] = rule.device
        if rule.suppressed is not None:
            what["FRA_SUPPRESS_PREFIXLEN"] = rule.suppressed
        try:
            with _as_os_error():
                self.netlink.rule(verb, family=self.family, **what)
        except OSError as error:
            if verb == "add" or error.errno not in _GONE:
                raise

    def routes(self) -> Iterator[tuple[_Hold | Route, int]]:
        """What is in the table, each with its interface."""
        anywhere = "0.0.0.0" if self.family == socket.AF_INET else "::"  # noqa: S104 - a route's destination
        for message in self.netlink.get_routes(family=self.family, table=self.table):
            to = ip_network(f"{message.get_attr('RTA_DST') or anywhere}/{message['dst_len']}")
            if message["type"] == _RTN_UNREACHABLE:
                yield _Hold(to), 0
            else:
                gateway = message.get_attr("RTA_GATEWAY")
                yield Route(to, ip_address(gateway) if gateway else None), int(message.get_attr("RTA_OIF") or 0)

    def change(self, one: _Hold | Route, verb: str, index: int) -> None:
        """Adds or removes one route, by the interface `index`."""
        with _as_os_error():
            if isinstance(one, Route):
                network.change_route(self.netlink, verb, one, index, self.table)
            else:
                what = {"type": "unreachable", "table": self.table, "priority": METRIC, "proto": ROUTE_PROTOCOL}
                self.netlink.route(verb, family=self.family, dst=str(one.network), **what)


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from None
