"""What a session reports to its driver; each happened once, in this order."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .path import Address, PathStatus
from .selection import Tier


class DownReason(enum.Enum):
    """Why a link is down; the value is the word that status shows."""

    TIMEOUT = "timeout"
    DISCONNECTED = "disconnect received"
    CLOSED = "closed"
    """On purpose."""
    DISABLED = "disabled"
    """An operator took it out of use."""
    UNHEARD = "the peer does not hear us"
    """The peer asks again, or has echoed none of our stamps for too long."""
    SOCKET_LOST = "socket lost"
    """The system takes nothing that goes out by the socket, or its interface went away."""
    ADDRESS_GONE = "address gone"
    """The local address was taken away."""
    CARRIER_LOST = "carrier lost"
    """The interface that has the address, or that the link is bound to, has no carrier any more."""
    INTERFACE_DOWN = "interface down"
    """Somebody has set the interface down."""
    INTERFACE_GONE = "interface gone"
    """The interface was deleted, or another has taken its name."""


@dataclass(frozen=True, slots=True)
class PathCalling:
    """A client has begun to ask for the peer, or a server has been asked and waits to be heard."""

    path: int


@dataclass(frozen=True, slots=True)
class PathUnheard:
    """A client asks again and again: the answers of this server do not arrive. Told once until the link is up."""

    path: int


@dataclass(frozen=True, slots=True)
class PathForgotten:
    """A client that was answered, and has not shown that it heard the answer, asks no more."""

    path: int


@dataclass(frozen=True, slots=True)
class PathUp:
    """The link carries traffic from now on."""

    path: int


@dataclass(frozen=True, slots=True)
class PathDown:
    """An up link carries no traffic any more."""

    path: int
    reason: DownReason


@dataclass(frozen=True, slots=True)
class PathStatusChanged:
    """An up link became lossy or slow, or well again."""

    path: int
    before: PathStatus
    after: PathStatus


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """An authentic, fresh packet came from a new address; replies go there now."""

    path: int
    address: Address


@dataclass(frozen=True, slots=True)
class PeerRestarted:
    """The peer began a new session on an up link: it was restarted."""

    path: int


@dataclass(frozen=True, slots=True)
class PathUnanswered:
    """`UNANSWERED_AUTHS` more AUTHs went without an answer: another address may be worth a try."""

    path: int


@dataclass(frozen=True, slots=True)
class TierChanged:
    """Traffic moved to links of another kind."""

    before: Tier
    after: Tier


Event = (
    PathCalling
    | PathUnheard
    | PathForgotten
    | PathUp
    | PathDown
    | PathStatusChanged
    | PeerMoved
    | PeerRestarted
    | PathUnanswered
    | TierChanged
)
