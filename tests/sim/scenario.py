"""What a simulation is of: lines, flows, what the configuration says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from tests.bench.bonding import profiles as bench
from tests.bench.bonding.profiles import BBR, CUBIC
from tests.bench.bonding.run import REORDER_BUFFER

from .bbr import Bbr
from .control import Control
from .cubic import Cubic
from .spec import LineSpec, parse, text_of

CONTROLS: Mapping[str, type[Control]] = {CUBIC: Cubic, BBR: Bbr}
TOLD, ABSENT = "told", "absent"

_OF_BENCH = {name: tuple(map(text_of, one.lines)) for name, one in bench.PROFILES.items()}
PROFILES: Mapping[str, tuple[str, ...]] = {
    **_OF_BENCH,
    # The first line is dead for the second third of 20 s after 5 s of load.
    "blackhole": (f"{_OF_BENCH['blackhole'][0]}@11s:loss=100%@18s:loss=0%", _OF_BENCH["blackhole"][1]),
    "unlike": ("16mbit,18ms", "80mbit,12ms"),
    "lossy 5g": ("200mbit,12ms", "60mbit,28ms,loss=0.1%"),
    "leo+lte": ("120mbit,25ms,jitter=6ms", "40mbit,45ms,jitter=12ms"),
    "step": ("30mbit,12ms@5s:5mbit,loop=10s", "20mbit,15ms"),
    "lte+dsl": ("13mbit,35ms,queue=400ms,trace=lte", "20mbit,12ms"),
    "starlink+lte": ("130mbit,22ms,queue=200ms,trace=starlink", "7mbit,40ms,queue=400ms,trace=lte"),
    "lte+lte": ("13mbit,35ms,queue=400ms,trace=lte", "20mbit,45ms,queue=400ms,trace=lte"),
    "wifi+cable": ("60mbit,3ms,queue=200ms,trace=wifi", "100mbit,10ms,up=10mbit,queue=200ms,trace=cable"),
    "bloat": ("20mbit,15ms,queue=1000ms", "20mbit,15ms"),
    "policed": ("40mbit,15ms,police=10mbit,burst=100ms", "20mbit,15ms"),
    "stalls": ("20mbit,15ms@6s:0mbit,loop=7s", "20mbit,15ms"),
}
"""Lines by the profile's name; those of the bench with emulated lines among them."""


LINKS: Mapping[str, Mapping[str, object]] = {
    name: {"loss_tolerance": one.loss_tolerance}
    for name, one in bench.PROFILES.items()
    if one.loss_tolerance is not None
}
"""What the configuration says of the links of a profile, as in the bench."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A TCP flow that always has something to send."""

    congestion: str
    up: bool = False
    """From client to server."""
    outside: int | None = None
    """The line, from 1, on which it goes beside the tunnel; None: through the tunnel."""

    def __str__(self) -> str:
        way = "" if self.outside is None else f"@{self.outside}"
        return f"{self.congestion}{':up' if self.up else ''}{way}"


def parse_flows(text: str) -> tuple[Flow, ...]:
    """Reads `8xcubic,bbr:up,cubic@1`. Raises ValueError."""
    flows: list[Flow] = []
    for word in text.split(","):
        name, at, line = word.partition("@")
        name, colon, way = name.partition(":")
        count, times, control = name.rpartition("x")
        if control not in CONTROLS or (colon and way not in ("up", "down")) or (at and not line.isdigit()):
            raise ValueError(f"{word!r} is none of {', '.join(CONTROLS)}, with 8x before, :up or @LINE behind")
        flows += [Flow(control, way == "up", int(line) if at else None)] * (int(count) if times else 1)
    return tuple(flows)


def flows_text(flows: Iterable[Flow]) -> str:
    """The text of these flows, for `parse_flows`."""
    groups = ((str(flow), len(list(same))) for flow, same in groupby(flows))
    return ",".join(f"{count}x{flow}" if count > 1 else flow for flow, count in groups)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One simulation. The same scenario always has the same outcome."""

    lines: tuple[str, ...]
    flows: tuple[Flow, ...] = (Flow(CUBIC),)
    seconds: float = 20.0
    """Of the measurement."""
    warmup: float = 5.0
    """Seconds of load before it."""
    seed: int = 1
    rates: float = 1.0
    """The rate that the configuration tells of each line, by the true mean; 0: it tells none."""
    first: int = 1
    """The number of its first line: a line alone moves and loses as it does beside the others."""
    reference: bool = False
    """On the reference twin, not on the native one."""
    session: Mapping[str, object] = field(default_factory=lambda: {"reorder_size": REORDER_BUFFER})
    """Fields of `SessionParameters`, at both ends."""
    link: Mapping[str, object] = field(default_factory=dict)
    """Fields of `PathParameters`, for each link at both ends."""

    @property
    def end(self) -> float:
        """Seconds of load."""
        return self.warmup + self.seconds

    def alone(self) -> list[Scenario]:
        """The same over each line alone, with the flows that go through the tunnel."""
        flows = tuple(flow for flow in self.flows if flow.outside is None)
        return [
            replace(self, lines=(line,), flows=flows, first=self.first + number)
            for number, line in enumerate(self.lines)
        ]

    def specs(self) -> list[LineSpec]:
        """Its lines. Raises ValueError."""
        return [parse(text) for text in self.lines]
