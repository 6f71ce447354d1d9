"""A run and its outcome, as lines of JSON for a report and as a line for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

LATE_LIMIT = 2000
"""Microseconds; limit of an emulator's lateness, 99th percentile. A later emulator does not behave like a line."""
MLVPND, STRIPER, RAW = "mlvpnd", "striper", "raw"
IDLE_LIMIT = 0.10
"""Share of idle time: on a machine that was less idle, the run measured the machine with the tunnel."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run to make."""

    profile: str
    seed: int
    congestion: str
    flows: int
    lines: tuple[int, ...]
    """Numbers of the lines under the tunnel."""
    seconds: float
    warmup: float
    peer: str = MLVPND
    """The sender: a daemon, the blindly striping server, or RAW for no tunnel at all."""

    def __str__(self) -> str:
        lines = "+".join(map(str, self.lines))
        peer = "" if self.peer == MLVPND else f"  {self.peer}"
        return f"{self.profile:11} seed {self.seed}  {self.congestion:5} x{self.flows}  lines {lines:7}{peer}"


@dataclass(frozen=True, slots=True)
class LineUse:
    """What a line carried towards the receiver during the measurement."""

    rate: float
    """Mbit/s that the line can carry."""
    carried: float
    """Mbit/s of frames that the line carried."""
    overflow: int
    """Frames for which the queue had no room."""
    lost: int
    queue_ms: float
    """ms of queue; mean of the samples."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The effect of a line's death and of its return."""

    gap: float
    """Seconds; the longest time for which a stream of small packets stood still."""
    stolen: float
    """Seconds of the gap that the machine's other guests took."""
    lost: int
    """Packets of the stream that were lost."""
    back_after: float
    """Seconds from the line's return until the line carried its full share again; inf: it never did."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The measurements of one run."""

    cell: Cell
    goodput: float
    """Mbit/s of TCP payload of all flows."""
    share_of_sum: float
    """Share of the goodput that is computed for the cell's lines."""
    ping_idle: float
    ping_added: float
    ping_worst: float
    """ms; as in `echo.Added`."""
    ping_lost: float
    longest_gap: float
    retransmitted: int
    lines: tuple[LineUse, ...]
    late_p99_us: int
    idle: float
    stolen: float
    cpu: Mapping[str, float]
    """CPU seconds of each program during the measurement."""
    series: Mapping[str, Any] = field(default_factory=dict)
    """Series over time for the plots; times in seconds from the load's begin."""
    tries: int = 1
    outage: Recovery | None = None
    """The effect of an outage, if there was one."""

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
        """Reads a line of `to_json`."""
        values = json.loads(text)
        cell = values.pop("cell")
        cell["lines"] = tuple(cell["lines"])
        lines = tuple(LineUse(**line) for line in values.pop("lines"))
        outage = values.pop("outage", None)
        return cls(cell=Cell(**cell), lines=lines, outage=None if outage is None else Recovery(**outage), **values)
