"""A peer that knows the password and comes and goes as fast as a test wants."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from mlvpnd.protocol.wire.box import derive_key

from .hand_peer import HandPeer
from .peer import Address

PACE = 0.0025
"""Seconds between two datagrams: two hundred times up and down in a second."""


def hostile(password: str) -> HandPeer:
    """A peer with higher numbers than all peers before it."""
    return HandPeer(0xBAD0BAD, time.time_ns() >> 6, key=derive_key(password.encode()))


def flap(sock: socket.socket, to: Address, says: Sequence[Callable[[], bytes]], seconds: float) -> int:
    """Sends the datagrams of `says` one after the other, again and again; returns how many rounds."""
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for datagram in says:
            sock.sendto(datagram(), to)
            time.sleep(PACE)
        rounds += 1
    return rounds
