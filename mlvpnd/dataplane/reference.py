"""The reference twin: in Python, one turn of the event loop for each burst."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from mlvpnd.config.model import DataPlane
from mlvpnd.net.link_socket import LinkSocket
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.links.session import Session

from .plane import PlaneListener

TUN_BURST = 64
"""Packets taken from the interface before others have their turn."""
LINK_BURST = 64
"""Datagrams taken from one socket before the others have their turn."""


class ReferencePlane:
    """See `plane.Plane`."""

    name: ClassVar[DataPlane] = DataPlane.REFERENCE
    session_type: ClassVar[type[Session]] = Session

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sockets: dict[int, LinkSocket] = {}
        self._device: TunDevice
        self._news: asyncio.Handle | None = None
        """Will tell the driver what links have brought, after all links that are readable in this turn of the loop."""

    def begin(self, session: Session, device: TunDevice, driver: PlaneListener) -> None:
        self._session, self._device, self._driver = session, device, driver

    def end(self) -> None:
        """Nothing to do: this plane does nothing by itself."""

    # The interface.

    def watch_device(self, on_lost: Callable[[OSError], None]) -> None:
        self._on_lost = on_lost
        self._loop.add_reader(self._device.fileno(), self._on_packets)

    def unwatch_device(self) -> None:
        self._loop.remove_reader(self._device.fileno())

    def _on_packets(self) -> None:
        try:
            packets = self._device.read_batch(TUN_BURST)
        except OSError as error:
            self._on_lost(error)
        else:
            self._session.send(packets, self._loop.time())
            self._driver.after()

    def set_limits(self, mtu: int, ipv4: int, ipv6: int) -> None:
        self._device.mtu, self._device.mss = mtu, (ipv4, ipv6)

    def deliver(self, packets: Sequence[bytes]) -> None:
        self._device.write_batch(packets)

    # Links.

    def attach_link(self, number: int, link_socket: LinkSocket) -> None:
        self._sockets[number] = link_socket
        self._loop.add_reader(link_socket.fileno(), self._on_link, number)

    def detach_link(self, number: int) -> None:
        if number in self._sockets:
            self.send()
            link_socket = self._sockets.pop(number)
            self._loop.remove_reader(link_socket.fileno())
            self._loop.remove_writer(link_socket.fileno())

    def _on_link(self, number: int) -> None:
        link_socket = self._sockets[number]
        datagrams = link_socket.receive_batch(LINK_BURST)
        if packets := self._session.receive(number, datagrams, self._loop.time()):
            self.deliver(packets)
        self._driver.received(number)
        if self._news is None:
            self._news = self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._news = None
        self._driver.after()

    def _on_writable(self, number: int) -> None:
        link_socket = self._sockets[number]
        link_socket.flush()
        if not link_socket.blocked:
            self._loop.remove_writer(link_socket.fileno())

    def settle(self) -> None:
        """All that was read is handled already, but the driver may not have been told."""
        if self._news is not None:
            self._news.cancel()
            self._tell()

    def send(self) -> Iterable[int]:
        for number, address, datagrams in self._session.transmits():
            link_socket = self._sockets.get(number)
            if link_socket is None:
                continue
            link_socket.send_batch(datagrams, address)
            if link_socket.blocked:
                self._loop.add_writer(link_socket.fileno(), self._on_writable, number)
        return [number for number, link_socket in self._sockets.items() if link_socket.refused_for is not None]

    # Time.

    def due(self) -> float | None:
        return self._session.get_timer()

    def sync(self) -> None:
        """Nothing to do: session, interface and sockets count for themselves."""
