"""What happens to links when their uplinks change: an address, a carrier or an interface goes or comes back.

If a socket loses the address or interface that it is bound to, its link is given up at once. A link that waits for it
is tried at once. Only a change counts, and nothing here forbids a try: a link that was given up is tried again as
usual. So a link that still works, over another interface or without a carrier, is back after a second.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mlvpnd.logs.log import logger
from mlvpnd.net.mirror import Mirror
from mlvpnd.net.netlink import DumpEnd, NetlinkSocket, Told
from mlvpnd.protocol.links.events import DownReason

from .link_opener import LinkOpener

BURST = 64
"""Netlink datagrams read in a turn."""
SETTLE = 0.02
"""Seconds in which several changes count as one: an interface goes in steps, and an address may be replaced."""
FIRST_PAUSE, MAX_PAUSE = 0.25, 5.0
"""Seconds until everything is asked for again after events were missed; doubled each time that this fails."""

_net = logger("net")


class Condition(NamedTuple):
    """The condition of the address or interface that a link is bound to."""

    trouble: DownReason | None
    """Why the link cannot work now; None: nothing is known against it."""
    ways: frozenset[int]
    """The interfaces that count: the one of `binddevice`, else those that have the address."""


class Uplinks:
    """Follows the kernel's news from `start` to `stop`.

    `lost(number, reason)` is called when a link's open socket has lost its uplink. `heard(mirror)` is called a moment
    after any news, whatever it is about.
    """

    def __init__(
        self,
        drivers: Mapping[int, LinkOpener],
        lost: Callable[[int, DownReason], None],
        heard: Callable[[Mirror], None] | None = None,
    ) -> None:
        self._drivers = drivers
        self._lost = lost
        self._heard = heard
        self._heard_soon: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._socket: NetlinkSocket | None = None
        self._mirror: Mirror | None = None
        """None until the kernel has told everything for the first time."""
        self._fresh: Mirror | None = None
        """What the kernel has told since everything was asked for; None once the answer is complete."""
        self._asked_addresses = False
        self._pause = FIRST_PAUSE
        self._again: asyncio.TimerHandle | None = None
        self._settled: asyncio.TimerHandle | None = None
        self._before: dict[int, Condition] = {}
        """Each link's condition at the last look."""
        self._gains = 0

    def start(self) -> None:
        """Follows from now on. If that is not possible, logs it; links then notice later by themselves."""
        try:
            self._begin()
        except OSError as error:
            _net.info("changes of addresses and carriers cannot be followed: %s", os.strerror(error.errno or 0))
            self._end()

    def stop(self) -> None:
        """Stops following."""
        self._end()
        for timer in (self._again, self._settled, self._heard_soon):
            if timer is not None:
                timer.cancel()

    def _begin(self) -> None:
        self._socket = NetlinkSocket()
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        self._fresh, self._asked_addresses = Mirror(), False
        self._socket.ask_links()

    def _end(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        self._socket = self._fresh = None

    def _begin_again(self) -> None:
        """Asks for everything again, by another socket: the old one may still hold unknown messages."""
        self._end()
        self._again = self._loop.call_later(self._pause, self.start)
        self._pause = min(2 * self._pause, MAX_PAUSE)

    # What the kernel tells.

    def _on_readable(self) -> None:
        if self._socket is None:
            return
        if self._heard is not None and self._heard_soon is None:
            self._heard_soon = self._loop.call_later(SETTLE, self._tell)
        try:
            for told in self._socket.receive(BURST):
                if not self._take(told):
                    self._begin_again()
                    return
        except OSError as error:
            _net.debug("changes of addresses and carriers were missed: %s", os.strerror(error.errno or 0))
            self._begin_again()

    def _tell(self) -> None:
        self._heard_soon = None
        if self._heard is not None and self._mirror is not None:
            self._heard(self._mirror)

    def _take(self, told: Told) -> bool:
        """Takes one message; False: everything must be asked for again."""
        news, asked = told
        if isinstance(news, DumpEnd):
            if news.whole:
                self._on_dump_end()
            return news.whole
        changed = False
        # While everything is asked for again, the old mirror is still kept up to date: little of it may be wrong.
        for mirror in (self._fresh, None if asked else self._mirror):
            changed |= mirror is not None and mirror.take(news)
        if changed and self._mirror is not None:
            self._look_soon()
        return True

    def _on_dump_end(self) -> None:
        if self._asked_addresses:
            self._mirror, self._fresh = self._fresh, None
            self._pause = FIRST_PAUSE
            self._look_soon()
        elif self._socket is not None:
            self._asked_addresses = True
            self._socket.ask_addresses()

    # What it means.

    def _look_soon(self) -> None:
        if self._settled is None:
            self._settled = self._loop.call_later(SETTLE, self._look)

    def _look(self) -> None:
        self._settled = None
        mirror = self._mirror
        if mirror is None:
            return
        gained, self._gains = mirror.gains != self._gains, mirror.gains
        before, self._before = self._before, {}
        for number, driver in list(self._drivers.items()):
            device = driver.device
            now = self._before[number] = condition_of(mirror, device, _packed(driver.local_hosts))
            was = before.get(number, now)
            if driver.socket is not None:
                if reason := down_reason(mirror, device, was, now):
                    self._lost(number, reason)
            elif (was.trouble and not now.trouble) or (driver.nameless and gained):
                driver.uplink_is_back()


def condition_of(mirror: Mirror, device: str, addresses: Sequence[bytes]) -> Condition:
    """The condition of a socket that is bound to an interface, to one of `addresses`, to both or to nothing."""
    holders: set[int] = set().union(*map(mirror.holders, addresses))
    ways = frozenset({mirror.number(device)} - {0} if device else holders)
    if device and not ways:
        return Condition(DownReason.INTERFACE_GONE, ways)
    if addresses and not holders:
        return Condition(DownReason.ADDRESS_GONE, ways)
    return Condition(_trouble(mirror, ways), ways)


def down_reason(mirror: Mirror, device: str, was: Condition, now: Condition) -> DownReason | None:
    """Why an open socket that was of use before is of no use now; None: it still is, or was of none."""
    # If another interface has taken the name, the socket does not hear it, even if it only lacked a carrier before.
    if device and was.ways and now.ways != was.ways:
        return DownReason.INTERFACE_GONE
    if was.trouble is not None:
        return None
    if now.trouble is DownReason.ADDRESS_GONE:  # perhaps because its interface is gone or was set down
        because = _trouble(mirror, was.ways)
        return now.trouble if because in (None, DownReason.CARRIER_LOST) else because
    return now.trouble


def _trouble(mirror: Mirror, ways: frozenset[int]) -> DownReason | None:
    """What is wrong with all of these interfaces; None: at least one works, or there is none."""
    left = [uplink for number in ways if (uplink := mirror.uplink(number)) is not None]
    if not ways or any(uplink.running for uplink in left):
        return None
    if not left:
        return DownReason.INTERFACE_GONE
    return DownReason.CARRIER_LOST if any(uplink.up for uplink in left) else DownReason.INTERFACE_DOWN


def _packed(hosts: Sequence[str]) -> list[bytes]:
    """Addresses in the kernel's form, without wildcards."""
    packed = (
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0]) for host in hosts
    )
    return [address for address in packed if any(address)]
