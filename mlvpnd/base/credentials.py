"""Who is at the other end of a unix socket."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

_UCRED = struct.Struct("iII")
"""`struct ucred` of unix(7)."""


class Credentials(NamedTuple):
    """Of the process that connected, or made the pair, at that time."""

    pid: int
    uid: int
    gid: int


def credentials_of(sock: socket.socket) -> Credentials:
    """What the kernel knows of the peer (SO_PEERCRED); process 0: nothing, as of a socket of another family."""
    return Credentials._make(_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))
