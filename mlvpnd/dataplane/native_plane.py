"""The native twin: its loop waits in place of the event loop's selector, and passes packets without Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, cast

from mlvpnd.config.model import DataPlane
from mlvpnd.net.link_socket import LinkSocket
from mlvpnd.net.tun import TunDevice
from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.constants import JUDGE_INTERVAL

from ._native import lib
from .binding.loop import NativeLoop
from .native_session import NativeSession
from .plane import PlaneListener
from .selector import TurnLoop

HOUSEKEEPING = JUDGE_INTERVAL
"""Seconds between two looks at the links while packets pass; the same as in the reference."""


class NativePlane:
    """See `plane.Plane`."""

    name: ClassVar[DataPlane] = DataPlane.NATIVE
    session_type: ClassVar[type[Session]] = NativeSession

    def __init__(self, loop: TurnLoop) -> None:
        self._loop = loop
        self._selector = loop.turns
        self._sockets: dict[int, LinkSocket] = {}
        self._reasons = 0
        """Why the native loop has returned: reasons that `_turn` has not handled yet."""

    def begin(self, session: Session, device: TunDevice, driver: PlaneListener) -> None:
        self._session, self._device, self._driver = cast(NativeSession, session), device, driver
        self._native = NativeLoop(self._session.engine)
        self._selector.take_turns(self._wait)

    def end(self) -> None:
        self._selector.take_turns(None)  # else the loop would still write packets that wait for a hole

    def _wait(self, timeout: float | None) -> None:
        """Replaces epoll_wait(2): returns when the native loop or a descriptor of the event loop has news."""
        reasons = self._native.run(self._selector.fileno(), timeout)
        if reasons & ~lib.LOOP_WOKEN:
            self._reasons |= reasons
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        reasons, self._reasons = self._reasons, 0
        now = self._loop.time()
        if reasons & lib.LOOP_SLOW_DATAGRAM:
            self._receive_slow(now, rest=False)
        if reasons & lib.LOOP_SLOW_PACKET:
            self._session.send([self._native.slow_packet()], now)
        if reasons & lib.LOOP_HOUSEKEEPING:
            self._keep_house(now)
        if reasons & lib.LOOP_TUN_LOST:
            error = self._native.tun_error
            self._on_lost(OSError(error, os.strerror(error)))
        self._driver.after()

    def settle(self) -> None:
        now = self._loop.time()
        while self._receive_slow(now, rest=True):
            pass
        self._driver.after()

    def _receive_slow(self, now: float, *, rest: bool) -> bool:
        number, datagrams = self._native.slow_datagrams(rest=rest)
        if datagrams:
            self.deliver(self._session.receive(number, datagrams, now))
            self._driver.received(number)
        return bool(datagrams)

    def _keep_house(self, now: float) -> None:
        at, self._native.data_at = self._native.data_at, -1.0
        self._native.housekeeping_at = now + HOUSEKEEPING
        self._session.keep_house(at, now)
        for number in self._sockets:
            self._driver.received(number)

    # The interface.

    def watch_device(self, on_lost: Callable[[OSError], None]) -> None:
        self._on_lost = on_lost
        self._native.watch_tun(self._device.fileno(), has_vnet=self._device.vnet_header, uso=self._device.uso)

    def unwatch_device(self) -> None:
        self._native.unwatch_tun()

    def set_limits(self, mtu: int, ipv4: int, ipv6: int) -> None:
        self._native.set_limits(mtu, ipv4, ipv6)

    def deliver(self, packets: Sequence[bytes]) -> None:
        self._native.deliver(list(packets))

    # Links.

    def attach_link(self, number: int, link_socket: LinkSocket) -> None:
        self._sockets[number] = link_socket
        self._native.attach_link(
            number,
            link_socket.fileno(),
            gso=link_socket.gso,
            gro=link_socket.gro,
            answers=link_socket.answers,
        )

    def detach_link(self, number: int) -> None:
        link_socket = self._sockets.pop(number, None)
        if link_socket is not None:
            self._native.detach_link(number)
            for _, address, datagrams in self._session.last_transmits(number):
                link_socket.send_batch(datagrams, address)

    def send(self) -> Iterable[int]:
        refused = self._native.flush()
        self._sync_links(refused)
        return refused

    def _sync_links(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._sockets[number].take_counts(*self._native.link_counts(number))

    # Time.

    def due(self) -> float | None:
        return self._session.get_control_timer()

    def sync(self) -> None:
        self._sync_links(self._sockets)
        self._device.take_counts(self._native.tun_counts())
