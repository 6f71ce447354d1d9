"""Sockets that need root: a link's buffer and port, and the control socket."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import dataclass

from mlvpnd.config.model import LinkConfig
from mlvpnd.config.schema import RUNTIME_DIRECTORY
from mlvpnd.errors import MlvpndError
from mlvpnd.net.interface import local_end

from .files import UnsafeFile, open_trusted_directory
from .resolver import Resolver

RECEIVE_BUFFER_SIZE = 4 << 20
"""Bytes. Receive buffer asked for a link: some 30 ms at 1 Gbit/s."""
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; not in Python's socket
_CONTROL_BACKLOG = 16


class SocketError(MlvpndError):
    """A socket is of a wrong kind, or the kernel refused; the text says which."""


def udp_socket(descriptor: int) -> socket.socket:
    """A duplicate of a descriptor as a UDP socket, which the caller closes. Raises SocketError."""
    duplicate = os.dup(descriptor)
    try:
        sock = socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise SocketError("not a socket") from None
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_DGRAM:
        sock.close()
        raise SocketError("not a UDP socket")
    if sock.proto not in (0, socket.IPPROTO_UDP):
        sock.close()
        raise SocketError("not a UDP socket")
    return sock


def tune(sock: socket.socket) -> None:
    """Enlarges the receive buffer; above the system's limit if the helper is root."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_SIZE)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_SIZE)


async def bind(sock: socket.socket, link: LinkConfig, resolver: Resolver) -> None:
    """Binds a link's socket to its `binddevice`, `bindhost` and `bindport`. Raises SocketError or ResolveError."""
    host, device = local_end(link.bindhost, link.binddevice)
    if device:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(device) + b"\0")
        except OSError as error:
            raise SocketError(f"bind error: binddevice {device}: {error.strerror}") from None
    addresses = await resolver.resolve(host or None, link.bindport or "0", family=sock.family, passive=True)
    problem = "no address"
    for _family, host, port, flow, scope in addresses:
        try:
            sock.bind((host, port) if sock.family == socket.AF_INET else (host, port, flow, scope))
        except OSError as error:
            problem = f"{host} port {port}: {error.strerror}"
        else:
            return
    raise SocketError(f"bind error: {problem}")


@dataclass(frozen=True, slots=True)
class _BoundPath:
    """A socket file of ours; its inode tells it from a later file."""

    path: str
    device: int
    inode: int


class ControlSocket:
    """The control socket's file: made on request, removed when the process ends."""

    def __init__(self, uid: int, gid: int) -> None:
        self._uid = uid
        self._gid = gid
        self._bound: _BoundPath | None = None

    def open(self, path: str) -> socket.socket:
        """A listening socket at `path`, for the daemon's user only. Raises SocketError, UnsafeFile.

        In the directory only root may change what is root's. So nobody can exchange the file between its making and
        its change of owner, and a path is as good as a descriptor.
        """
        if os.path.dirname(path) == RUNTIME_DIRECTORY:
            os.makedirs(RUNTIME_DIRECTORY, mode=0o755, exist_ok=True)
        directory = open_trusted_directory(path)
        os.close(directory)
        self.remove()
        _remove_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            os.fchmod(sock.fileno(), 0o600)  # Linux gives the file the mode of the unbound socket
            sock.bind(path)
            made = os.lstat(path)
            self._bound = _BoundPath(path, made.st_dev, made.st_ino)
            if os.geteuid() == 0:
                os.chown(path, self._uid, self._gid, follow_symlinks=False)
            sock.listen(_CONTROL_BACKLOG)
        except OSError as error:
            sock.close()
            self.remove()
            raise SocketError(f"cannot bind socket {path}: {error.strerror or error}") from None
        return sock

    def remove(self) -> None:
        """Removes the file, if it is still ours."""
        bound, self._bound = self._bound, None
        if bound is None:
            return
        try:
            found = os.lstat(bound.path)
            if (found.st_dev, found.st_ino) == (bound.device, bound.inode):
                os.unlink(bound.path)
        except OSError:
            pass  # gone already, or in a directory that went away


def _remove_stale(path: str) -> None:
    """Removes a socket file at which nobody listens. Raises SocketError for anything else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnsafeFile(f"{path}: {error.strerror}") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketError(f"cannot bind socket {path}: there is a file which is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            raise SocketError(f"cannot bind socket {path}: {error.strerror}") from None
    raise SocketError(f"cannot bind socket {path}: another process listens there")
