"""A plane joins a session to the interface and to the links' sockets; each twin is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol

from mlvpnd.config.model import DataPlane
from mlvpnd.net.link_socket import LinkSocket
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.links.session import Session


class PlaneListener(Protocol):
    """Receives the plane's news: the tunnel."""

    def after(self) -> None:
        """The session has had input: its events, datagrams and timer must be looked at."""

    def received(self, number: int) -> None:
        """Datagrams came by a link."""


class Plane(Protocol):
    """A twin, for one tunnel."""

    name: ClassVar[DataPlane]
    session_type: ClassVar[type[Session]]

    def begin(self, session: Session, device: TunDevice, driver: PlaneListener) -> None:
        """To be called once, before anything else."""

    def end(self) -> None:
        """To be called once, after everything else: descriptors are about to be closed."""

    def watch_device(self, on_lost: Callable[[OSError], None]) -> None:
        """Reads packets from now on; calls `on_lost` when the interface is gone."""

    def unwatch_device(self) -> None:
        """Stops reading; packets can still be written."""

    def set_limits(self, mtu: int, ipv4: int, ipv6: int) -> None:
        """Sets the interface's MTU in bytes: longer packets read from it are counted.

        `ipv4` and `ipv6`: bytes of the largest segment that SYNs may allow, read and written; 0: no limit.
        """

    def deliver(self, packets: Sequence[bytes]) -> None:
        """Writes packets to the interface."""

    def attach_link(self, number: int, link_socket: LinkSocket) -> None:
        """The link has this socket from now on."""

    def detach_link(self, number: int) -> None:
        """The link's socket is about to be closed: tries to send what waits for it. Without a socket does nothing."""

    def settle(self) -> None:
        """Handles what was already read from the links: a link may be about to go, or the password to change."""

    def send(self) -> Iterable[int]:
        """Sends what the session has to send. Returns the links for whose sockets the system refuses everything."""

    def due(self) -> float | None:
        """When the session's timer is due, without deadlines that the plane serves itself; None: never."""

    def sync(self) -> None:
        """Updates the counters of session, interface and sockets."""
