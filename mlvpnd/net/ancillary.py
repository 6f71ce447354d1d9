"""What comes beside a datagram, and goes along with it: the control messages of UDP sockets."""

from __future__ import annotations

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
