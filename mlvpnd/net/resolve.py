"""Host and port texts to socket addresses: numbers here, names by whoever may look them up.

The daemon by hand is in an empty chroot and cannot resolve; the helper does it for names of the file.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Resolved = tuple[int, Any]
"""Address family and socket address."""
Lookup = Callable[[], Awaitable[list[Resolved]]]
"""Looks the same host and port up by name; raises OSError or MlvpndError."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A pair of ends that one socket can join."""

    family: int
    local: Any
    """Where to bind; a wildcard and port 0 where nothing is said."""
    remote: Any | None
    """The peer; None for a server, which learns it."""


def numeric(host: str, port: str, *, passive: bool = False) -> list[Resolved] | None:
    """Addresses of a host and port that need no look-up, or None if they do.

    Works in a chroot: nothing but the text is consulted.
    """
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV | (socket.AI_PASSIVE if passive else 0)
    try:
        found = socket.getaddrinfo(host or None, port or "0", type=socket.SOCK_DGRAM, flags=flags)
    except (OSError, UnicodeError):
        return None
    return [(family, address) for family, _, _, _, address in found]


async def addresses(host: str, port: str, lookup: Lookup, *, passive: bool = False) -> list[Resolved]:
    """Addresses of a host and port, in the resolver's order."""
    found = numeric(host, port, passive=passive)
    return found if found is not None else await lookup()


def pairs(local: list[Resolved], remote: list[Resolved]) -> list[Endpoints]:
    """Every remote address with the first local one of its family, in the order of the remote ones."""
    first = {family: address for family, address in reversed(local)}
    return [Endpoints(family, first[family], address) for family, address in remote if family in first]
