"""The tunnel's TUN or TAP interface: what the helper sets on it, and how it is made again after it was deleted."""

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
"""Seconds between attempts to make a deleted interface again."""

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
        """Bytes. Largest segment that SYNs may allow, over IPv4 and over IPv6; 0: no limit. Valid from `start` on."""
        self.kept = kept
        """Whether the interface comes from the process before, with everything that was set on it."""
        self._helper = helper
        self._keeper = keeper
        self._started = False
        """The interface may be configured before `start`."""
        self._mss_clamp: int | None = None
        self._wider: tuple[str, int] | None = None
        """As last warned of: a port of the same bridge with a larger MTU, and this MTU."""
        self._ipv6_path = False
        self._work: set[asyncio.Task[None]] = set()
        self._configuring: asyncio.Task[None] | None = None
        self._stale = False
        """Whether the interface must be configured once more."""
        helper.use_tun(device.fileno)

    def start(self, plane: Plane, on_regained: Callable[[], None], mss_clamp: int | None = None) -> None:
        """Has packets read from now on. `on_regained()` is called when a lost interface is there again.

        `mss_clamp` is the configuration's.
        """
        self._plane, self._on_regained, self._mss_clamp = plane, on_regained, mss_clamp
        self._started = True
        self._clamp()
        plane.watch_device(self.lost)

    def _clamp(self) -> None:
        """Limits the segments that SYNs allow to the MTU or the file's value, and has packets above the MTU counted."""
        if not self._started:
            return
        chosen = self._mss_clamp
        self.mss = limits_for(self.mtu) if chosen is None else (chosen, chosen)
        self._plane.set_limits(self.mtu, *self.mss)

    def look(self, mirror: Mirror) -> None:
        """Some interface of this host has changed: checks this one's MTU and its bridge."""
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
                "the bridge drops frames of more than %d bytes for %s without a message: its other port %s takes %d"
                " bytes. Set mtu = %d at both ends",
                mtu, name, *wider, wider[1],
            )  # fmt: skip
        self._wider = wider

    def _take_mtu(self, mtu: int) -> None:
        self.mtu = mtu
        self._clamp()

    def pause(self) -> None:
        """Stops reading; packets can still be written."""
        self._plane.unwatch_device()
        for task in self._work:
            task.cancel()

    def close(self) -> None:
        """Closes the descriptor: the interface goes with its last one."""
        self.device.close()

    def use_ipv6(self, *, mtu_is_unset: bool) -> None:
        """A link's outer packets are IPv6: the MTU is then smaller, unless the file sets it."""
        if not self._ipv6_path:
            self._ipv6_path = True
            if mtu_is_unset:
                self.reconfigure()

    def reconfigure(self) -> None:
        """Begins `configure`; returns at once."""
        self._begin_configuring()

    def follow(self, mss_clamp: int | None) -> None:
        """As `reconfigure`, with a new `mss_clamp`, which is in force at once."""
        self._mss_clamp = mss_clamp
        self._clamp()
        self.reconfigure()

    async def configure(self) -> None:
        """Has the helper set MTU, addresses and routes as the file says now.

        If a run is under way, one more follows it, for any number of callers.
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
            # If it was deleted meanwhile, it is made again and then configured.
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
