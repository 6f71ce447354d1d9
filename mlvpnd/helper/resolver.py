"""Name look-ups that delay nothing else: each in a thread of its own, few at a time, with a time limit."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence

from mlvpnd.errors import MlvpndError

TIME_LIMIT = 20.0
"""Seconds for one look-up, including the wait for its turn."""
_MAX_CONCURRENT = 8
_MAX_ADDRESSES = 32

Address = tuple[int, str, int, int, int]
"""Family, host, port, flow information, scope; the last two are 0 in IPv4."""


class ResolveError(MlvpndError):
    """The look-up failed; the text names host and service."""


class Resolver:
    """getaddrinfo for a process that must not wait.

    A look-up cannot be cancelled: after the time limit its thread goes on, and keeps its place until it ends. The
    threads are daemonic, so that a dead name server does not delay the end of the process.
    """

    def __init__(self, *, time_limit: float = TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._places = asyncio.Semaphore(_MAX_CONCURRENT)

    async def resolve(
        self,
        host: str | None,
        service: str,
        *,
        family: int = socket.AF_UNSPEC,
        kind: int = socket.SOCK_DGRAM,
        passive: bool = False,
    ) -> list[Address]:
        """All addresses in the resolver's order; without a host, the wildcard or loopback. Raises ResolveError."""
        what = f"getaddrinfo({host or ''},{service}) failed"
        flags = socket.AI_PASSIVE if passive else 0
        try:
            async with asyncio.timeout(self._time_limit):
                return await self._in_thread((host, service or None, family, kind, 0, flags))
        except TimeoutError:
            raise ResolveError(f"{what}: no answer after {self._time_limit:g} s") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ResolveError(f"{what}: {reason}") from None

    async def _in_thread(self, arguments: tuple[str | None, str | None, int, int, int, int]) -> list[Address]:
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        result: asyncio.Future[list[Address]] = loop.create_future()

        def deliver(addresses: list[Address], error: Exception | None) -> None:
            self._places.release()
            if result.done():
                return
            if error is None:
                result.set_result(addresses)
            else:
                result.set_exception(error)

        def look_up() -> None:
            addresses: list[Address] = []
            failure: Exception | None = None
            try:
                addresses = _addresses(socket.getaddrinfo(*arguments))
            except Exception as error:
                failure = error
            try:
                loop.call_soon_threadsafe(deliver, addresses, failure)
            except RuntimeError:
                pass  # the loop ended meanwhile

        try:
            threading.Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise ValueError(str(error)) from None
        return await result


def _addresses(found: Sequence[tuple[int, int, int, str, tuple[object, ...]]]) -> list[Address]:
    addresses: dict[Address, None] = {}
    for family, _kind, _protocol, _name, sockaddr in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            host, port, *more = sockaddr
            flow, scope = more or (0, 0)
            addresses[int(family), str(host), int(str(port)), int(str(flow)), int(str(scope))] = None
    return list(addresses)[:_MAX_ADDRESSES]
