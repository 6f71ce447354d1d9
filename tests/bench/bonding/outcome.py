"""What is run and what came of it, as lines of JSON for a report and as a line for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

LATE_LIMIT = 2000
"""Microseconds: an emulator whose 99th percentile is above was no line."""
MLVPND, STRIPER, RAW = "mlvpnd", "striper", "raw"
IDLE_LIMIT = 0.10
"""A machine that was less idle was measured with the tunnel."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is run."""

    profile: str
    seed: int
    congestion: str
    flows: int
    lines: tuple[int, ...]
    """Those that the tunnel is over."""
    seconds: float
    warmup: float
    peer: str = MLVPND
    """What sends, and over what: a daemon; the blindly striping server; RAW: no tunnel at all."""

    def __str__(self) -> str:
        lines = "+".join(map(str, self.lines))
        peer = "" if self.peer == MLVPND else f"  {self.peer}"
        return f"{self.profile:11} seed {self.seed}  {self.congestion:5} x{self.flows}  lines {lines:7}{peer}"


@dataclass(frozen=True, slots=True)
class LineUse:
    """What a line carried towards the receiver while it was measured."""

    rate: float
    """Mbit/s that it can carry."""
    carried: float
    """Mbit/s that it carried, of frames."""
    overflow: int
    """Frames that its queue had no room for."""
    lost: int
    queue_ms: float
    """Mean over the samples."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the death of a line did, and its return."""

    gap: float
    """Seconds for which a stream of small packets stood still, at worst."""
    stolen: float
    """Seconds of them that the machine's other guests took."""
    lost: int
    """Packets of the stream."""
    back_after: float
    """Seconds from the line's return until it carried its full share again; inf: it did not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured."""

    cell: Cell
    goodput: float
    """Mbit/s of TCP payload, all flows."""
    share_of_sum: float
    """Of what is computed for its lines."""
    ping_idle: float
    ping_added: float
    ping_worst: float
    """ms, as `echo.Added`."""
    ping_lost: float
    longest_gap: float
    retransmitted: int
    lines: tuple[LineUse, ...]
    late_p99_us: int
    idle: float
    stolen: float
    cpu: Mapping[str, float]
    """Seconds of the programs while it was measured."""
    series: Mapping[str, Any] = field(default_factory=dict)
    """Of time, for the plots; in seconds from the load's begin."""
    tries: int = 1
    outage: Recovery | None = None
    """What came of an outage, if there was one."""

    @property
    def quiet(self) -> bool:
        """Whether the machine was fit to measure."""
        return self.late_p99_us <= LATE_LIMIT and self.idle >= IDLE_LIMIT

    def __str__(self) -> str:
        total = sum(line.carried for line in self.lines) or 1.0
        shares = " ".join(f"{line.carried / total:.2f}" for line in self.lines)
        full = " ".join(f"{line.carried / line.rate:.2f}" for line in self.lines)
        queues = " ".join(f"{line.queue_ms:.0f}" for line in self.lines)
        overflow = " ".join(str(line.overflow) for line in self.lines)
        cpu = " ".join(f"{name} {seconds:.1f}" for name, seconds in self.cpu.items())
        return (
            f"{self.cell}  {self.goodput:6.2f} Mbit/s  {self.share_of_sum:.3f} of sum  "
            f"ping {self.ping_idle:.0f}{self.ping_added:+.1f} ms "
            f"(worst {self.ping_worst:.0f}, lost {self.ping_lost:.0%})"
            f"  share {shares}  of rate {full}  line queue {queues} ms  overflow {overflow}  "
            f"again {self.retransmitted}  "
            f"gap {self.longest_gap:.2f} s  late p99 {self.late_p99_us / 1000:.2f} ms  idle {self.idle:.0%}  "
            f"stolen {self.stolen:.0%}  cpu {cpu}{self._recovery()}{'' if self.quiet else '  NOT QUIET'}"
        )

    def _recovery(self) -> str:
        if self.outage is None:
            return ""
        return f"  outage: gap {self.outage.gap:.2f} s, lost {self.outage.lost}, back {self.outage.back_after:.2f} s"

    def to_json(self) -> str:
        """A line for a file of results."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        values = json.loads(text)
        cell = values.pop("cell")
        cell["lines"] = tuple(cell["lines"])
        lines = tuple(LineUse(**line) for line in values.pop("lines"))
        outage = values.pop("outage", None)
        return cls(cell=Cell(**cell), lines=lines, outage=None if outage is None else Recovery(**outage), **values)
