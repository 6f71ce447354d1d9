"""Selects the runs and their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .outcome import MLVPND, RAW, STRIPER, Cell
from .profiles import BBR, CUBIC, PROFILES, STRIPED_PROFILE, distinct_lines

QUICK_SECONDS, QUICK_WARMUP = 8.0, 4.0
SHORTEST_OUTAGE = 15.0
"""Seconds of a measurement with an outage, at least. In a third of them the line is surely found dead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The selection of runs."""

    profiles: tuple[str, ...] = tuple(PROFILES)
    seeds: tuple[int, ...] = (1, 2, 3)
    congestions: tuple[str, ...] = (BBR, CUBIC)
    flows: tuple[int, ...] = (1, 8)
    seconds: float | None = None
    """None: the time of each profile."""
    warmup: float | None = None
    alone: bool = True
    together: bool = True
    peers: tuple[str, ...] = (RAW, MLVPND, STRIPER)
    """In this order."""

    def quick(self) -> Plan:
        """The same plan with short measurements, unless their length was given."""
        return replace(
            self,
            seconds=QUICK_SECONDS if self.seconds is None else self.seconds,
            warmup=QUICK_WARMUP if self.warmup is None else self.warmup,
        )

    def groups(self) -> Iterator[tuple[str, int, list[Cell]]]:
        """Profiles, seeds, and the runs on their lines. The lines of a group are made once for all its runs."""
        for peer in self.peers:
            if peer == RAW:
                yield from self._raw()
            elif peer == STRIPER:
                yield from self._striped()
            else:
                for seed in self.seeds:
                    for profile in self.profiles:
                        yield profile, seed, list(self._tunnels(profile, seed))

    def _cell(self, name: str, seed: int, congestion: str, flows: int, lines: tuple[int, ...], peer: str) -> Cell:
        profile = PROFILES[name]
        seconds = profile.seconds if self.seconds is None else self.seconds
        if profile.outage is not None:
            seconds = max(seconds, SHORTEST_OUTAGE)
        warmup = profile.warmup if self.warmup is None else self.warmup
        return Cell(name, seed, congestion, flows, lines, seconds, warmup, peer)

    def _tunnels(self, name: str, seed: int) -> Iterator[Cell]:
        profile = PROFILES[name]
        every = profile.numbers
        if profile.outage is not None:
            # Here the outage is judged: one load fills the lines, and no line is measured alone.
            for congestion in self.congestions if self.together else ():
                yield self._cell(name, seed, congestion, max(self.flows), every, MLVPND)
            return
        sets: list[tuple[int, ...]] = [(number,) for number in every] if self.alone else []
        sets += [every] if self.together else []
        for congestion in self.congestions:
            for flows in self.flows:
                for lines in sets:
                    yield self._cell(name, seed, congestion, flows, lines, MLVPND)

    def _raw(self) -> Iterator[tuple[str, int, list[Cell]]]:
        """Each line once, though several profiles may have it. A load that fails there fails in every tunnel too."""
        wanted = {line for name in self.profiles for line in PROFILES[name].lines}
        owners: dict[str, list[int]] = {}
        for line, (name, number) in distinct_lines().items():
            if line in wanted:
                owners.setdefault(name, []).append(number)
        seed = self.seeds[0]
        for name, numbers in owners.items():
            loads = [(congestion, flows) for congestion in self.congestions for flows in self.flows]
            yield name, seed, [self._cell(name, seed, *load, (line,), RAW) for line in numbers for load in loads]

    def _striped(self) -> Iterator[tuple[str, int, list[Cell]]]:
        """One flow over equal lines."""
        if STRIPED_PROFILE not in self.profiles or 1 not in self.flows:
            return
        every = PROFILES[STRIPED_PROFILE].numbers
        for seed in self.seeds:
            yield (
                STRIPED_PROFILE,
                seed,
                [self._cell(STRIPED_PROFILE, seed, congestion, 1, every, STRIPER) for congestion in self.congestions],
            )
