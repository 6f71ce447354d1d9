"""Turns host and port texts into socket addresses: numbers here, names by whoever may look them up.

By hand the daemon is in an empty chroot and cannot resolve names; the helper does it for the file's names.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Resolved = tuple[int, Any]
"""Address family and socket address."""
Lookup = Callable[[], Awaitable[list[Resolved]]]
"""Looks up the same host and port as names. Raises OSError or MlvpndError."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Two ends that one socket can join."""

    family: int
    local: Any
    """Where to bind; by default a wildcard and port 0."""
    remote: Any | None
    """The peer; None: a server, which learns it."""


def numeric(host: str, port: str, *, passive: bool = False) -> list[Resolved] | None:
    """The addresses of a host and port; None: they need a look-up.

    Works in a chroot: it uses nothing but the text.
    """
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV | (socket.AI_PASSIVE if passive else 0)
    try:
        found = socket.getaddrinfo(host or None, port or "0", type=socket.SOCK_DGRAM, flags=flags)
    except (OSError, UnicodeError):
        return None
    return [(family, address) for family, _, _, _, address in found]


async def addresses(host: str, port: str, lookup: Lookup, *, passive: bool = False) -> list[Resolved]:
    """The addresses of a host and port in the resolver's order."""
    found = numeric(host, port, passive=passive)
    return found if found is not None else await lookup()


def pairs(local: list[Resolved], remote: list[Resolved]) -> list[Endpoints]:
    """Each remote address with the first local one of its family, in the remote ones' order."""
    first = {family: address for family, address in reversed(local)}
    return [Endpoints(family, first[family], address) for family, address in remote if family in first]
