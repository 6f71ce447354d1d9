"""What a tunnel has counted, over restarts, and where its peers were: what of the session outlasts a stop."""

from __future__ import annotations

from collections.abc import Mapping

from mlvpnd.dataplane.plane import Plane
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.links.session import Session

from .lasting import Counters, Lasting
from .link_opener import LinkOpener


class Counting:
    """Joins the counters of the running session to those that `lasting` keeps."""

    def __init__(
        self, lasting: Lasting, session: Session, drivers: Mapping[int, LinkOpener], plane: Plane, device: TunDevice
    ) -> None:
        self._lasting = lasting
        self._session = session
        self._drivers = drivers
        self._plane = plane
        self._device = device

    def total(self, number: int | None) -> Counters:
        """What was counted of a link, over restarts; None: of the interface."""
        if number is None:
            return self._lasting.total("", self._of_interface())
        return self._lasting.total(self._drivers[number].config.name, self._of_link(number))

    def _of_link(self, number: int) -> Counters:
        """What this process has counted of a link, since the link began."""
        path = self._session.path(number)
        return Counters(
            path.packets_sent, path.bytes_sent, path.packets_received, path.bytes_received, path.disconnects
        )

    def _of_interface(self) -> Counters:
        device = self._device
        return Counters(device.packets_read, device.bytes_read, device.packets_written, device.bytes_written)

    def note(self) -> None:
        """Notes what is to outlast a stop."""
        self._plane.sync()
        for number in self._drivers:
            self._lasting.note(self._drivers[number].config.name, self._of_link(number))
            self.learn_address(number)
        self._lasting.note("", self._of_interface())

    def restart(self, number: int) -> None:
        """The link is taken out. If it comes back, its counters go on."""
        self._lasting.restart(self._drivers[number].config.name, self._of_link(number))

    def forget(self) -> None:
        """All counters begin at 0."""
        self._plane.sync()
        counted = {driver.config.name: self._of_link(number) for number, driver in self._drivers.items()}
        self._lasting.forget({**counted, "": self._of_interface()})

    def learn_address(self, number: int) -> None:
        """Remembers the addresses of a client's peer while the link is up; first the one where it is."""
        driver, path = self._drivers[number], self._session.path(number)
        if path.up:
            peer = path.peer
            here = [one for one in driver.remotes if peer is not None and one[1][:2] == peer[:2]]
            self._lasting.learn(driver.config, [*here, *(one for one in driver.remotes if one not in here)])
