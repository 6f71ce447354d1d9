"""The ends of links as addresses; each name of the file is looked up once."""

from __future__ import annotations

import math
import queue
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address

from mlvpnd.config import Config, LinkConfig
from mlvpnd.net.interface import local_end

from .finding import Finding, listed, problem
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
    remotes: tuple[IPAddress, ...] = ()
    """All addresses of `remotehost`, also of the other family."""

    def at(self, remote: IPAddress) -> Ends:
        """The same link with a peer whose address is known from elsewhere."""
        return replace(self, remote=remote)


class Resolver:
    """Looks up each host once, all at the same time: while the lines are down, a look-up takes minutes."""

    def __init__(self) -> None:
        self._known: dict[str, list[IPAddress] | OSError] = {}

    def look_up(self, hosts: Iterable[str], limit: float) -> None:
        """Looks up the hosts that are not known yet, in `limit` seconds. What takes longer counts as failed."""
        wanted = sorted({host for host in hosts if host and host not in self._known})
        answers: queue.SimpleQueue[tuple[str, list[IPAddress] | OSError]] = queue.SimpleQueue()
        for host in wanted:
            # A thread, because nothing interrupts getaddrinfo. The end of the program does not wait for it.
            threading.Thread(target=lambda host=host: answers.put((host, _look_up(host))), daemon=True).start()
        until = time.monotonic() + limit
        while not all(host in self._known for host in wanted):
            try:
                host, answer = answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                late = OSError(f"not finished within {math.ceil(limit)} s")
                self._known |= {host: late for host in wanted if host not in self._known}
                return
            self._known[host] = answer

    def addresses(self, host: str) -> list[IPAddress]:
        """All addresses in the resolver's order, of a host that was looked up. Raises OSError."""
        known = self._known[host]
        if isinstance(known, OSError):
            raise known
        return known


def _look_up(host: str) -> list[IPAddress] | OSError:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        return error
    except UnicodeError:
        return OSError("it is not a host name")
    return [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]


def ends_of(config: Config, resolver: Resolver, limit: float) -> list[Ends]:
    """The ends of all links; a link's ends have the same address family. Names are looked up for `limit` seconds."""
    links = [_with_local_end(link) for link in config.links]
    resolver.look_up((host for link in links for host in (link.bindhost, link.remotehost)), limit)
    return [_ends(link, resolver) for link in links]


def _with_local_end(link: LinkConfig) -> LinkConfig:
    """The link as a daemon takes it: a `bindhost` may be the name of an interface."""
    host, device = local_end(link.bindhost, link.binddevice)
    return replace(link, bindhost=host, binddevice=device)


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
        tuple(remote),
    )


def _port(text: str, problems: list[str]) -> int:
    if not text:
        return 0
    try:
        return int(text) if text.isdecimal() else socket.getservbyname(text, "udp")
    except OSError:
        problems.append(f"there is no service {text} in /etc/services")
        return 0


def check_ends(ends: Sequence[Ends]) -> Iterator[Finding]:
    """One finding for each thing that is wrong with ends, however many links have it."""
    links: dict[str, list[str]] = {}
    for one in ends:
        for text in dict.fromkeys(one.problems):
            links.setdefault(text, []).append(one.link.name)
    for text, names in links.items():
        yield problem("look-up", f"{listed(names)}: {text}", link=names[0] if len(names) == 1 else "")


def is_ipv6(address: IPAddress | None) -> bool:
    """Whether it is IPv6, so that the outer packet has the larger header."""
    return isinstance(address, IPv6Address)
