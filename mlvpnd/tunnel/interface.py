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
from mlvpnd.net.interface import interface_of, is_gone, is_persistent, mtu_of
from mlvpnd.net.mirror import Mirror
from mlvpnd.net.tun import TunDevice
from mlvpnd.offload.mss import limits_for
from mlvpnd.systemd.fd_store import Keeper
from mlvpnd.systemd.notify import TUN

from .upkeep import Upkeep

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
        self.configures = False
        """Whether the file has `configure_interface`: what others change is then put back."""
        self.default_routes = False
        """Whether the file's default routes are to be in."""
        self._out: asyncio.TimerHandle | None = None
        self._paused = False
        self._upkeep = Upkeep()
        self._seen: tuple[Mirror, int] | None = None
        """The state of this interface in the kernel's news at the last look."""
        self._work: set[asyncio.Task[None]] = set()
        self._configuring: asyncio.Task[None] | None = None
        self._stale = False
        """Whether the interface must be configured once more."""
        self._meant = False
        """Whether that is for a reason of our own. If not, what is missing then was taken by somebody."""
        self._refused = ""
        """What could not be set at the last time."""
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
        """Some interface of this host has changed: checks this one's MTU, its bridge and what was set on it."""
        present = self._present()
        if present is None:
            return
        name, mtu = present
        if mtu != self.mtu:
            self._take_mtu(mtu)
        number = mirror.number(name)
        seen = mirror, mirror.changes(number)
        if seen != self._seen:
            self._seen = seen
            if self.configures and not self._upkeep.given_up:
                self._begin_configuring()
        beside = mirror.widest_beside(number)
        wider = (beside.name, beside.mtu) if beside is not None and beside.mtu > mtu else None
        if wider is not None and wider != self._wider:
            _log.warning(
                "the bridge drops frames of more than %d bytes for %s without a message: its other port %s takes %d"
                " bytes. Set mtu = %d at both ends",
                mtu, name, *wider, wider[1],
            )  # fmt: skip
        self._wider = wider

    def _present(self) -> tuple[str, int] | None:
        """The interface's name and MTU now; None: it is gone."""
        try:
            name, _ = interface_of(self.device.fileno())
            return name, mtu_of(name)
        except OSError:
            return None

    def _take_mtu(self, mtu: int) -> None:
        self.mtu = mtu
        self._clamp()

    def pause(self) -> None:
        """Stops reading; packets can still be written."""
        self._plane.unwatch_device()
        self._paused = True
        self._keep_routes()
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

    def link_is_up(self) -> None:
        """A link is up: the file's default routes may lead here."""
        self._keep_routes()
        self._route(default=True)

    def no_link_is_up(self, patience: float) -> None:
        """The last link is down: the default routes go out, unless a link is up again within `patience` seconds."""
        self._keep_routes()
        self._out = asyncio.get_running_loop().call_later(patience, lambda: self._route(default=False))

    def _keep_routes(self) -> None:
        if self._out is not None:
            self._out.cancel()
            self._out = None

    def _route(self, *, default: bool) -> None:
        if default != self.default_routes and not self._paused:
            self.default_routes = default
            if self.configures:
                self.reconfigure()

    async def release(self, *, kill_switch: bool) -> None:
        """Has everything removed that was set and would stay: a kill switch, or what a persistent interface has."""
        if not self.configures or not (kill_switch or is_persistent(self.device.fileno())):
            return
        try:
            await self._helper.unconfigure_tun()
        except MlvpndError as error:
            _log.warning("%s %s", self.name, error)

    def reconfigure(self) -> None:
        """Begins `configure`; returns at once."""
        self._meant = True
        self._begin_configuring()

    def follow(self, mss_clamp: int | None, *, configures: bool) -> None:
        """As `reconfigure`, with new values of the file. A new `mss_clamp` is in force at once."""
        self._mss_clamp, self.configures = mss_clamp, configures
        self._upkeep.renew()
        self._clamp()
        self.reconfigure()

    async def configure(self) -> None:
        """Has the helper set MTU, addresses and routes as the file says now.

        If a run is under way, one more follows it, for any number of callers.
        """
        self._meant = True
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
            meant, self._meant = self._meant, False
            if meant or not self._upkeep.given_up:  # it may have been given up since it was asked for
                await self._configure_once(meant=meant)

    async def _configure_once(self, *, meant: bool) -> None:
        try:
            answer = await self._helper.configure_tun(ipv6_path=self._ipv6_path, default_routes=self.default_routes)
        except MlvpndError as error:
            # If it was deleted meanwhile, it is made again and then configured.
            level = logging.DEBUG if is_gone(self.device.fileno()) else logging.WARNING
            _log.log(level, "%s %s", self.name, error)
            return
        present = self._present()
        self._take_mtu(present[1] if present else answer.mtu)  # somebody may have changed it since
        if answer.refused and (meant or answer.refused != self._refused):
            _log.warning("%s", answer.refused)
        self._refused = answer.refused
        if answer.done and not meant and not self._meant:
            self._upkeep.put_back(self.name, answer.done, asyncio.get_running_loop().time())

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
        self._upkeep.renew()
        self._plane.watch_device(self.lost)
        await self.configure()
        self._on_regained()

    def _spawn(self, task: asyncio.Task[None]) -> None:
        self._work.add(watched(task))
        task.add_done_callback(self._work.discard)
