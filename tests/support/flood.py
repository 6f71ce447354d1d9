"""Floods of hostile datagrams, bounded in number, rate and time."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from mlvpnd.scapy_layer import DATA, MLVPN, TYPES, derive_key, seal

from .lab import Host
from .peer import Address

_SLICE = 0.001
"""Seconds of sleep when nothing is due: 20 datagrams at 20 000 a second."""
_LARGEST_DEBT = 0.02
"""Seconds of sending that are made up for after the machine was busy. More would be a burst and no rate."""


@dataclass(frozen=True, slots=True)
class Flooded:
    """The result of a flood."""

    sent: int
    refused: int
    """Datagrams that this system refused: no buffer, no route."""
    seconds: float

    @property
    def rate(self) -> float:
        """Datagrams per second."""
        return self.sent / self.seconds if self.seconds else 0.0


def flood(
    sock: socket.socket, target: Address, datagrams: Iterable[bytes], *, count: int, rate: float, seconds: float
) -> Flooded:
    """Sends `datagrams` to `target` at `rate` a second, at most `count` and for at most `seconds`.

    A sequence is repeated, an iterator is read to its end. Blocks. `rate` is an average; it is lower if the machine
    cannot keep up.
    """
    source = _forever(datagrams) if isinstance(datagrams, Sequence) else iter(datagrams)
    sent = refused = 0
    start = time.monotonic()
    lost = 0.0  # seconds of sending that are given up
    ended = False
    while not ended and sent + refused < count and (elapsed := time.monotonic() - start) < seconds:
        due = int((elapsed - lost) * rate) + 1 - sent - refused
        if due <= 0:
            time.sleep(_SLICE)
            continue
        if due > _LARGEST_DEBT * rate + 1:
            lost += due / rate - _LARGEST_DEBT
            due = int(_LARGEST_DEBT * rate) + 1
        for _ in range(min(due, count - sent - refused)):
            datagram = next(source, None)
            if datagram is None:
                ended = True
                break
            try:
                sock.sendto(datagram, target)
                sent += 1
            except OSError:
                refused += 1
    return Flooded(sent, refused, time.monotonic() - start)


def _forever(datagrams: Sequence[bytes]) -> Iterator[bytes]:
    while datagrams:
        yield from datagrams


# Ammunition. Each function makes a list, because a flood at full rate has no time to seal.


def garbage(count: int, *, seed: int = 0) -> list[bytes]:
    """Random bytes of length 0 to 1500. One in two has a header in front that looks right."""
    source = random.Random(seed)
    made = []
    for number in range(count):
        body = source.randbytes(source.randint(0, 1472))
        if number % 2:
            header = MLVPN(
                len=len(body),
                type=source.randrange(5),
                timestamp=source.getrandbits(16),
                timestamp_reply=source.getrandbits(16),
                flow_id=source.getrandbits(32),
                seq=source.getrandbits(64),
                data_seq=source.getrandbits(64),
            )
            body = bytes(header) + body
        made.append(body)
    return made


def wrong_key(count: int, *, seed: int = 0) -> list[bytes]:
    """Flawless datagrams of every type, under a password that nobody has."""
    source = random.Random(seed)
    key = derive_key(b"nobody has this password")
    made = []
    for number in range(count):
        header = MLVPN(type=number % len(TYPES), flow_id=source.getrandbits(32), seq=number, data_seq=number)
        payload = source.randbytes(source.randint(20, 1400)) if header.type == DATA else b"AU"
        made.append(bytes(seal(header / payload, key)))
    return made


def truncated(datagrams: Sequence[bytes], *, seed: int = 0) -> list[bytes]:
    """Each datagram cut somewhere, from nothing to all but its last byte."""
    source = random.Random(seed)
    return [datagram[: source.randrange(len(datagram))] for datagram in datagrams if datagram]


def spoofed(datagrams: Iterable[bytes], source: Address, target: Address) -> list[bytes]:
    """Whole IP packets that claim to come from `source`, for a `raw_socket` and a flood to (host of `target`, 0).

    The system does not fragment them: packets over the MTU count as refused.
    """
    ip = IPv6(src=source[0], dst=target[0]) if ":" in target[0] else IP(src=source[0], dst=target[0])
    return [bytes(ip / UDP(sport=source[1], dport=target[1]) / datagram) for datagram in datagrams]


def raw_socket(*, ipv6: bool = False, host: Host | None = None) -> socket.socket:
    """A socket that takes whole IP packets with their headers, on a lab's host (None: here). Needs root."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    return (socket.socket if host is None else host.socket)(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
