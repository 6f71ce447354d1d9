"""Tests by trying: whether a port is free, and whether an error comes back from the way to the peer."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from mlvpnd.net.probe import ask

from .ends import Ends, is_ipv6

PROBE_WAIT = 1.5
"""Seconds for an error to come back: an error from a router or the peer takes a round trip."""


def probe_peers(links: Sequence[Ends], wait: float = PROBE_WAIT) -> dict[str, int]:
    """Sends an empty datagram to each link's peer from the link's source. Returns error numbers by link; 0: no error.

    If a link's socket cannot be made, its error is returned. Links without a peer are left out.
    """
    results: dict[str, int] = {}
    sockets: dict[int, tuple[str, socket.socket]] = {}
    poller = select.poll()
    try:
        for ends in links:
            if ends.remote is None:
                continue
            try:
                sock = _probe_socket(ends)
            except OSError as error:
                results[ends.link.name] = error.errno or errno.EINVAL
                continue
            results[ends.link.name] = 0
            sockets[sock.fileno()] = ends.link.name, sock
            poller.register(sock, 0)  # errors are always reported
        until = time.monotonic() + wait
        waiting = len(sockets)
        while waiting and (left := until - time.monotonic()) > 0:
            for descriptor, _ in poller.poll(left * 1000):
                name, sock = sockets[descriptor]
                results[name] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                poller.unregister(descriptor)
                waiting -= 1
    finally:
        for _, sock in sockets.values():
            sock.close()
    return results


def _probe_socket(ends: Ends) -> socket.socket:
    """A socket that has sent its datagram. Raises OSError."""
    anywhere = "::" if is_ipv6(ends.remote) else "0.0.0.0"  # noqa: S104  the system chooses
    local = (str(ends.local) if ends.local is not None else anywhere, 0)
    return ask(local, (str(ends.remote), ends.remote_port), ends.link.binddevice)


def port_taken(ends: Ends) -> bool:
    """Whether somebody has the link's local port; other checks report its other problems."""
    ipv6 = is_ipv6(ends.local) or (ends.local is None and ends.remote is None and socket.has_ipv6)
    try:
        sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return False
    with sock:
        try:
            if ends.link.binddevice:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ends.link.binddevice.encode() + b"\0")
            sock.bind((str(ends.local) if ends.local is not None else "", ends.local_port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def port_holders(port: int, proc: Path = Path("/proc")) -> list[str]:
    """The programs that hold a UDP port, as `named (pid 812)`; only root sees those of other users."""
    inodes = set()
    for table in ("udp", "udp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{words[9]}]")
    found = []
    for process in proc.glob("[0-9]*"):
        if inodes and _holds(process, inodes):
            try:
                name = (process / "comm").read_text().strip()
            except OSError:
                continue
            found.append(f"{name} (pid {process.name})")
    return sorted(found)


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        with os.scandir(process / "fd") as entries:
            return any(os.readlink(entry) in sockets for entry in entries)
    except OSError:
        return False  # gone, or another user's
