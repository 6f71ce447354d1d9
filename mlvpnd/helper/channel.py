"""One message with at most one descriptor over a SEQPACKET socket, in either direction.

Both ends use the same functions, so neither alone can leak a descriptor or let it be inherited.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket

from mlvpnd.errors import MlvpndError

_FD_SIZE = array.array("i").itemsize
# Room for one descriptor more than is allowed: a second one is seen, further ones set MSG_CTRUNC.
_ANCILLARY_SIZE = socket.CMSG_SPACE(2 * _FD_SIZE)


class MessageError(MlvpndError):
    """Something arrived that is not one whole message with at most one descriptor."""


def send(sock: socket.socket, data: bytes, descriptor: int | None = None) -> None:
    """Sends one message without waiting; raises OSError. The caller keeps its descriptor."""
    ancillary = (
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
    )
    sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def receive(sock: socket.socket, max_size: int) -> tuple[bytes, int | None]:
    """The next message and its descriptor, without waiting; empty at the end of the connection.

    Raises MessageError, with every descriptor closed, or OSError (BlockingIOError: nothing has come yet).
    """
    data, ancillary, flags, _address = sock.recvmsg(
        max_size + 1, _ANCILLARY_SIZE, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % _FD_SIZE])
    problem = None
    if flags & socket.MSG_TRUNC or len(data) > max_size:
        problem = "the message is too long"
    elif flags & socket.MSG_CTRUNC or len(descriptors) > 1:
        problem = "more than one descriptor"
    if problem is None:
        return data, descriptors[0] if descriptors else None
    for descriptor in descriptors:
        os.close(descriptor)
    raise MessageError(problem)


async def readable(sock: socket.socket) -> None:
    """Waits until `sock` has a message or its peer is gone."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    loop.add_reader(sock, wake)
    try:
        await waiter
    finally:
        loop.remove_reader(sock)


async def next_message(sock: socket.socket, max_size: int) -> tuple[bytes, int | None]:
    """Waits for the next message; otherwise as `receive`."""
    while True:
        try:
            return receive(sock, max_size)
        except BlockingIOError:
            await readable(sock)
