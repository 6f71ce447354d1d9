"""The life of one link's socket: resolve, open, bind, serve, and all of it again when the link has died.

After every timeout names are looked up and the socket is opened anew. So a changed DNS record, a changed local
address and a new NAT mapping are all followed. A failure is tried again after 1 s, then after 2, up to `MAX_BACKOFF`
for names and `MAX_BIND_BACKOFF` for all else. If a known name cannot be looked up any more, its last addresses are
tried: the name server may be out of reach because this tunnel is down.

A client with a `bindport` of its own has one mapping in its router for ever. A router whose address has changed may
keep the old mapping alive as long as AUTHs pass, and no answer arrives. So `bindport` and a free port take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from mlvpnd.config.model import LinkConfig, Mode
from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperClient
from mlvpnd.logs.journal import fields, of_link
from mlvpnd.logs.log import logger
from mlvpnd.logs.tasks import watched
from mlvpnd.net import resolve
from mlvpnd.net.interface import index_of, local_end
from mlvpnd.net.link_socket import LinkSocket
from mlvpnd.net.resolve import Endpoints

FIRST_BACKOFF = 1.0
MAX_BACKOFF = 10.0
"""Seconds between tries, at first and at most, while a name cannot be looked up."""
MAX_BIND_BACKOFF = 2.0
"""Seconds between tries at most, for all other failures. Looking for a missing address or interface costs nothing, and
its owner waits for the link to work again."""
MIN_TRY_INTERVAL = 0.25
"""Seconds from one try to the next at least, however often the uplink comes and goes."""
DEVICE_CHECK_INTERVAL = 1.0
"""Seconds between looks at the interface of `binddevice`, in case the kernel does not tell of a change."""
DEVICE_CHANGE_GRACE = 0.25
"""Seconds that the kernel has to tell of a change that a look has found: it says why, and a look does not."""
LOOKUP_PATIENCE = 2.0
"""Seconds. While addresses are known, a look-up is waited for no longer than this; its answer serves the next try."""
FIXED_PORT_TIMEOUTS = 3
"""Time-outs in a row at a client's `bindport` after which a free port takes turns with it. A restarting server, or a
line that is away for a moment, causes one or two."""

_protocol = logger("protocol")
_dns = logger("dns")


class _LookupError(MlvpndError):
    """A name has no address now."""


class LinkOpener:
    """Keeps one link supplied with a socket.

    `opened(endpoints)` is called when there is a socket, `closed()` before it goes away.
    """

    def __init__(
        self,
        config: LinkConfig,
        mode: Mode,
        helper: HelperClient,
        opened: Callable[[Endpoints], None],
        closed: Callable[[], None],
        remembered: Sequence[resolve.Resolved] = (),
        remembered_at: float | None = None,
    ) -> None:
        """`remembered` are addresses of the peer, for as long as its name cannot be looked up.

        `remembered_at`: when an earlier process last found them good, in Unix seconds.
        """
        self.config = config
        self._mode = mode
        self._helper = helper
        self._opened = opened
        self._closed = closed
        self.socket: LinkSocket | None = None
        self.device = config.binddevice
        """The interface that the link is bound to; empty: to none."""
        self._device_is_host = False
        """Whether `bindhost` is the name of an interface. That stays so while the interface is away."""
        self.error = ""
        """Why there is no socket, for status."""
        self.tried = asyncio.Event()
        """Set after the first try to open a socket, whether or not it succeeded."""
        self._known: list[Endpoints] = []
        """What the last look-up found."""
        self._remembered = list(remembered)
        self._remembered_at = remembered_at
        self._lookup: asyncio.Task[list[Endpoints] | MlvpndError] | None = None
        self._lookup_error = ""
        self._told_bind = ""
        self.told_down = False
        """Whether an event in the log tells that the link, which was not up yet, is down. One cause is one event."""
        self._candidates: list[Endpoints] = []
        self._current = 0
        self._last: Endpoints | None = None
        """The ends of the last socket."""
        self._unanswered = False
        """Whether nobody answered at the last ends."""
        self._timeouts = 0
        """In a row."""
        self._port_is_free = self._begins_free = False
        """Whether a client's socket is bound to a port other than `bindport`: now, and when the link was last up."""
        self._adopted: tuple[socket.socket, Endpoints] | None = None
        self.nameless = False
        """Whether there is no socket because a name could not be looked up."""
        self._again = asyncio.Event()
        self._sooner = asyncio.Event()
        self._hurried = False
        """Whether the uplink causes the next try."""
        self._tried_at = float("-inf")
        self._task = watched(asyncio.get_running_loop().create_task(self._run(), name=f"link {config.name}"))

    def adopt(self, sock: socket.socket, ends: Endpoints) -> None:
        """Begins with a socket that is already bound. To be called before the loop turns."""
        self._adopted = sock, ends

    def reopen(self) -> None:
        """Closes the socket at once, so that nothing more leaves by it; then looks names up and opens a new one."""
        self._close()
        self._again.set()

    def timed_out(self) -> None:
        """The peer was silent for too long, or did not answer: counts a time-out and calls `reopen`."""
        self._timeouts += 1
        self.reopen()

    def answered(self) -> None:
        """The link is up."""
        self._timeouts = 0
        self._begins_free = self._port_is_free

    def uplink_is_lost(self) -> None:
        """The uplink is of no use now: calls `reopen`, with at least `MIN_TRY_INTERVAL` between tries."""
        self._hurried = True
        self.reopen()

    def uplink_is_back(self) -> None:
        """Ends a pause between tries: the missing address or interface may be there now."""
        self._hurried = True
        self._sooner.set()

    @property
    def remotes(self) -> list[resolve.Resolved]:
        """The peer's addresses, as far as they are known."""
        known = {(ends.family, ends.remote): None for ends in self._known if ends.remote is not None}
        return list(known) or self._remembered

    @property
    def looks_up(self) -> bool:
        """Whether a name is being looked up."""
        return self._lookup is not None and not self._lookup.done()

    @property
    def local_hosts(self) -> list[str]:
        """The local address of the socket; while there is no socket, the addresses that it may be bound to."""
        if self.socket is not None:
            return [self.socket.local_address[0]]
        return [ends.local[0] for ends in self._known]

    def next_address(self) -> Endpoints | None:
        """The peer does not answer: its next address that this socket can reach.

        None: the caller must call `timed_out`, which goes on with the addresses that need another socket.
        """
        following = self._current + 1
        if following < len(self._candidates):
            before, now = self._candidates[self._current], self._candidates[following]
            if (now.family, now.local) == (before.family, before.local):
                self._current, self._last = following, now
                return now
        self._unanswered = True
        return None

    def stop(self) -> None:
        """Closes the socket for good, at once: another link may want its port. `closed` is not called."""
        self._task.cancel()
        if self._lookup is not None:
            self._lookup.cancel()
        if self._adopted is not None:
            self._adopted[0].close()
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    async def _run(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            await self._calm()
            self._again.clear()
            self._sooner.clear()
            try:
                await self._open()
            except (OSError, MlvpndError) as error:
                self.nameless = isinstance(error, _LookupError)
                backoff = min(backoff, MAX_BACKOFF if self.nameless else MAX_BIND_BACKOFF)
                self._failed(error, backoff)
                self.tried.set()
                backoff = FIRST_BACKOFF if await self._is_due_sooner(backoff) else 2 * backoff
                continue
            backoff = FIRST_BACKOFF
            self.nameless = False
            self.error = ""
            self.tried.set()
            await self._until_due()
            self._close()  # unless `reopen` has done it

    async def _calm(self) -> None:
        """Waits if needed, so that an uplink that comes and goes gets one try each `MIN_TRY_INTERVAL` at most."""
        now = asyncio.get_running_loop().time
        if self._hurried:
            self._hurried = False
            await asyncio.sleep(self._tried_at + MIN_TRY_INTERVAL - now())
        self._tried_at = now()

    async def _is_due_sooner(self, seconds: float) -> bool:
        """Waits `seconds`, or until the uplink is back; returns whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._sooner.wait()
        except TimeoutError:
            return False
        return True

    async def _until_due(self) -> None:
        """Waits for `reopen`, or until another interface has the name that the socket is bound to."""
        device = self.device
        index = index_of(device)
        while True:
            try:
                async with asyncio.timeout(DEVICE_CHECK_INTERVAL if device else None):
                    await self._again.wait()
                return
            except TimeoutError:
                if index_of(device) != index:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._again.wait(), DEVICE_CHANGE_GRACE)
                    return

    def _failed(self, error: Exception, backoff: float) -> None:
        text = str(error) if isinstance(error, MlvpndError) else os.strerror(getattr(error, "errno", 0) or 0)
        log = _dns if isinstance(error, _LookupError) else _protocol
        if text != self.error:  # once, not at every try
            # If the link was up, its end is already in the log. A link that never had a socket has no line yet.
            first = self._last is None and not self.told_down
            self.told_down = True
            extra = (
                fields("link-down", self.config.name, state="down", reason="error")
                if first
                else of_link(self.config.name)
            )
            level = logging.WARNING if first else logging.INFO
            log.log(level, "%s %s (trying again until it works)", self.config.name, text, extra=extra)
        else:
            extra = of_link(self.config.name)
            log.debug("%s %s, next try in %d s", self.config.name, text, backoff, extra=extra)
        self.error = text
        self._told_bind = ""

    async def _open(self) -> None:
        if self._adopted is not None:
            (sock, ends), self._adopted = self._adopted, None
            self._bindhost()
            self._candidates, self._current, self._last = [ends], 0, ends
            self.socket = LinkSocket(sock, answers=self._mode is Mode.SERVER)
            self._opened(ends)
            return
        last: Exception | None = None
        self._choose_port()
        candidates = self._in_turn(await self._find())
        # If one candidate cannot be bound, the others are still tried.
        for index, ends in enumerate(candidates):
            try:
                sock = await self._bind(ends)
            except (OSError, MlvpndError) as error:
                last = error
                continue
            self._candidates, self._current = candidates, index
            self._last, self._unanswered = ends, False
            self.socket = LinkSocket(sock, answers=self._mode is Mode.SERVER)
            where = self.config.bindhost or "any"
            # A client whose peer is away opens a socket every few seconds.
            level = logging.DEBUG if where == self._told_bind else logging.INFO
            _protocol.log(level, "%s bind to %s", self.config.name, where, extra=of_link(self.config.name))
            self._told_bind = where
            self._opened(ends)
            return
        raise last or MlvpndError("bind error: no address")

    def _choose_port(self) -> None:
        """After `FIXED_PORT_TIMEOUTS` time-outs a client changes between `bindport` and a free port each time."""
        turn = self._timeouts - FIXED_PORT_TIMEOUTS
        if self._mode is Mode.SERVER or not self.config.bindport:
            self._port_is_free = False
        else:
            self._port_is_free = self._begins_free != (turn >= 0 and turn % 2 == 0)
            if turn == 0 and self._port_is_free:
                text = "%s no answer arrives at bindport %s after %d time-outs: a free port is tried every other time"
                name = self.config.name
                _protocol.warning(text, name, self.config.bindport, self._timeouts, extra=of_link(name))

    def _in_turn(self, found: list[Endpoints]) -> list[Endpoints]:
        """Begins with the last address, or with the next one if nobody answered there."""
        if self._last not in found:
            return found
        start = found.index(self._last) + self._unanswered
        return found[start:] + found[:start]

    async def _find(self) -> list[Endpoints]:
        """The ends to try: those known before while names cannot be looked up, or while it takes long."""
        if self._lookup is None:
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())
        await asyncio.wait([self._lookup], timeout=LOOKUP_PATIENCE if self._known or self._remembered else None)
        if not self._lookup.done():
            if not self._known:
                self._tell_lookup(MlvpndError(f"{self.config.remotehost}: the look-up takes long"))
                self._known = self._pairs(await self._local(), self._remembered)
            return self._known
        found, self._lookup = self._lookup.result(), None
        if isinstance(found, list):
            self._known = found
        elif not self._known:
            raise found
        else:
            self._tell_lookup(found)
        return self._known

    def _tell_lookup(self, error: MlvpndError) -> None:
        """Says once why addresses that were found before are tried."""
        if str(error) == self._lookup_error:
            return
        self._lookup_error = str(error)
        which = "the addresses found before are tried"
        if self._remembered and self._remembered_at is not None:
            which = f"using the addresses of {time.strftime('%Y-%m-%d %H:%M', time.localtime(self._remembered_at))}"
        _dns.warning("%s %s (%s)", self.config.name, error, which, extra=of_link(self.config.name))

    async def _look_up(self) -> list[Endpoints] | MlvpndError:
        try:
            return await self._resolve()
        except MlvpndError as error:
            return error

    async def _resolve(self) -> list[Endpoints]:
        link = self.config
        local = await self._local()
        if self._mode is Mode.SERVER:
            # Without a `bindhost`, [::] comes first: it takes IPv4 too.
            ordered = sorted(local, key=lambda found: found[0] != socket.AF_INET6) if not self._bindhost() else local
            return [Endpoints(family, address, None) for family, address in ordered]
        try:
            remote = await self._addresses("remote", link.remotehost, link.remoteport)
        except _LookupError as error:
            if not self._remembered:
                raise
            self._tell_lookup(error)
            remote = self._remembered
        else:
            self._remembered, self._lookup_error = [], ""
        return self._pairs(local, remote)

    async def _local(self) -> list[resolve.Resolved]:
        return await self._addresses("bind", self._bindhost(), self.config.bindport, passive=True)

    def _pairs(self, local: list[resolve.Resolved], remote: list[resolve.Resolved]) -> list[Endpoints]:
        found = resolve.pairs(local, remote)
        if not found:
            ends = f"{self._bindhost()} and {self.config.remotehost}"
            raise MlvpndError(f"bind error: {ends} have no address family in common")
        return found

    def _bindhost(self) -> str:
        """The local host; empty: any. A `bindhost` that is an interface's name is a device from now on."""
        link = self.config
        if not self._device_is_host:
            host, self.device = local_end(link.bindhost, link.binddevice)
            self._device_is_host = host != link.bindhost
            if self._device_is_host:
                text = "%s bindhost %s is the name of an interface: the link is bound to %s, as with binddevice"
                _protocol.warning(text, link.name, link.bindhost, self.device, extra=of_link(link.name))
        return "" if self._device_is_host else link.bindhost

    async def _addresses(self, end: str, host: str, port: str, *, passive: bool = False) -> list[resolve.Resolved]:
        async def lookup() -> list[resolve.Resolved]:
            return await self._helper.resolve(end, self.config.name)

        try:
            return await resolve.addresses(host, port, lookup, passive=passive)
        except MlvpndError as error:
            raise _LookupError(str(error)) from None

    async def _bind(self, ends: Endpoints) -> socket.socket:
        link = self.config
        local = (ends.local[0], 0, *ends.local[2:]) if self._port_is_free else ends.local
        sock = socket.socket(ends.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            wildcard = not link.bindhost or self._device_is_host
            if ends.family == socket.AF_INET6:
                both = wildcard and self._mode is Mode.SERVER
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
            try:
                if self.device:
                    device = self.device.encode() + b"\0"
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
                sock.bind(local)
            except PermissionError:
                # A port below 1024, or an old kernel, where only root may bind to a device.
                await self._helper.bind_socket(link.name, sock)
            await self._tune(sock)
        except OSError as error:
            sock.close()
            what = f"binddevice {self.device}" if error.errno == errno.ENODEV else f"bind to {_shown(local)}"
            raise MlvpndError(f"bind error: {what}: {os.strerror(error.errno or 0)}") from None
        except BaseException:
            sock.close()
            raise
        return sock

    async def _tune(self, sock: socket.socket) -> None:
        try:
            await self._helper.tune_socket(self.config.name, sock)
        except MlvpndError as error:
            name = self.config.name
            logger("net").debug("%s receive buffer stays small: %s", name, error, extra=of_link(name))

    def _close(self) -> None:
        if self.socket is not None:
            self._closed()
            self.socket.close()
            self.socket = None


def _shown(address: Any) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
