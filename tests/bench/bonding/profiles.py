"""The bonded lines, and the demands on the bond over them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.lab import Line

INNER_MTU = 1428
"""Bytes of a packet that fits into an IPv4 path of 1500. The tunnel adds 28 of header, 16 of MAC, 28 of UDP and IP."""
FRAME_SIZE = 1514
"""Bytes of the Ethernet frame of a full inner packet, as the emulator counts them."""
TCP_PAYLOAD = INNER_MTU - 52
"""Bytes of TCP payload in a full inner packet: IP takes 20, TCP 20, and TCP's time stamps 12."""
RAW_TCP_PAYLOAD = 1500 - 52
"""Bytes of TCP payload in a full packet on the line itself."""

BBR, CUBIC = "bbr", "cubic"
ALONE_SHARE = 0.97
"""Share of its computed goodput that each line alone reaches through the tunnel: the tunnel itself costs nothing."""
RAW_SHARE = 0.98
"""Share of its rate that each line reaches without a tunnel. A load that reaches less is too weak for the bench."""
STRIPED_PROFILE = "equal"
STRIPED_SHARE = 0.95
"""Share of the sum that comes from a server that stripes blindly over the lines of `STRIPED_PROFILE`."""
STALL_LIMIT = 0.5
"""Seconds for which nothing may come from the blindly striping server."""
EVERYWHERE = 0.97
"""Share of the better line alone. It is asked in every profile. Where frames are lost at random, cubic owes no more."""


class Base(enum.Enum):
    """The base of a limit's share."""

    SUM = "sum"
    """The rates of all lines, as goodput; computed, not measured."""
    BETTER = "better line"
    """The same flows in the same run on one line alone, the line that carries more of them."""
    FIRST = "first line"
    """The same flows in the same run on the first line alone."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A lower limit of the goodput, as a share of the base."""

    share: float
    base: Base = Base.SUM


@dataclass(frozen=True, slots=True)
class Outage:
    """A line that is dead for a while, and says nothing."""

    line: int = 1
    """Number of the line, from 1. Small packets take the first of equal lines, so the first line dies."""
    begin: float = 1 / 3
    """Begin and end are shares of the measurement's time."""
    end: float = 2 / 3
    gap: float = 2.5
    """Seconds that a stream of 50 small packets a second may stand still."""
    back: float = 2.0
    """Seconds until the line carries its full share again, at most."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Lines, and the limits on them."""

    lines: tuple[Line, ...]
    limits: Mapping[int, Limit]
    """The limits, by the number of TCP flows."""
    ping_limit: float
    """Milliseconds that the load may add to an echo request's round trip."""
    upstream: Mapping[tuple[str, int], float] = field(default_factory=dict)
    """Shares that C MLVPN reached with reorder 64 and its rates set, by congestion control and flows."""
    upstream_ping: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds that the load added to C MLVPN's ping, by congestion control."""
    upstream_base: Base = Base.SUM
    """The base of the shares in `upstream`."""
    loss_tolerance: int | None = None
    """Percent; None: the daemon's default."""
    seconds: float = 20.0
    """Seconds of a measurement with one flow."""
    warmup: float = 5.0
    """Seconds before the measurement, in which TCP finds its speed."""
    outage: Outage | None = None
    """An outage of one line during the measurement. If there is one, only the outage is judged."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its lines, from 1."""
        return tuple(range(1, len(self.lines) + 1))

    @property
    def total_rate(self) -> float:
        """Mbit/s of frames of all lines together."""
        return sum(line.rate for line in self.lines)

    @property
    def loses_at_random(self) -> bool:
        """Whether a line loses frames that no queue dropped."""
        return any(line.loss or line.burst_in for line in self.lines)

    def limit(self, congestion: str, flows: int) -> Limit:
        """The limit for `flows` flows under a congestion control."""
        if congestion == CUBIC and self.loses_at_random:
            return Limit(EVERYWHERE, Base.BETTER)
        return self.limits[flows]


def goodput_of(rate: float) -> float:
    """Goodput in Mbit/s of TCP in full packets, through a tunnel over lines of `rate` Mbit/s of frames."""
    return rate * TCP_PAYLOAD / FRAME_SIZE


def raw_goodput_of(line: Line) -> float:
    """Goodput in Mbit/s of TCP in full packets on the line itself, without the frames that the line loses."""
    return line.rate * RAW_TCP_PAYLOAD / FRAME_SIZE * (1 - line.loss)


PROFILES: Mapping[str, Profile] = {
    "equal": Profile(
        (Line(rate=20, delay=15), Line(rate=20, delay=15)),
        {1: Limit(0.98), 8: Limit(0.98)},
        25,
        {(BBR, 1): 1.00, (BBR, 8): 1.00, (CUBIC, 1): 1.00, (CUBIC, 8): 1.00},
        upstream_ping={BBR: 9, CUBIC: 81},
    ),
    "rates": Profile(
        (Line(rate=50, delay=15), Line(rate=10, delay=15)),
        {1: Limit(0.98), 8: Limit(0.98)},
        25,
        {(BBR, 1): 0.99, (BBR, 8): 0.99, (CUBIC, 1): 1.00, (CUBIC, 8): 1.00},
        upstream_ping={BBR: 33, CUBIC: 82},
    ),
    "delays": Profile(
        (Line(rate=20, delay=10), Line(rate=20, delay=40)),
        {1: Limit(0.96), 8: Limit(0.97)},
        30,
        {(BBR, 1): 0.96, (BBR, 8): 0.94, (CUBIC, 1): 0.46, (CUBIC, 8): 0.56},
        upstream_ping={BBR: 247, CUBIC: 106},
    ),
    "four": Profile(
        tuple(Line(rate=10, delay=delay) for delay in (10, 15, 20, 30)),
        {1: Limit(0.95), 8: Limit(0.97)},
        25,
        {(BBR, 1): 0.64, (BBR, 8): 0.96, (CUBIC, 1): 0.78, (CUBIC, 8): 0.97},
        upstream_ping={BBR: 82, CUBIC: 29},
    ),
    "fibre+lte": Profile(
        (Line(rate=100, delay=5), Line(rate=30, delay=40, jitter=10, queue=300)),
        {1: Limit(0.88), 8: Limit(0.95)},
        40,
        {(BBR, 1): 0.05, (BBR, 8): 0.68, (CUBIC, 1): 0.12, (CUBIC, 8): 0.17},
        upstream_ping={BBR: 39, CUBIC: 51},
    ),
    "dsl+sat": Profile(
        (Line(rate=20, delay=15), Line(rate=50, delay=300)),
        {1: Limit(0.97, Base.BETTER), 8: Limit(0.80)},
        40,
        {(BBR, 1): 0.06, (BBR, 8): 0.09},
        seconds=30.0,
        warmup=10.0,
    ),
    "lossy": Profile(
        (Line(rate=20, delay=15), Line(rate=20, delay=15, loss=0.01)),
        {1: Limit(0.90), 8: Limit(0.97)},
        40,
        {(BBR, 1): 0.92, (BBR, 8): 0.99, (CUBIC, 1): 0.10, (CUBIC, 8): 0.42},
        upstream_ping={BBR: 73, CUBIC: 572},
        loss_tolerance=5,
    ),
    "bad": Profile(
        (Line(rate=50, delay=15), Line(rate=20, delay=15, loss=0.20)),
        {1: Limit(0.98, Base.FIRST), 8: Limit(0.98, Base.FIRST)},
        25,
        {(BBR, 1): 0.46, (BBR, 8): 1.00, (CUBIC, 1): 0.85, (CUBIC, 8): 1.00},
        upstream_base=Base.FIRST,
        loss_tolerance=5,
    ),
    "three mixed": Profile(
        (
            Line(rate=40, delay=9),
            Line(rate=25, delay=35, jitter=8),
            Line(rate=15, delay=20, loss=0.003, jitter=4, order=False),
        ),
        {1: Limit(0.85), 8: Limit(0.93)},
        40,
        {(BBR, 1): 0.15, (BBR, 8): 0.71, (CUBIC, 1): 0.07, (CUBIC, 8): 0.29},
        upstream_ping={BBR: 146, CUBIC: 108},
    ),
    "blackhole": Profile(
        (Line(rate=20, delay=15), Line(rate=20, delay=15)),
        {},
        float("inf"),
        seconds=30.0,
        outage=Outage(),
    ),
}


def distinct_lines() -> Mapping[Line, tuple[str, int]]:
    """Each line once, with the first profile that has it and the line's number there."""
    found: dict[Line, tuple[str, int]] = {}
    for name, profile in PROFILES.items():
        for number, line in enumerate(profile.lines, start=1):
            found.setdefault(line, (name, number))
    return found
