"""The lines that are bonded, and what is asked of the bond on them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.lab import Line

INNER_MTU = 1428
"""What a 1500-byte IPv4 path carries: 28 bytes of header, 16 of MAC, 28 of UDP and IP are the tunnel's."""
FRAME_SIZE = 1514
"""Bytes of the Ethernet frame of a full inner packet, as the emulator counts them."""
TCP_PAYLOAD = INNER_MTU - 52
"""Of a full inner packet: without 20 bytes of IP, 20 of TCP and 12 of its time stamps."""
RAW_TCP_PAYLOAD = 1500 - 52
"""Of a full packet on the line itself."""

BBR, CUBIC = "bbr", "cubic"
ALONE_SHARE = 0.97
"""Of its computed part that each line alone reaches through the tunnel, so that the tunnel itself costs nothing."""
RAW_SHARE = 0.98
"""Of what it can carry that each line reaches without a tunnel, or the load is not worth its name."""
STRIPED_PROFILE = "equal"
STRIPED_SHARE = 0.95
"""Of the sum that is received from a server that stripes blindly over the lines of that profile …"""
STALL_LIMIT = 0.5
"""… and the seconds for which nothing may come then."""
EVERYWHERE = 0.97
"""Of the better line alone: asked in every profile, and all that is asked of cubic where frames are lost at random."""


class Base(enum.Enum):
    """What a limit is a share of."""

    SUM = "sum"
    """The rates of all lines, as goodput: computed, not measured."""
    BETTER = "better line"
    """The same flows on the line that carries more of them, alone, in the same run."""
    FIRST = "first line"
    """The same flows on the first line alone, in the same run."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Goodput is to be at least this share of that."""

    share: float
    base: Base = Base.SUM


@dataclass(frozen=True, slots=True)
class Outage:
    """A line that is dead for a while, without a word."""

    line: int = 1
    """Its number, from 1: of like lines small packets take the first."""
    begin: float = 1 / 3
    """Shares of the measurement's time."""
    end: float = 2 / 3
    gap: float = 2.5
    """Seconds that a stream of 50 small packets a second may stand still."""
    back: float = 2.0
    """Seconds after which the line carries its full share again."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Lines, and the limits on them."""

    lines: tuple[Line, ...]
    limits: Mapping[int, Limit]
    """By the number of TCP flows."""
    ping_limit: float
    """Milliseconds that the load may add to an echo request's round trip."""
    upstream: Mapping[tuple[str, int], float] = field(default_factory=dict)
    """What C MLVPN had with reorder 64 and its rates set, by congestion control and flows."""
    upstream_ping: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds added to its ping, by congestion control."""
    upstream_base: Base = Base.SUM
    """What `upstream`'s figures are shares of."""
    loss_tolerance: int | None = None
    """Percent; None: the default."""
    seconds: float = 20.0
    """Of a measurement with one flow."""
    warmup: float = 5.0
    """Seconds before it, in which TCP looks for its speed."""
    outage: Outage | None = None
    """Of one line, in the measurement: then that is what is judged."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of its lines, from 1."""
        return tuple(range(1, len(self.lines) + 1))

    @property
    def total_rate(self) -> float:
        """Mbit/s of frames, all lines together."""
        return sum(line.rate for line in self.lines)

    @property
    def loses_at_random(self) -> bool:
        """Whether frames are lost that no queue dropped."""
        return any(line.loss or line.burst_in for line in self.lines)

    def limit(self, congestion: str, flows: int) -> Limit:
        """What is asked of so many flows under that congestion control."""
        if congestion == CUBIC and self.loses_at_random:
            return Limit(EVERYWHERE, Base.BETTER)
        return self.limits[flows]


def goodput_of(rate: float) -> float:
    """The goodput in Mbit/s of TCP in full packets through a tunnel over lines of `rate` Mbit/s of frames."""
    return rate * TCP_PAYLOAD / FRAME_SIZE


def raw_goodput_of(line: Line) -> float:
    """That on the line itself, in Mbit/s; of what it does not lose."""
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
    """Each line, though several profiles have it, with the first of them and its number there."""
    found: dict[Line, tuple[str, int]] = {}
    for name, profile in PROFILES.items():
        for number, line in enumerate(profile.lines, start=1):
            found.setdefault(line, (name, number))
    return found
