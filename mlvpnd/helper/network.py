"""For `configure_interface = 1`: sets the interface's link state, GSO limit, addresses and routes, and undoes it.

The kernel remembers what was set, as long as the interface exists: routes have a protocol number of their own, all
else is noted in the interface's alias (`ip link show`). So a new helper process removes what an earlier one has set,
and nothing of somebody else's.

When an interface goes with its last descriptor, all of this goes too. `withdraw` is for interfaces that stay: while
the daemon runs, or because they are persistent.

The first call that needs pyroute2 imports it: the import takes a third of a second, and most files do not need it.
All calls block; the helper makes them in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
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
from typing import TYPE_CHECKING

from mlvpnd.config.model import Config
from mlvpnd.config.values import is_default
from mlvpnd.errors import MlvpndError
from mlvpnd.net.interface import ROUTE_PROTOCOL as ROUTE_PROTOCOL

if TYPE_CHECKING:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # ships no types

_MARK = "mlvpnd has set: "
_UP = "up"
_GSO = "gso:"
_MAX_UDP_PAYLOAD = 65473
"""Bytes of one send that a device takes whole over IPv6: the lower one of `net.link_socket.MAX_RUN_SIZE`, because the
links' family is not known here."""
_MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of linux/udp.h, before it became 128
_AROUND = 28 + 16
"""Bytes that a datagram has besides its packet: mlvpn's header and the tag."""
_INNER_HEADERS = 40 + 20 + 12
"""Bytes of headers in each segment: IPv6, TCP, timestamps."""
_DEFAULT_GSO = 65536  # GSO_LEGACY_MAX_SIZE of linux/netdevice.h
_IFF_UP = 1
TABLE_MAIN = 254
_RTN_UNICAST = 1
_ANYWHERE4 = "0.0.0.0"  # noqa: S104 - a route's destination
_ANYWHERE6 = "::"
_GONE = frozenset((errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENETDOWN))


class NetworkError(MlvpndError):
    """Something could not be set; the text names each address and route. The rest was set: `done` names it."""

    def __init__(self, text: str, done: list[str] | None = None) -> None:
        super().__init__(text)
        self.done = done or []


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The interface is up."""

    def __str__(self) -> str:
        return "link up"


@dataclass(frozen=True, slots=True)
class GsoLimit:
    """The largest super-packet, in bytes, that the kernel may give us to cut."""

    size: int

    def __str__(self) -> str:
        return f"gso_max_size {self.size}"


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the interface."""

    value: IPv4Interface | IPv6Interface

    def __str__(self) -> str:
        return f"address {self.value}"


@dataclass(frozen=True, slots=True)
class Route:
    """A route through the interface."""

    network: IPv4Network | IPv6Network
    gateway: IPv4Address | IPv6Address | None

    def __str__(self) -> str:
        return f"route {self.network}" + (f" via {self.gateway}" if self.gateway else "")


Item = LinkUp | GsoLimit | Address | Route


def gso_limit(mtu: int) -> int:
    """The largest super-packet, in bytes, whose segments, each in its own datagram, fit one send with UDP_SEGMENT."""
    segments = min(_MAX_SEGMENTS, _MAX_UDP_PAYLOAD // (mtu + _AROUND))
    return max(mtu, segments * (mtu - _INNER_HEADERS) + _INNER_HEADERS)


def wanted(config: Config, problems: list[str], *, default_routes: bool = True) -> list[Item]:
    """What the file asks for, in the order of setting it; appends to `problems` what cannot be read.

    Default routes are left out unless they are to be in.
    """
    addresses: list[Item] = []
    routes: list[Route] = []
    if config.ip4:
        try:
            addresses.append(Address(IPv4Interface(config.ip4)))
        except ValueError as error:
            problems.append(f"ip4: {error}")
    if config.ip6:
        try:
            addresses.append(Address(IPv6Interface(config.ip6)))
        except ValueError as error:
            problems.append(f"ip6: {error}")
    for route in config.ip4_routes.split():
        try:
            gateway4 = IPv4Address(config.ip4_gateway) if config.ip4_gateway else None
            routes.append(Route(IPv4Network("0.0.0.0/0" if route == "default" else route), gateway4))
        except ValueError as error:
            problems.append(f"ip4_routes: {route}: {error}")
    for route in config.ip6_routes.split():
        try:
            gateway6 = IPv6Address(config.ip6_gateway) if config.ip6_gateway else None
            routes.append(Route(IPv6Network("::/0" if route == "default" else route), gateway6))
        except ValueError as error:
            problems.append(f"ip6_routes: {route}: {error}")
    now = [route for route in routes if default_routes or not is_default(route.network)]
    return list(dict.fromkeys([LinkUp(), *addresses, *now]))


def default_routes_of(config: Config) -> list[Route]:
    """The default routes that the file asks for."""
    return [item for item in wanted(config, []) if isinstance(item, Route) and is_default(item.network)]


def apply(device: str, config: Config, *, default_routes: bool = True) -> list[str]:
    """Makes `device` what the file asks for: sets what is missing, removes what only an earlier file asked for.

    What the file asks for and somebody else had set before is left alone, also by `withdraw`. May be repeated. Returns
    what was missing and was set, in words. Raises NetworkError.
    """
    problems: list[str] = []
    items = wanted(config, problems, default_routes=default_routes)
    with opened(device) as (netlink, index):
        if _gso(netlink, index) is not None:
            items.append(GsoLimit(gso_limit(_mtu(netlink, index))))
        ours = _ours(netlink, index)
        _remove(netlink, index, [item for item in ours if item not in items], problems)
        present = set(_present(netlink, index))
        missing = [item for item in items if item not in present]
        noted = [item for item in items if item in ours or item in missing]
        # Noted before it is done: if this process dies meanwhile, what was set must not be forgotten.
        _note(netlink, index, noted)
        done: list[Item] = []
        for item in missing:
            try:
                _change(netlink, "add", item, index)
            except OSError as error:
                problems.append(_refusal(item, error))
            else:
                done.append(item)
        if len(done) < len(missing):
            _note(netlink, index, [item for item in noted if item in done or item not in missing])
    words = [str(item) for item in done if not isinstance(item, GsoLimit)]  # it follows the MTU, which may just change
    if problems:
        raise NetworkError(f"{device}: " + "; ".join(problems), words)
    return words


def withdraw(device: str) -> bool:
    """Removes everything that `apply` has set on `device`, in this or an earlier process. Raises NetworkError.

    Returns False if it is sure that `apply` has set nothing.
    """
    if _is_surely_untouched(device):
        return False
    problems: list[str] = []
    with opened(device) as (netlink, index):
        ours = _ours(netlink, index)
        _remove(netlink, index, ours, problems)
        if ours:
            _note(netlink, index, [])
    if problems:
        raise NetworkError(f"{device}: " + "; ".join(problems))
    return True


def _is_surely_untouched(device: str) -> bool:
    """Whether the interface's alias shows that nothing was set. As with most files, pyroute2 is then not imported."""
    try:
        present = socket.if_nametoindex(device)
    except OSError:
        return True  # it is gone, and took everything along
    try:
        with open(f"/sys/class/net/{device}/ifindex") as index, open(f"/sys/class/net/{device}/ifalias") as alias:
            # /sys may be that of another network namespace.
            return int(index.read()) == present and not alias.read().startswith(_MARK)
    except (OSError, ValueError):
        return False


def _remove(netlink: IPRoute, index: int, items: list[Item], problems: list[str]) -> None:
    """Removes items, the newest first."""
    for item in reversed(items):
        try:
            _change(netlink, "del", item, index)
        except OSError as error:
            if error.errno not in _GONE:
                problems.append(_refusal(item, error))


def _ours(netlink: IPRoute, index: int) -> list[Item]:
    """What `apply` has set, without what is known to be gone, in the order of `wanted`."""
    items: list[Item] = []
    alias = str(netlink.get_links(index)[0].get_attr("IFLA_IFALIAS") or "")
    for word in alias.removeprefix(_MARK).split() if alias.startswith(_MARK) else ():
        if word == _UP:
            items.append(LinkUp())
            continue
        try:
            gso = word.startswith(_GSO)
            items.append(GsoLimit(int(word.removeprefix(_GSO))) if gso else Address(ip_interface(word)))
        except ValueError:
            continue  # somebody else has written it
    items += [route for route, protocol in _routes(netlink, index) if protocol == ROUTE_PROTOCOL]
    return items


def _note(netlink: IPRoute, index: int, items: list[Item]) -> None:
    """Notes `items` in the alias for `_ours`, except routes: their protocol number tells them.

    An alias that says so already is not written: the kernel would tell everybody of a change.
    """
    words = []
    for item in items:
        if isinstance(item, LinkUp):
            words.append(_UP)
        elif isinstance(item, GsoLimit):
            words.append(f"{_GSO}{item.size}")
        elif isinstance(item, Address):
            words.append(str(item.value))
    alias = _MARK + " ".join(words) if words else ""
    if alias != (netlink.get_links(index)[0].get_attr("IFLA_IFALIAS") or ""):
        netlink.link("set", index=index, IFLA_IFALIAS=alias)


@contextlib.contextmanager
def opened(device: str) -> Iterator[tuple[IPRoute, int]]:
    """A netlink socket and the interface's index. Raises NetworkError, also if the interface goes meanwhile."""
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # ships no types

    try:
        with connect() as netlink:
            yield netlink, _find(netlink, device)
    except NetlinkError as error:
        raise NetworkError(f"{device}: {os.strerror(error.code)}") from None


def connect() -> IPRoute:
    from pyroute2 import IPRoute

    return IPRoute()


def _find(netlink: IPRoute, device: str) -> int:
    """The index of a TUN or TAP interface; raises NetworkError for any other."""
    try:
        index = socket.if_nametoindex(device)
        link = netlink.get_links(index)[0]
    except (OSError, LookupError):
        raise NetworkError(f"{device}: no such interface") from None
    if link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "tun":
        raise NetworkError(f"{device}: not a tun or tap interface")
    return index


def _gso(netlink: IPRoute, index: int) -> int | None:
    """The interface's GSO limit in bytes; None: the kernel tells none."""
    size = netlink.get_links(index)[0].get_attr("IFLA_GSO_MAX_SIZE")
    return None if size is None else int(size)


def _mtu(netlink: IPRoute, index: int) -> int:
    return int(netlink.get_links(index)[0].get_attr("IFLA_MTU"))


def _present(netlink: IPRoute, index: int) -> Iterator[Item]:
    """What the interface has now."""
    if netlink.get_links(index)[0]["flags"] & _IFF_UP:
        yield LinkUp()
    if (size := _gso(netlink, index)) is not None:
        yield GsoLimit(size)
    for address in netlink.get_addr(index=index):
        text = address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
        yield Address(ip_interface(f"{text}/{address['prefixlen']}"))
    for route, _protocol in _routes(netlink, index):
        yield route


def _routes(netlink: IPRoute, index: int) -> Iterator[tuple[Route, int]]:
    """The interface's routes in the main table, each with its protocol number."""
    for family, anywhere in ((socket.AF_INET, _ANYWHERE4), (socket.AF_INET6, _ANYWHERE6)):
        for route in netlink.get_routes(family=family, oif=index):
            if route["table"] != TABLE_MAIN or route["type"] != _RTN_UNICAST:
                continue
            network = ip_network(f"{route.get_attr('RTA_DST') or anywhere}/{route['dst_len']}")
            gateway = route.get_attr("RTA_GATEWAY")
            yield Route(network, ip_address(gateway) if gateway else None), int(route["proto"])


def _change(netlink: IPRoute, verb: str, item: Item, index: int) -> None:
    """Adds or removes one thing; raises OSError."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        if isinstance(item, LinkUp):
            netlink.link("set", index=index, state="up" if verb == "add" else "down")
        elif isinstance(item, GsoLimit):
            netlink.link("set", index=index, gso_max_size=item.size if verb == "add" else _DEFAULT_GSO)
        elif isinstance(item, Address):
            netlink.addr(verb, index=index, address=str(item.value.ip), prefixlen=item.value.network.prefixlen)
        else:
            change_route(netlink, verb, item, index)
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from None


def change_route(netlink: IPRoute, verb: str, route: Route, index: int, table: int = TABLE_MAIN) -> None:
    """Adds or removes a route; raises pyroute2's NetlinkError."""
    family = socket.AF_INET if route.network.version == 4 else socket.AF_INET6
    more: dict[str, object] = {"table": table} if table != TABLE_MAIN else {}
    if route.gateway is not None:
        # The far end is always on the link, whether or not our address's prefix covers it.
        more |= {"gateway": str(route.gateway), "flags": ["onlink"]}
    netlink.route(verb, family=family, dst=str(route.network), oif=index, proto=ROUTE_PROTOCOL, **more)


def _refusal(item: Item, error: OSError) -> str:
    if error.errno == errno.EEXIST:
        return f"{item}: another one exists already"
    return f"{item}: {error.strerror}"
