"""What comes beside a datagram, and goes along with it: the control messages of UDP sockets."""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Iterable

Message = tuple[int, int, bytes]
"""Level, type and value, as recvmsg and sendmsg have it."""

ROOM = 512
"""Bytes for the control messages of one read: as much as all options of a socket bring, but those for IP options."""

UDP_SEGMENT = 103  # linux/udp.h, Linux 4.18
UDP_GRO = 104  # linux/udp.h, Linux 5.0
_SEGMENT_SIZE = struct.Struct("=H")
_GRO_SIZE = struct.Struct("=i")


def segment_size(size: int) -> Message:
    """Has a send be cut into datagrams of so many bytes."""
    return socket.IPPROTO_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(size)


def joined_size(messages: Iterable[Message]) -> int:
    """Bytes of each datagram, but the last, that one read has brought; 0: it was one datagram.

    It is looked for among all, since others may stand before it: SO_TIMESTAMP does.
    """
    for level, kind, value in messages:
        if level == socket.IPPROTO_UDP and kind == UDP_GRO:
            size: int = _GRO_SIZE.unpack_from(value)[0]
            return size
    return 0


# Where a datagram was sent to, and what answers it comes from.

Called = tuple[str] | tuple[str, int]
"""A local address that a datagram was sent to: over IPv4 the host, over IPv6 the host and the number of the interface,
which is 0 but for link-local ones. `LinkSocket` has it behind the peer's address."""

IP_PKTINFO = 8  # linux/in.h
_IPV4_INFO = struct.Struct("=i4s4s")
"""struct in_pktinfo: interface, the local address for an answer, the address in the packet's header."""
_IPV6_INFO = struct.Struct("=16sI")
"""struct in6_pktinfo: address and interface."""
_IPV4_NONE = bytes(4)


def tell_called(sock: socket.socket) -> bool:
    """Has each datagram bring where it was sent to; whether the system can do that.

    A socket of IPv6 tells it of IPv4 peers, too: as an address that is mapped.
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
    """Where what one read has brought was sent to; () if that is not known."""
    for level, kind, value in messages:
        if (level, kind) in _CALLED:
            return _called(kind, value)
    return ()


_CALLED = ((socket.IPPROTO_IP, IP_PKTINFO), (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO))


@functools.lru_cache(maxsize=64)
def _called(kind: int, value: bytes) -> Called:
    if kind == IP_PKTINFO:
        _, local, header = _IPV4_INFO.unpack_from(value)
        # Of what came before the option was set the system knows the header only.
        return (socket.inet_ntop(socket.AF_INET, header if local == _IPV4_NONE else local),)
    address, interface = _IPV6_INFO.unpack_from(value)
    # Any other address is left by the way that routing says, not by the one that it was called by.
    return socket.inet_ntop(socket.AF_INET6, address), interface if is_link_local(address) else 0


def is_link_local(address: bytes) -> bool:
    """Whether an IPv6 address means nothing without an interface: fe80::/10."""
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


@functools.lru_cache(maxsize=64)
def source(local: Called) -> Message:
    """Has a send leave from there."""
    if len(local) == 2:
        packed = socket.inet_pton(socket.AF_INET6, local[0])
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6_INFO.pack(packed, local[1])
    packed = socket.inet_pton(socket.AF_INET, local[0])
    return socket.IPPROTO_IP, IP_PKTINFO, _IPV4_INFO.pack(0, packed, _IPV4_NONE)
