"""The control messages of UDP sockets, which come and go with a datagram."""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Iterable

Message = tuple[int, int, bytes]
"""Level, type and value, as recvmsg and sendmsg use them."""

ROOM = 512
"""Bytes for the control messages of one read: enough for all socket options together, except those for IP options."""

UDP_SEGMENT = 103  # linux/udp.h, Linux 4.18
UDP_GRO = 104  # linux/udp.h, Linux 5.0
_SEGMENT_SIZE = struct.Struct("=H")
_GRO_SIZE = struct.Struct("=i")


def segment_size(size: int) -> Message:
    """Has the kernel cut a send into datagrams of `size` bytes."""
    return socket.IPPROTO_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(size)


def joined_size(messages: Iterable[Message]) -> int:
    """Bytes of each datagram of one read, except the last; 0: the read is a single datagram.

    Other messages, like SO_TIMESTAMP's, may stand before it, so all are searched.
    """
    for level, kind, value in messages:
        if level == socket.IPPROTO_UDP and kind == UDP_GRO:
            size: int = _GRO_SIZE.unpack_from(value)[0]
            return size
    return 0


# The local address that a datagram was sent to; answers leave from it.

Called = tuple[str] | tuple[str, int]
"""A local address that a datagram was sent to. IPv4: the host. IPv6: the host and the interface's number, which is 0
unless the address is link-local. `LinkSocket` has it behind the peer's address."""

IP_PKTINFO = 8  # linux/in.h
_IPV4_INFO = struct.Struct("=i4s4s")
"""struct in_pktinfo: interface, the local address for an answer, the address in the packet's header."""
_IPV6_INFO = struct.Struct("=16sI")
"""struct in6_pktinfo: address and interface."""
_IPV4_NONE = bytes(4)


def tell_called(sock: socket.socket) -> bool:
    """Has each datagram bring the address that it was sent to; returns whether the system can do that.

    An IPv6 socket tells it for IPv4 peers too, as a mapped address.
    """
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    except OSError:
        return False
    return True


def called(messages: Iterable[Message]) -> Called | tuple[()]:
    """The local address that one read's datagrams were sent to; (): not known."""
    for level, kind, value in messages:
        if (level, kind) in _CALLED:
            return _called(kind, value)
    return ()


_CALLED = ((socket.IPPROTO_IP, IP_PKTINFO), (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO))


@functools.lru_cache(maxsize=64)
def _called(kind: int, value: bytes) -> Called:
    if kind == IP_PKTINFO:
        _, local, header = _IPV4_INFO.unpack_from(value)
        # For a datagram that came before the option was set, the system has only the header's address.
        return (socket.inet_ntop(socket.AF_INET, header if local == _IPV4_NONE else local),)
    address, interface = _IPV6_INFO.unpack_from(value)
    # Answers from any other address take the interface that routing says, not the one that the datagram came by.
    return socket.inet_ntop(socket.AF_INET6, address), interface if is_link_local(address) else 0


def is_link_local(address: bytes) -> bool:
    """Whether an IPv6 address is in fe80::/10 and so means nothing without an interface."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


@functools.lru_cache(maxsize=64)
def source(local: Called) -> Message:
    """Has a send leave from the address `local`."""
    if len(local) == 2:
        packed = socket.inet_pton(socket.AF_INET6, local[0])
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6_INFO.pack(packed, local[1])
    packed = socket.inet_pton(socket.AF_INET, local[0])
    return socket.IPPROTO_IP, IP_PKTINFO, _IPV4_INFO.pack(0, packed, _IPV4_NONE)
