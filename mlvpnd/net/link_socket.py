"""A link's edge: bursts of datagrams from and to one UDP socket.

A run is datagrams of one size; only the last may be shorter. One system call sends a run (UDP_SEGMENT) or receives one
(UDP_GRO). On the wire each datagram is separate. Both are tried when the socket opens, and neither is needed.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from . import ancillary

Address = Any
"""A socket address as Python gives it; if the socket has `answers` set, `ancillary.Called` is behind it."""

RECEIVE_SIZE = 9216
"""Bytes. Holds a 9000-byte inner packet with all headers; longer datagrams are cut, then refused for their length."""
GSO_PAUSE = 1.0
"""Seconds until runs of datagrams of a refused size are tried again. A try costs a call."""
QUEUE_LIMIT = 256
"""Datagrams that may wait while the socket's buffer is full: 370 KB, 30 ms at 100 Mbit/s."""
MAX_SEGMENTS = 64
"""Datagrams in one send: UDP_MAX_SEGMENTS of linux/udp.h before it became 128."""
MAX_RUN_SIZE = {socket.AF_INET: 65535 - 14 - 20 - 8, socket.AF_INET6: 65535 - 14 - 40 - 8}
"""Bytes in one send, by the socket's family: 65493 and 65473. With the headers of UDP, IP and Ethernet a device takes
less than gso_max_size, which is 65536. The kernel cuts longer ones itself (netif_skb_features in net/core/dev.c)."""

_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0  # linux/in.h
_MAX_RECEIVED = 65535
_ENOTSUPP = 524  # linux/errno.h; some drivers return it
_RUN_REFUSALS = frozenset((errno.EINVAL, errno.EMSGSIZE, errno.EIO, errno.EOPNOTSUPP, _ENOTSUPP))
"""Errors for a run whose datagrams the system would take singly: one exceeds the path's MTU (singly it goes in
fragments), the device does no checksums, or the packets go through IPsec."""


_SOURCE_REFUSALS = frozenset((errno.EINVAL, errno.ENETUNREACH))
"""Errors if the local address that was called is gone: the first over IPv6, the second over IPv4."""


class LinkSocket:
    """Owns a non-blocking, bound UDP socket."""

    def __init__(self, sock: socket.socket, *, answers: bool = False, routers_split: bool = True) -> None:
        """`routers_split`: see `let_routers_split`; False keeps the system's setting, for probes of the path.

        `answers`: the socket is a server's. If it is bound to no address, answers leave from the one that was called.
        """
        if routers_split:
            let_routers_split(sock)
        self._socket = sock
        self.answers = answers and _has_many_addresses(sock) and ancillary.tell_called(sock)
        """Whether the peers' addresses have `ancillary.Called` behind them."""
        self._plain = 4 if sock.family == socket.AF_INET6 else 2
        """Fields of an address without `ancillary.Called`."""
        self._lost: ancillary.Called | tuple[()] = ()
        """A local address that the system has refused; cleared when a datagram comes to it again."""
        self._max_run_size = MAX_RUN_SIZE.get(sock.family, 0)
        self._queue: deque[tuple[bytes, Address]] = deque()
        self.gso = _has_segment(sock)
        """Whether runs are sent by one call: False from a refusal until the system takes a run of this size again."""
        self._single_from = 0
        """Without `gso`: datagrams of this many bytes or more go singly, ..."""
        self._single_until = 0.0 if self.gso else math.inf
        """... until runs of them are tried again, in monotonic seconds."""
        self.gro = _takes_gro(sock)
        """Whether runs are received by one call."""
        self.gso_sends = 0
        """Runs sent by one call each."""
        self.gso_segments = 0
        """Datagrams in these runs."""
        self.gro_receives = 0
        """Runs received by one call each."""
        self.gro_segments = 0
        """Datagrams in these runs."""
        self.overflows = 0
        """Datagrams dropped because the queue was full."""
        self.send_errors = 0
        self.last_error = ""
        """The system's error for the last datagram that it refused."""
        self.refused_for: float | None = None
        """Seconds from the first to the last of the sends refused in a row; None: the last send was taken."""
        self._refused_since = 0.0

    def take_counts(self, counts: Mapping[str, int], last_errno: int, refused_for: float | None) -> None:
        """Takes the counters of the native loop, which sends and receives by this socket; by their names here."""
        for name, count in counts.items():
            setattr(self, name, count)
        self.last_error = os.strerror(last_errno) if last_errno else ""
        self.refused_for = refused_for

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
        """About `limit` waiting datagrams with their sources: the last call may bring a run of up to 64."""
        received: list[tuple[bytes, Address]] = []
        try:
            if self.gro or self.answers:
                while len(received) < limit:
                    self._receive_run(received)
            else:
                receive = self._socket.recvfrom
                while len(received) < limit:
                    received.append(receive(RECEIVE_SIZE))
        except BlockingIOError:
            pass
        except OSError as error:
            self._note(error)
        return received

    def _receive_run(self, received: list[tuple[bytes, Address]]) -> None:
        """Appends the datagrams that one call brings."""
        data, messages, _flags, address = self._socket.recvmsg(_MAX_RECEIVED, ancillary.ROOM)
        size = ancillary.joined_size(messages)
        if self.answers:
            address += self._called(messages)
        if not 0 < size < len(data):
            received.append((data if len(data) <= RECEIVE_SIZE else data[:RECEIVE_SIZE], address))
            return
        run = [(data[start : start + size], address) for start in range(0, len(data), size)]
        self.gro_receives += 1
        self.gro_segments += len(run)
        received += run

    def _called(self, messages: Iterable[ancillary.Message]) -> ancillary.Called | tuple[()]:
        """The local address that received datagrams were sent to."""
        called = ancillary.called(messages)
        if called == self._lost:
            self._lost = ()
        return called

    def send_batch(self, datagrams: Sequence[bytes], address: Address) -> None:
        """Sends, and queues what the socket does not take now; order is kept.

        A system error is about these datagrams, not the link: it is only counted. See `refused_for`.
        """
        taken = 0 if self._queue else self._send(datagrams, address)
        if taken < len(datagrams):
            self._enqueue(datagrams[taken:], address)

    def flush(self) -> None:
        """Sends as much of the queue as the socket takes."""
        queue = self._queue
        while queue:
            address, alike = next(groupby(islice(queue, MAX_SEGMENTS), itemgetter(1)))
            datagrams = [datagram for datagram, _ in alike]
            taken = self._send(datagrams, address)
            for _ in range(taken):
                queue.popleft()
            if taken < len(datagrams):
                return

    def _send(self, datagrams: Sequence[bytes], address: Address) -> int:
        """Sends until the socket takes no more; returns how many datagrams were sent or refused."""
        done, count = 0, len(datagrams)
        address, called, source = self._ends(address)
        while done < count:
            size = len(datagrams[done])
            in_run = count - done > 1 and (self.gso or self._tries_run(size))
            end = run_end(datagrams, done, self._max_run_size) if in_run else done + 1
            try:
                if end - done > 1:
                    messages = [*source, ancillary.segment_size(size)]
                    self._socket.sendmsg(datagrams[done:end], messages, 0, address)
                    self.gso = self.gso or size >= self._single_from  # a try has gone well
                    self.gso_sends += 1
                    self.gso_segments += end - done
                elif source:
                    self._socket.sendmsg([datagrams[done]], source, 0, address)
                else:
                    self._socket.sendto(datagrams[done], address)
            except BlockingIOError:
                break
            except OSError as error:
                if end - done > 1 and error.errno in _RUN_REFUSALS:
                    self._pause_runs(size)
                    continue
                if source and error.errno in _SOURCE_REFUSALS:  # send from any other address
                    self._lost, source = called, []
                    continue
                self._refuse(error, end - done)
            else:
                self.refused_for = None
            done = end
        return done

    def _ends(self, address: Address) -> tuple[Address, ancillary.Called | tuple[()], list[ancillary.Message]]:
        """An address without `Called`, the `Called`, and the message that has a send leave from there."""
        if not self.answers:
            return address[: self._plain], (), []
        called = address[self._plain :]
        return address[: self._plain], called, [ancillary.source(called)] if called and called != self._lost else []

    def _tries_run(self, size: int) -> bool:
        """Whether to try runs of datagrams of this size, though others were refused."""
        return size < self._single_from or time.monotonic() >= self._single_until

    def _pause_runs(self, size: int) -> None:
        """Runs of this size are refused: a datagram exceeds the path's MTU, or the device takes no run."""
        if self.gso or size < self._single_from:
            self._single_from = size
        self.gso = False
        self._single_until = time.monotonic() + GSO_PAUSE

    def close(self) -> None:
        """Closes the socket after a last attempt to send the queue, which may end with a DISCONNECT."""
        self.flush()
        self._queue.clear()
        self._socket.close()

    def _enqueue(self, datagrams: Sequence[bytes], address: Address) -> None:
        room = max(QUEUE_LIMIT - len(self._queue), 0)
        self._queue.extend((datagram, address) for datagram in datagrams[:room])
        self.overflows += max(len(datagrams) - room, 0)

    def _refuse(self, error: OSError, count: int) -> None:
        self._note(error, count)
        now = time.monotonic()
        if self.refused_for is None:
            self._refused_since = now
        self.refused_for = now - self._refused_since

    def _note(self, error: OSError, count: int = 1) -> None:
        self.send_errors += count
        self.last_error = os.strerror(error.errno) if error.errno else str(error)


def let_routers_split(sock: socket.socket) -> None:
    """Has datagrams over IPv4 leave without DF, so that a router before a narrower line splits them.

    Linux sets DF on single datagrams, but not on runs that are longer than the MTU as a whole. So bulk would never find
    the path's MTU, and if ICMP is filtered nothing would. Over IPv6 only the sender splits, once it has been told.
    """
    with contextlib.suppress(OSError):  # a socket of another kind
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)


def run_end(datagrams: Sequence[bytes], start: int, max_size: int) -> int:
    """The end of the run that begins at `start`; a run has `max_size` bytes and `MAX_SEGMENTS` datagrams at most."""
    size = total = len(datagrams[start])
    end = start + 1
    limit = min(len(datagrams), start + MAX_SEGMENTS)
    while end < limit:
        length = len(datagrams[end])
        total += length
        if length > size or total > max_size:
            break
        end += 1
        if length < size:
            break
    return end


def _has_segment(sock: socket.socket) -> bool:
    try:
        sock.getsockopt(socket.IPPROTO_UDP, ancillary.UDP_SEGMENT)
    except OSError:
        return False
    return True


def _has_many_addresses(sock: socket.socket) -> bool:
    """Whether the socket is bound to no address, so that any local one may be called."""
    return not any(socket.inet_pton(sock.family, sock.getsockname()[0].partition("%")[0]))


def _takes_gro(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.IPPROTO_UDP, ancillary.UDP_GRO, 1)
    except OSError:
        return False
    return True
