"""A link's edge: bursts of datagrams from and to one UDP socket."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

Address = Any
"""A socket address of the socket's family, as Python gives it."""

RECEIVE_SIZE = 9216
"""A 9000-byte inner packet with all headers; larger datagrams are cut and then refused for their length."""
QUEUE_LIMIT = 256
"""Datagrams that wait for a socket whose buffer is full: 370 KB, 30 ms at 100 Mbit/s."""


class LinkSocket:
    """Owns a non-blocking, bound UDP socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._queue: deque[tuple[bytes, Address]] = deque()
        self.overflows = 0
        """Datagrams dropped because the queue was full."""
        self.send_errors = 0
        self.last_error = ""
        """What the system said to the last datagram that it refused."""
        self.refused_since: float | None = None
        """The monotonic time from which on the system has refused every datagram; None: it took the last one."""

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    @property
    def local_address(self) -> Address:
        """Where the socket is bound."""
        return self._socket.getsockname()

    @property
    def blocked(self) -> bool:
        """Whether datagrams wait for the socket to become writable."""
        return bool(self._queue)

    def receive_batch(self, limit: int) -> list[tuple[bytes, Address]]:
        """Up to `limit` datagrams that wait now, with their sources."""
        received: list[tuple[bytes, Address]] = []
        receive = self._socket.recvfrom
        try:
            while len(received) < limit:
                received.append(receive(RECEIVE_SIZE))
        except BlockingIOError:
            pass
        except OSError as error:
            self._note(error)
        return received

    def send_batch(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Sends, and queues what the socket does not take now; order is kept.

        An error of the system concerns one datagram, not the link: it is counted, and time will tell.
        """
        send = self._socket.sendto
        for index, datagram in enumerate(datagrams):
            if self._queue:
                self._enqueue(datagrams[index:], address)
                return
            try:
                send(datagram, address)
            except BlockingIOError:
                self._enqueue(datagrams[index:], address)
                return
            except OSError as error:
                self._refuse(error)
            else:
                self.refused_since = None

    def flush(self) -> None:
        """Sends of what is queued as much as the socket takes."""
        while self._queue:
            datagram, address = self._queue[0]
            try:
                self._socket.sendto(datagram, address)
            except BlockingIOError:
                return
            except OSError as error:
                self._refuse(error)
            else:
                self.refused_since = None
            self._queue.popleft()

    def close(self) -> None:
        """Closes the socket, after a last attempt to send what is queued: a DISCONNECT stands behind it."""
        self.flush()
        self._queue.clear()
        self._socket.close()

    def _enqueue(self, datagrams: Sequence[bytes], address: Address) -> None:
        room = max(QUEUE_LIMIT - len(self._queue), 0)
        self._queue.extend((datagram, address) for datagram in datagrams[:room])
        self.overflows += max(len(datagrams) - room, 0)

    def _refuse(self, error: OSError) -> None:
        self._note(error)
        if self.refused_since is None:
            self.refused_since = time.monotonic()

    def _note(self, error: OSError) -> None:
        self.send_errors += 1
        self.last_error = os.strerror(error.errno) if error.errno else str(error)
