"""Sockets that were bound before this process began: by systemd's socket unit, or by the process before."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

from mlvpnd.config.model import Config, LinkConfig, Mode
from mlvpnd.logs.log import logger
from mlvpnd.net import resolve
from mlvpnd.net.interface import bound_index, index_of, local_end
from mlvpnd.net.resolve import Endpoints

from . import notify
from .fd_store import Keeper
from .given import Service

_net = logger("net")


class Adopted(NamedTuple):
    """A bound socket for a link."""

    sock: socket.socket
    ends: Endpoints
    kept_by_us: bool
    """False: the socket unit holds it, so the store need not."""


class Sockets:
    """Inherited UDP sockets; each link takes the one that fits."""

    def __init__(self, service: Service, keeper: Keeper) -> None:
        self._keeper = keeper
        self._kept: dict[str, socket.socket] = {}
        self._activated: list[socket.socket] = []
        for descriptor in service.take_all(notify.ACTIVATED):
            if (sock := _udp(descriptor)) is not None:
                self._activated.append(sock)
        for name in [name for name in service.descriptors if name.startswith(notify.LINK_PREFIX)]:
            for descriptor in service.take_all(name):
                if (sock := _udp(descriptor)) is not None:
                    self._kept[name] = sock

    def take(self, link: LinkConfig, config: Config) -> Adopted | None:
        """The socket that fits a link; None: there is none, and the link binds one itself."""
        host, _device = local_end(link.bindhost, link.binddevice)
        wanted = resolve.numeric(host, link.bindport, passive=True) or []
        name = notify.link_name(link.name)
        kept = self._kept.pop(name, None) if name else None
        if kept is not None:
            if _fits(kept, wanted, link):
                return Adopted(kept, _ends(kept), kept_by_us=True)
            kept.close()
            self.give_up(link)
        if config.mode is Mode.SERVER:
            for sock in self._activated:
                if _fits(sock, wanted, link):
                    self._activated.remove(sock)
                    return Adopted(sock, _ends(sock), kept_by_us=False)
        return None

    def give_up(self, link: LinkConfig) -> None:
        """The link's kept socket was closed: removes it from the store, so that nothing holds its port."""
        if name := notify.link_name(link.name):
            self._keeper.forget_inherited(name)

    def close_rest(self) -> None:
        """Closes the sockets that no link has taken."""
        for sock in self._activated:
            _net.warning("no link is bound to %s:%s, which systemd listens on", *sock.getsockname()[:2])
            sock.close()
        for name, sock in self._kept.items():
            sock.close()
            self._keeper.forget_inherited(name)
        self._activated.clear()
        self._kept.clear()


def _udp(descriptor: int) -> socket.socket | None:
    """The UDP socket behind a descriptor; None: it is none, and the descriptor is closed."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_DGRAM:
        sock.settimeout(0)
        return sock
    sock.close()
    return None


def _fits(sock: socket.socket, wanted: list[resolve.Resolved], link: LinkConfig) -> bool:
    """Whether a socket is bound as the link's section says. None fits if host or port is a name."""
    bindhost, binddevice = local_end(link.bindhost, link.binddevice)
    device = index_of(binddevice) if binddevice else 0
    if bound_index(sock) != device or bool(device) != bool(binddevice):  # the interface may be gone, too
        return False
    host, port = sock.getsockname()[:2]
    for family, address in wanted:
        same_port = not link.bindport or address[1] == port
        if family == sock.family and same_port and (address[0] == host or not bindhost):
            return True
    return False


def _ends(sock: socket.socket) -> Endpoints:
    return Endpoints(sock.family, sock.getsockname(), None)
