"""The table of cases: loads, peers, links and demands."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.lab import Line

NATIVE, REFERENCE = "native", "reference"
OPENVPN, WIREGUARD, TINC = "openvpn", "wireguard-go", "tinc"
RAW, SECRETBOX, BOX = "raw", "secretbox", "native box"
"""No tunnel; the cipher alone by libsodium; the cipher alone by the native twin."""
CIPHERS = (SECRETBOX, BOX)
TWINS = (NATIVE, REFERENCE)
OTHERS = (OPENVPN, WIREGUARD, TINC)
EVERY = (*TWINS, *OTHERS)

MTU = 1400
REORDER_BUFFER = 64
FLOOD_SIZE = 64
"""Bytes of UDP payload of a small packet."""
STEADY_RATE = 15_000
"""Small packets a second."""
STRANGERS_RATE = 80_000
"""Datagrams a second under a wrong key."""
STRANGERS_SHARE = 0.25
"""Part of a core that the strangers' datagrams may cost the daemon."""
LARGE_SIZE = 1300
LARGE_RATE = 100
"""Bytes of UDP payload, and Mbit/s of it."""
SHAPED_LINES = (Line(rate=50, delay=10), Line(rate=50, delay=10))
_FRAME_BESIDE_PAYLOAD = 138
"""Bytes of a frame without TCP's payload: Ethernet 14, IP and UDP 28, header 28, MAC 16, inner IP and TCP 52."""
SHAPED_SUM = sum(line.rate for line in SHAPED_LINES) * (MTU - 52) / (MTU - 52 + _FRAME_BESIDE_PAYLOAD)
"""Mbit/s of TCP payload that `SHAPED_LINES` can carry; computed, not measured."""


class Load(enum.Enum):
    """The traffic of a case; it always goes from the client to the server."""

    TCP = "one TCP stream, as fast as it goes"
    FLOOD = "64-byte UDP, as fast as it goes"
    STEADY = "64-byte UDP, 15 000 a second"
    LARGE = "1300-byte UDP, 100 Mbit/s"
    IDLE = "echo requests, 5 ms apart"
    STRANGERS = "datagrams under a wrong key, 80 000 a second, to the receiver's link"


@dataclass(frozen=True, slots=True)
class Case:
    """One row of runs."""

    title: str
    load: Load
    peers: Sequence[str]
    """The peers, in the order of their runs."""
    links: int = 1
    offloads: bool = True
    shaped: bool = False
    """Over `SHAPED_LINES` instead of bare cables."""
    length: float = 1.0
    """Length of a run, in usual runs."""


CASES: Mapping[str, Case] = {
    "tcp": Case("TCP, 1 stream, 1 link", Load.TCP, (*CIPHERS, *EVERY)),
    "tcp-8": Case("TCP, 1 stream, 8 links", Load.TCP, TWINS, links=8),
    "tcp-2": Case("TCP, 1 stream, 2 links", Load.TCP, (SECRETBOX, *TWINS), links=2),
    "tcp-2-plain": Case(
        "TCP, 1 stream, 2 links, GSO and GRO off on the links", Load.TCP, (SECRETBOX, *TWINS), links=2, offloads=False
    ),
    "flood": Case("64-byte packets, flood", Load.FLOOD, EVERY),
    "steady": Case("64-byte packets, 15 000 a second", Load.STEADY, EVERY),
    "udp": Case("UDP 1300 B at 100 Mbit/s", Load.LARGE, EVERY),
    "shaped": Case("TCP, 1 stream, 2 x 50 Mbit/s", Load.TCP, TWINS, links=2, shaped=True, length=2.5),
    "idle": Case("round trip, idle", Load.IDLE, (RAW, *EVERY)),
    "strangers": Case("80 000 datagrams a second under a wrong key", Load.STRANGERS, TWINS),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A value of one peer in one case, in each round."""

    case: str
    peer: str
    value: str
    """One of `outcome.VALUES`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One demand on a figure. The figure is divided by another one of the same round, or it stands alone."""

    row: str
    """Row of the table."""
    figure: Figure
    limit: float
    base: Figure | None = None
    """None: the limit is one of the figure itself."""
    less: Figure | None = None
    """Subtracted from figure and base first."""
    at_most: bool = True
    against: str = ""
    """The base in words, or the figure if there is no base."""


def _sides(
    row: str,
    figure: tuple[str, str],
    limits: tuple[float, float],
    base: tuple[str, str],
    against: str,
    *,
    unit: str = "cpu",
) -> tuple[Limit, ...]:
    """One demand on the sender and one on the receiver; `figure` and `base` are case and peer."""
    return tuple(
        Limit(
            f"{row}, {side}",
            Figure(*figure, f"{unit}_{side}"),
            limit,
            Figure(*base, f"{unit}_{side}"),
            against=against,
        )
        for side, limit in zip(("sender", "receiver"), limits, strict=True)
    )


_CPU = "CPU-s per GB"

LIMITS: Sequence[Limit] = (
    *_sides(f"TCP, 1 stream, 1 link: {_CPU}", ("tcp", NATIVE), (1.9, 1.9), ("tcp", SECRETBOX), "secretbox"),
    *_sides(f"TCP, 1 stream, 1 link: {_CPU}", ("tcp", NATIVE), (0.25, 0.25), ("tcp", OPENVPN), "OpenVPN"),
    *_sides(f"TCP, 1 stream, 2 links: {_CPU}", ("tcp-2", NATIVE), (2.2, 2.2), ("tcp-2", SECRETBOX), "secretbox"),
    *_sides(
        f"the same, GSO and GRO off on the links: {_CPU}",
        ("tcp-2-plain", NATIVE),
        (3.0, 3.0),
        ("tcp-2-plain", SECRETBOX),
        "secretbox",
    ),
    Limit(
        "TCP throughput, 1 stream",
        Figure("tcp", NATIVE, "mbit"),
        6.0,
        Figure("tcp", OPENVPN, "mbit"),
        at_most=False,
        against="OpenVPN",
    ),
    Limit(
        "64-byte packets per second in a flood",
        Figure("flood", NATIVE, "rate"),
        1.6,
        Figure("flood", OPENVPN, "rate"),
        at_most=False,
        against="OpenVPN",
    ),
    *_sides(
        "CPU per packet at 15 000 of 64 B a second",
        ("steady", NATIVE),
        (0.6, 0.9),
        ("steady", OPENVPN),
        "OpenVPN",
        unit="packet",
    ),
    Limit(
        "UDP 1300 B at 100 Mbit/s: share of a core, both ends",
        Figure("udp", NATIVE, "share"),
        0.9,
        Figure("udp", OPENVPN, "share"),
        against="OpenVPN",
    ),
    Limit(
        "2 x 50 Mbit/s, TCP: goodput",
        Figure("shaped", NATIVE, "of_sum"),
        0.97,
        at_most=False,
        against="of the computed sum",
    ),
    *_sides(f"2 x 50 Mbit/s, TCP: {_CPU}", ("shaped", NATIVE), (0.5, 0.5), ("shaped", REFERENCE), "reference"),
    Limit(
        "least round trip, idle, less the raw link's",
        Figure("idle", NATIVE, "rtt_least"),
        1.1,
        Figure("idle", OPENVPN, "rtt_least"),
        Figure("idle", RAW, "rtt_least"),
        against="OpenVPN",
    ),
    Limit(
        "CPU of the receiver per datagram under a wrong key, 80 000 a second: a quarter of a core",
        Figure("strangers", NATIVE, "packet_receiver"),
        STRANGERS_SHARE / STRANGERS_RATE * 1e6,
        against="µs",
    ),
    Limit("resident memory, 8 links up", Figure("tcp-8", NATIVE, "memory"), 40.0, against="MB"),
    *_sides(f"8 links: {_CPU}", ("tcp-8", NATIVE), (1.2, 1.2), ("tcp", NATIVE), "1 link"),
)
