"""Where the helper's two roles listen under systemd.

Light to import: a daemon that starts wakes the helper before it loads anything, so that both load at the same time.
"""

from __future__ import annotations

import contextlib
import socket
from enum import Enum

DIRECTORY = "/run/mlvpn-helper"
"""Where systemd has made the sockets; nobody but root can write there."""


class Role(Enum):
    """The suffix of the socket's name."""

    HELPER = ".sock"
    SCRIPT = ".script"


def connect(instance: str, role: Role, directory: str = DIRECTORY) -> socket.socket:
    """A connection, which has systemd start the role if it does not run. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(f"{directory}/{instance}{role.value}")
    except OSError:
        sock.close()
        raise
    return sock


def wake(instance: str, role: Role, directory: str = DIRECTORY) -> None:
    """Has the role started; where there is none, whoever needs it will say so."""
    with contextlib.suppress(OSError):
        connect(instance, role, directory).close()
