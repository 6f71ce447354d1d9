"""The ends of links as addresses; each name of the file is looked up once."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from mlvpnd.config import Config, LinkConfig

from .network import IPAddress


@dataclass(frozen=True, slots=True)
class Ends:
    """The addresses that a link's socket is bound to and sends to."""

    link: LinkConfig
    local: IPAddress | None = None
    """None: any, or unknown."""
    local_port: int = 0
    remote: IPAddress | None = None
    """None: a server waits for it, or unknown."""
    remote_port: int = 0
    problems: tuple[str, ...] = ()
    """Look-ups that failed, and ends that do not fit."""


class Resolver:
    """Looks up each host once: while the lines are down, a look-up takes the system's full time limit."""

    def __init__(self) -> None:
        self._known: dict[str, list[IPAddress] | OSError] = {}

    def addresses(self, host: str) -> list[IPAddress]:
        """All addresses in the resolver's order. Raises OSError."""
        if host not in self._known:
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            except OSError as error:
                self._known[host] = error
            except UnicodeError:
                self._known[host] = OSError("it is not a host name")
            else:
                self._known[host] = [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
        known = self._known[host]
        if isinstance(known, OSError):
            raise known
        return known


def ends_of(config: Config, resolver: Resolver) -> list[Ends]:
    """The ends of all links; a link's ends have the same address family."""
    return [_ends(link, resolver) for link in config.links]


def _ends(link: LinkConfig, resolver: Resolver) -> Ends:
    problems: list[str] = []

    def look_up(host: str) -> list[IPAddress]:
        try:
            return resolver.addresses(host) if host else []
        except OSError as error:
            problems.append(f"{host} cannot be looked up: {error.strerror or error}")
            return []

    local, remote = look_up(link.bindhost), look_up(link.remotehost)
    versions = {address.version for address in local} if local else {4, 6}
    chosen = next((address for address in remote if address.version in versions), None)
    if remote and chosen is None:
        problems.append(f"bindhost {link.bindhost} and remotehost {link.remotehost} have no address family in common")
    own = next((address for address in local if chosen is None or address.version == chosen.version), None)
    if own is not None and own.is_unspecified:
        own = None
    return Ends(
        link,
        own,
        _port(link.bindport, problems),
        chosen,
        _port(link.remoteport, problems),
        tuple(problems),
    )


def _port(text: str, problems: list[str]) -> int:
    if not text:
        return 0
    try:
        return int(text) if text.isdecimal() else socket.getservbyname(text, "udp")
    except OSError:
        problems.append(f"there is no service {text} in /etc/services")
        return 0


def is_ipv6(address: IPAddress | None) -> bool:
    """Whether it is IPv6, so that the outer packet has the larger header."""
    return isinstance(address, IPv6Address)
