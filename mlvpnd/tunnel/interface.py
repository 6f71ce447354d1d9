"""The tunnel's TUN or TAP interface: packets in bursts, what the helper sets on it, and how it is got back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mlvpnd.dataplane.plane import Plane
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperClient
from mlvpnd.logs.journal import fields
from mlvpnd.logs.log import logger
from mlvpnd.logs.tasks import watched
from mlvpnd.net.interface import interface_of, is_gone, mtu_of
from mlvpnd.net.mirror import Mirror
from mlvpnd.net.tun import TunDevice
from mlvpnd.offload.mss import limits_for
from mlvpnd.systemd.fd_store import Keeper
from mlvpnd.systemd.notify import TUN

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
        self.mss = (0, 0)
        """Bytes of a segment that SYNs over IPv4, and over IPv6, allow at most; 0: what they say. From `start` on."""
        self.kept = kept
        """Whether it is that of the process before, with all that was set on it."""
        self._helper = helper
        self._keeper = keeper
        self._started = False
        """It may be configured before."""
        self._mss_clamp: int | None = None
        self._wider: tuple[str, int] | None = None
        """A port of the same bridge that takes more, and what it takes, as last told."""
        self._ipv6_path = False
        self._work: set[asyncio.Task[None]] = set()
        self._configuring: asyncio.Task[None] | None = None
        self._stale = False
        """Whether there is something that the interface has not been configured for yet."""
        helper.use_tun(device.fileno)

    def start(self, plane: Plane, on_regained: Callable[[], None], mss_clamp: int | None = None) -> None:
        """Has packets read from now on; `on_regained()` is called when the interface was lost and is there again.

        `mss_clamp` is as in the configuration.
        """
        self._plane, self._on_regained, self._mss_clamp = plane, on_regained, mss_clamp
        self._started = True
        self._clamp()
        plane.watch_device(self.lost)

    def _clamp(self) -> None:
        """Has SYNs allow what the interface takes at most, or what the file says, and longer packets counted."""
        if not self._started:
            return
        chosen = self._mss_clamp
        self.mss = limits_for(self.mtu) if chosen is None else (chosen, chosen)
        self._plane.set_limits(self.mtu, *self.mss)

    def look(self, mirror: Mirror) -> None:
        """Something about an interface of this host has changed: perhaps the MTU of this one, or its bridge."""
        try:
            name, _ = interface_of(self.device.fileno())
            mtu = mtu_of(name)
        except OSError:
            return
        if mtu != self.mtu:
            self._take_mtu(mtu)
        beside = mirror.widest_beside(mirror.number(name))
        wider = (beside.name, beside.mtu) if beside is not None and beside.mtu > mtu else None
        if wider is not None and wider != self._wider:
            _log.warning(
                "%s takes %d bytes and is in a bridge with %s, which takes %d: longer frames are dropped there, and"
                " nobody is told; set mtu = %d at both ends",
                name, mtu, *wider, wider[1],
            )  # fmt: skip
        self._wider = wider

    def _take_mtu(self, mtu: int) -> None:
        self.mtu = mtu
        self._clamp()

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

    def follow(self, mss_clamp: int | None) -> None:
        """As `reconfigure`, with another `mss_clamp` of the configuration, which is in force at once."""
        self._mss_clamp = mss_clamp
        self._clamp()
        self.reconfigure()

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
            self._take_mtu(await self._helper.configure_tun(ipv6_path=self._ipv6_path))
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
        self.name = opened.name
        self._take_mtu(opened.mtu)
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
