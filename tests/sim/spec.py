"""Lines as text.

    16mbit,20ms                           rate and one-way delay, both ways
    16mbit,20ms,up=2mbit                  another rate from client to server
    16mbit,20ms,jitter=8ms,reorder        the delay varies by up to 8 ms either way; packets may overtake each other
    16mbit,20ms,queue=300ms,loss=1%       a longer buffer than 100 ms, and random loss
    40mbit,10ms,police=10mbit,burst=100ms a policer in front of the buffer
    30mbit,12ms@5s:5mbit,loop=10s         5 Mbit/s from the fifth second of the load on, and all anew each 10 s
    20mbit,40ms,trace=lte                 a rate that moves around 20 Mbit/s: lte, starlink, wifi, cable
    20mbit,40ms,trace=FILE                the rate of a file in Mahimahi's format; the one given is only what is told

Behind `@SECONDS:` stands what changes then. A time is 5s or 20ms, a rate 16mbit or 500kbit, a share 1%.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.support.lab import Line as LabLine

from .capacity import Constant, Steps
from .line import Conditions, Course
from .traces import GENERATORS, read_mahimahi

_RATES = {"kbit": 125.0, "mbit": 125_000.0, "gbit": 125_000_000.0}
_TIMES = {"ms": 0.001, "s": 1.0}
_SHARES = {"%": 0.01}


@dataclass(frozen=True, slots=True)
class Setting:
    """Rates in bytes per second, and the rest."""

    rate: float
    rate_up: float | None
    """None: the same rate."""
    conditions: Conditions

    def rate_of(self, *, up: bool) -> float:
        """The rate of one direction."""
        return self.rate if self.rate_up is None or not up else self.rate_up


@dataclass(frozen=True, slots=True)
class LineSpec:
    """A line as its text says it."""

    text: str
    steps: tuple[tuple[float, Setting], ...]
    loop: float | None = None
    trace: str | None = None

    def course(self, *, up: bool, random: Random, horizon: float) -> Course:
        """One direction. Without `loop`, `horizon` is how many seconds the last step lasts to. Raises ValueError."""
        first = self.steps[0][1]
        if self.trace is not None:
            generator = GENERATORS.get(self.trace)
            trace = generator(first.rate_of(up=up), random) if generator else read_mahimahi(Path(self.trace))
            base = first.conditions
            steps = [(at, replace(base, delay=base.delay + shift)) for at, shift in trace.shifts]
            return Course(trace.capacity(), steps, trace.period)
        conditions = [(at, setting.conditions) for at, setting in self.steps]
        if len(self.steps) == 1:
            return Course(Constant(first.rate_of(up=up)), conditions)
        period = self.loop or max(horizon, self.steps[-1][0] + 1)
        rates = [setting.rate_of(up=up) for _, setting in self.steps]
        return Course(Steps([at for at, _ in self.steps], rates, period), conditions, period)


def _value(text: str, units: dict[str, float]) -> float:
    for unit, factor in units.items():
        if text.endswith(unit):
            number = text.removesuffix(unit)
            # 20ms ends with s too: what is left must be a number.
            if number.replace(".", "", 1).isdigit():
                return float(number) * factor
    raise ValueError(f"{text!r} is no number with one of {', '.join(units)}")


_FIELDS = {
    "jitter": _TIMES,
    "loss": _SHARES,
    "queue": _TIMES,
    "police": _RATES,
    "burst": _TIMES,
}


def _apply(setting: Setting, word: str) -> Setting:
    key, equals, value = word.partition("=")
    if key in _FIELDS and equals:
        field: dict[str, Any] = {key: _value(value, _FIELDS[key])}
        return replace(setting, conditions=replace(setting.conditions, **field))
    if key == "up" and equals:
        return replace(setting, rate_up=_value(value, _RATES))
    if word == "reorder":
        return replace(setting, conditions=replace(setting.conditions, reorders=True))
    if word.endswith("bit"):
        return replace(setting, rate=_value(word, _RATES))
    return replace(setting, conditions=replace(setting.conditions, delay=_value(word, _TIMES)))


def parse(text: str) -> LineSpec:
    """Reads a line. Raises ValueError that says what is wrong."""
    first, *later = text.split("@")
    setting, at = Setting(0.0, None, Conditions()), 0.0
    steps: list[tuple[float, Setting]] = []
    loop, trace = None, None
    for part in (f"0s:{first}", *later):
        moment, colon, words = part.partition(":")
        if not colon:
            raise ValueError(f"{part!r}: behind @ stands SECONDS: and what changes")
        before, at = at, _value(moment, _TIMES)
        if steps and at <= before:
            raise ValueError(f"{moment} is not behind the step before")
        for word in words.split(","):
            if word.startswith("loop="):
                loop = _value(word.removeprefix("loop="), _TIMES)
            elif word.startswith("trace="):
                trace = word.removeprefix("trace=")
            else:
                setting = _apply(setting, word)
        steps.append((at, setting))
    if steps[0][1].rate <= 0:
        raise ValueError(f"{text!r}: a line begins with its rate, 16mbit")
    if loop is not None and loop <= steps[-1][0]:
        raise ValueError("loop is behind the last step")
    if trace is not None and len(steps) > 1:
        raise ValueError("a line has steps or a trace")
    return LineSpec(text, tuple(steps), loop, trace)


def text_of(line: LabLine) -> str:
    """A line of the bench with emulated lines, as text."""
    words = [f"{line.rate:g}mbit", f"{line.delay:g}ms"]
    if line.queue != LabLine().queue:
        words.append(f"queue={line.queue:g}ms")
    if line.jitter:
        words += [f"jitter={line.jitter:g}ms"] + ["reorder"] * (not line.order)
    if line.loss:
        words.append(f"loss={line.loss * 100:g}%")
    return ",".join(words)
