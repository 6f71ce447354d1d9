"""What joins a session to the interface and to the links' sockets; both twins are one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol

from mlvpnd.config.model import DataPlane
from mlvpnd.net.link_socket import LinkSocket
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.links.session import Session


class PlaneListener(Protocol):
    """Whom the plane tells."""

    def after(self) -> None:
        """The session has had input: its events, datagrams and timer are to be looked at."""

    def received(self, number: int) -> None:
        """Something came by a link."""


class Plane(Protocol):
    """A twin, for one tunnel."""

    name: ClassVar[DataPlane]
    session_type: ClassVar[type[Session]]

    def begin(self, session: Session, device: TunDevice, driver: PlaneListener) -> None:
        """To be called once, before all else."""

    def end(self) -> None:
        """To be called once, after all else: descriptors are about to be closed."""

    def watch_device(self, on_lost: Callable[[OSError], None]) -> None:
        """Reads packets from now on; `on_lost` is told when the interface is gone."""

    def unwatch_device(self) -> None:
        """Reads no more; what is written still goes out."""

    def set_limits(self, mtu: int, ipv4: int, ipv6: int) -> None:
        """The interface takes `mtu` bytes: what it gives beyond that is counted.

        SYNs over IPv4, and over IPv6, allow segments of so many bytes at most, read and written; 0: what they say.
        """

    def deliver(self, packets: Sequence[bytes]) -> None:
        """Packets for the interface."""

    def attach_link(self, number: int, link_socket: LinkSocket) -> None:
        """The link has this socket from now on."""

    def detach_link(self, number: int) -> None:
        """The link's socket is about to be closed: what waits for it is sent if it can be. None: nothing is done."""

    def settle(self) -> None:
        """Deals with what was read from the links already: one may be about to go, or the password to change."""

    def send(self) -> Iterable[int]:
        """Sends what the session has to send; the links whose socket the system refuses everything for."""

    def due(self) -> float | None:
        """When the session's timer is, as far as the plane does not see to it; None: never."""

    def sync(self) -> None:
        """Brings the counters of session and edges up to date."""
