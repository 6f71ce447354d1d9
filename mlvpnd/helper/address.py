"""Where the helper's two roles listen under systemd.

Light to import: a starting daemon wakes the helper before it loads anything else, so both load at the same time.
"""

from __future__ import annotations

import contextlib
import socket
from enum import Enum

DIRECTORY = "/run/mlvpn-helper"
"""Where systemd makes the sockets; only root can write there."""


class Role(Enum):
    """The suffix of the socket's name."""

    HELPER = ".sock"
    SCRIPT = ".script"


def connect(instance: str, role: Role, directory: str = DIRECTORY) -> socket.socket:
    """A connection; systemd starts the role for it if it does not run. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(f"{directory}/{instance}{role.value}")
    except OSError:
        sock.close()
        raise
    return sock


def wake(instance: str, role: Role, directory: str = DIRECTORY) -> None:
    """Has systemd start the role. Errors are ignored: the first request will report them."""
    with contextlib.suppress(OSError):
        connect(instance, role, directory).close()
