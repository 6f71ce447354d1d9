"""Outcomes without a measurement."""

from __future__ import annotations

from tests.bench.bonding.outcome import MLVPND, Cell, LineUse, Outcome, Recovery
from tests.bench.bonding.profiles import PROFILES, goodput_of


def outcome(
    profile: str,
    goodput: float,
    *,
    seed: int = 1,
    congestion: str = "bbr",
    flows: int = 1,
    lines: tuple[int, ...] | None = None,
    seconds: float | None = None,
    peer: str = MLVPND,
    ping_added: float = 5.0,
    gap: float = 0.1,
    idle: float = 0.5,
    late: int = 100,
    outage: Recovery | None = None,
) -> Outcome:
    """An outcome with this goodput in Mbit/s: by default over all lines, for as long as the profile says."""
    given = PROFILES[profile]
    lines = given.numbers if lines is None else lines
    used = [given.lines[number - 1] for number in lines]
    return Outcome(
        cell=Cell(profile, seed, congestion, flows, lines, seconds or given.seconds, given.warmup, peer),
        goodput=goodput,
        share_of_sum=goodput / goodput_of(sum(line.rate for line in used)),
        ping_idle=30.0,
        ping_added=ping_added,
        ping_worst=60.0,
        ping_lost=0.0,
        longest_gap=gap,
        retransmitted=0,
        lines=tuple(LineUse(line.rate, line.rate, 0, 0, 1.0) for line in used),
        late_p99_us=late,
        idle=idle,
        stolen=0.0,
        cpu={},
        series={"lines": [(index * 0.25, [index * 250_000] * len(used)) for index in range(9)]},
        outage=outage,
    )
