"""Whether an error comes back from the way to a peer, asked by a socket of its own.

A link's own socket does not have the system report what routers and the peer refuse (IP_RECVERR): anybody who forges
an ICMP error could then make the link's sends fail, and each error would cost the loop that carries packets.

A server counts the empty datagram as `empty`, and says nothing of it. C MLVPN's log has "peer closed the connection".
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

_IP_RECVERR = 11  # linux/in.h
_IPV6_RECVERR = 25  # linux/in6.h


class DeviceRefusedError(PermissionError):
    """Who is not root may not bind to a device, before Linux 5.7: this says nothing of the way."""


async def refusal(local: Any, remote: Any, device: str, limit: float) -> int:
    """Sends an empty datagram from the address `local` to `remote`; returns the number of the error that comes back.

    0: none came within `limit` seconds. `local` and `remote` are socket addresses of one family. The port is another
    one than `local` has. `device`: the interface that the socket is bound to; empty: none.
    """
    try:
        sock = ask(local, remote, device)
    except DeviceRefusedError:
        return 0
    except OSError as error:
        return error.errno or errno.EINVAL
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[int] = loop.create_future()

    def take() -> None:
        loop.remove_reader(sock.fileno())
        if not answered.done():
            answered.set_result(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    with sock:
        loop.add_reader(sock.fileno(), take)  # an error counts as something to read
        try:
            async with asyncio.timeout(limit):
                return await answered
        except TimeoutError:
            return 0
        finally:
            loop.remove_reader(sock.fileno())


def ask(local: Any, remote: Any, device: str) -> socket.socket:
    """A socket that has sent its datagram; see `refusal`. Raises OSError, of which one kind is DeviceRefusedError.

    An error that comes back makes it readable, and is its SO_ERROR.
    """
    ipv6 = ":" in remote[0]
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # Has routers' errors reported too, not only a closed port.
        sock.setsockopt(*((socket.IPPROTO_IPV6, _IPV6_RECVERR) if ipv6 else (socket.IPPROTO_IP, _IP_RECVERR)), 1)
        if device:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
            except PermissionError as error:
                raise DeviceRefusedError(error.errno, error.strerror) from None
        sock.bind((local[0], 0, *local[2:]))
        sock.connect(remote)
        sock.send(b"")
    except BaseException:
        sock.close()
        raise
    return sock
