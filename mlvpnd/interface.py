"""The tunnel's TUN or TAP interface: packets in bursts, what the helper sets on it, and how it is got back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from .dataplane.plane import Plane
from .errors import MlvpndError
from .helper.client import HelperClient
from .journal import fields
from .keeper import Keeper
from .log import logger
from .net.interface import is_gone
from .net.tun import TunDevice
from .systemd import TUN
from .tasks import watched

RETRY = 1.0
"""Seconds between attempts to get an interface back that was deleted under us."""

_log = logger("tuntap")


class Interface:
    """An open interface."""

    def __init__(
        self,
        helper: HelperClient,
        device: TunDevice,
        name: str,
        mtu: int,
        *,
        keeper: Keeper | None = None,
        kept: bool = False,
    ) -> None:
        self.device = device
        self.name = name
        self.mtu = mtu
        """Bytes."""
        self.kept = kept
        """Whether it is that of the process before, with all that was set on it."""
        self._helper = helper
        self._keeper = keeper
        self._ipv6_path = False
        self._work: set[asyncio.Task[None]] = set()
        self._configuring: asyncio.Task[None] | None = None
        self._stale = False
        """Whether there is something that the interface has not been configured for yet."""
        helper.use_tun(device.fileno)

    def start(self, plane: Plane, on_regained: Callable[[], None]) -> None:
        """Has packets read from now on; `on_regained()` is called when the interface was lost and is there again."""
        self._plane, self._on_regained = plane, on_regained
        plane.watch_device(self.lost)

    def pause(self) -> None:
        """Reads no more; what is written still goes out."""
        self._plane.unwatch_device()
        for task in self._work:
            task.cancel()

    def close(self) -> None:
        """Gives the descriptor up: with the last one the interface goes."""
        self.device.close()

    def use_ipv6(self, *, mtu_is_unset: bool) -> None:
        """A link's outer packets are IPv6: an unset MTU is then less."""
        if not self._ipv6_path:
            self._ipv6_path = True
            if mtu_is_unset:
                self.reconfigure()

    def reconfigure(self) -> None:
        """Begins `configure`; returns at once."""
        self._begin_configuring()

    async def configure(self) -> None:
        """Has the helper set MTU, addresses and routes as the file says now.

        One that is under way is followed by one more, for any number of callers.
        """
        await asyncio.wait([self._begin_configuring()])

    def _begin_configuring(self) -> asyncio.Task[None]:
        self._stale = True
        if self._configuring is None or self._configuring.done():
            self._configuring = asyncio.create_task(self._follow(), name="interface")
            self._spawn(self._configuring)
        return self._configuring

    async def _follow(self) -> None:
        while self._stale:
            self._stale = False
            await self._configure_once()

    async def _configure_once(self) -> None:
        try:
            self.mtu = await self._helper.configure_tun(ipv6_path=self._ipv6_path)
        except MlvpndError as error:
            # One that was deleted meanwhile is made again, and then configured.
            level = logging.DEBUG if is_gone(self.device.fileno()) else logging.WARNING
            _log.log(level, "%s %s", self.name, error)

    def lost(self, error: OSError) -> None:
        """Somebody deleted the interface: it is made again."""
        _log.critical("tuntap device closed: %s", error.strerror, extra=fields("interface-lost"))
        self._plane.unwatch_device()
        self._spawn(asyncio.create_task(self._regain(), name="interface"))

    async def _regain(self) -> None:
        while True:
            try:
                opened = await self._helper.open_tun()
            except MlvpndError as error:
                _log.debug("%s", error)
                await asyncio.sleep(RETRY)
                continue
            break
        self.device.replace(opened.fd)
        self.name, self.mtu = opened.name, opened.mtu
        if self._keeper is not None:
            self._keeper.forget_inherited(TUN)
            self._keeper.store(TUN, opened.fd)
        _log.info("created interface `%s' again", self.name)
        self._plane.watch_device(self.lost)
        await self.configure()
        self._on_regained()

    def _spawn(self, task: asyncio.Task[None]) -> None:
        self._work.add(watched(task))
        task.add_done_callback(self._work.discard)
