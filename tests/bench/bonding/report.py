"""bench/BONDING.md: each measurement beside its demand. The report names what was not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.support.lab import Line

from . import plots
from .judge import CONGESTIONS, FLOWS, Judge, Kind, State, Verdict
from .outcome import IDLE_LIMIT, LATE_LIMIT, MLVPND, RAW, Outcome
from .profiles import ALONE_SHARE, PROFILES, RAW_SHARE, TCP_PAYLOAD, Base, Profile
from .results import Results, several

NAME = "BONDING.md"
OUTCOMES = "bonding.jsonl.xz"
NOT_RUN = "not run"
NOISY = "†"
"""Marks a measurement on a machine that was not quiet."""

_BASES = {Base.SUM: "", Base.BETTER: " of the better line", Base.FIRST: " of the first line"}
_HEAD = """# Several lines together

Written by `make bench-bonding`; CONTRIBUTING.md says how. Lines are emulated, flows go from server to client, and both
ends are mlvpnd unless it says otherwise. A figure is the median over the seeds, with the lowest and the highest in
brackets.

- *Share of the sum*: TCP payload by what is computed from the emulated rates, {payload} bytes of each 1514-byte frame.
- *Better line*: the same flows on the better of the lines, alone, in the same run; *first line* likewise.
- *Ping added*: the mean round trip of small echo requests under the load, less the median without.
- C MLVPN's figures (reorder 64, rates set) are quoted from an earlier measurement: they were **not** measured here.
- Under cubic, where a line loses at random, what is asked is 0.97 of the better line.
"""


def lines_text(profile: Profile) -> str:
    """The lines in words."""
    counts = Counter(map(line_text, profile.lines))
    return " + ".join(text if count == 1 else f"{count} x {text}" for text, count in counts.items())


def line_text(line: Line) -> str:
    """A line in words: rate in Mbit/s, delay in ms, and everything that is not as usual."""
    words = [f"{line.rate:g} @ {line.delay:g} ms"]
    if line.jitter:
        words.append(f"±{line.jitter:g} ms{'' if line.order else ' that reorders'}")
    if line.loss:
        words.append(f"{line.loss * 100:g} % loss")
    if line.queue != Line().queue:
        words.append(f"queue {line.queue:g} ms")
    return ", ".join(words)


def figure_text(verdict: Verdict) -> str:
    """A verdict's figure with its range and marks, without the demand."""
    several = verdict.figure
    if several is None:
        return NOT_RUN
    digits = 1 if verdict.kind is Kind.PING else 2 if verdict.at_most else 3
    text = f"{several.median:.{digits}f}"
    if len(several.values) > 1:
        text += f" ({several.lowest:.{digits}f}-{several.highest:.{digits}f})"
    return text + (NOISY if verdict.noisy else "")


def verdict_text(verdict: Verdict) -> str:
    """A cell of a table: the figure, the demand, and whether the demand holds."""
    limit = f"{'≤' if verdict.at_most else '≥'} {verdict.limit:.4g}"
    if verdict.kind is not Kind.BETTER:
        limit += _BASES[verdict.base or Base.SUM]
    if verdict.state is State.NOT_RUN:
        return f"{NOT_RUN} ({limit})"
    state = "**fails**" if verdict.state is State.FAILS else verdict.state.value
    return f"{figure_text(verdict)} {limit}: {state}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines)


class Report:
    """The text, without the plots."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._verdicts = list(Judge(results).verdicts())

    def text(self) -> str:
        """The whole report, in Markdown."""
        parts = [_HEAD.format(payload=TCP_PAYLOAD), self._measured(), self._summary()]
        parts += [self._matrix(congestion) for congestion in CONGESTIONS]
        parts += [self._outage(), self._striped(), self._alone(), self._raw(), self._plots()]
        return "\n".join(parts)

    def _find(self, kind: Kind, profile: str, congestion: str, flows: int) -> list[Verdict]:
        wanted = (kind, profile, congestion, flows)
        return [one for one in self._verdicts if (one.kind, one.profile, one.congestion, one.flows) == wanted]

    def _measured(self) -> str:
        outcomes = list(self._results.outcomes.values())
        seeds = sorted({outcome.cell.seed for outcome in outcomes})
        machines = self._results.machines or ["unknown: the results do not say"]
        short = sum(_is_short(outcome) for outcome in outcomes)
        unquiet = sum(not outcome.quiet for outcome in outcomes)
        again = sum(outcome.tries > 1 for outcome in outcomes)
        lines = [f"Machine: {machine}." for machine in machines]
        lines.append(f"{len(outcomes)} runs, seeds {', '.join(map(str, seeds)) or 'none'}.")
        lines.append(
            f"A run in which an emulator was late (99th percentile above {LATE_LIMIT / 1000:g} ms) or the processors "
            f"were less than {IDLE_LIMIT:.0%} idle is made again, twice at most: {again} were, and {unquiet} were not "
            f"quiet even so (marked {NOISY})."
        )
        if short:
            lines.append(f"**{short} runs were shorter than the profile says: a look, no result.**")
        return "\n".join(f"- {line}" for line in lines) + "\n"

    def _summary(self) -> str:
        counts = Counter(verdict.state for verdict in self._verdicts)
        text = f"{counts[State.HOLDS]} hold, {counts[State.FAILS]} fail, {counts[State.NOT_RUN]} were not run"
        failing = [verdict for verdict in self._verdicts if verdict.state is State.FAILS]
        lines = [f"## Verdict\n\nOf {len(self._verdicts)} demands: {text}.\n"]
        for one in failing:
            numbers = "+".join(map(str, one.lines))
            which = f"{one.profile}, {one.congestion}, {one.flows} flow{'s' * (one.flows > 1)}, lines {numbers}"
            lines.append(f"- {which}: {one.kind.value}: {verdict_text(one)}")
        return "\n".join(lines) + ("\n" if failing else "")

    def _matrix(self, congestion: str) -> str:
        head = ["profile", "lines (Mbit/s)"]
        head += [f"{flows} flow{'s' * (flows > 1)}, share of the sum" for flows in FLOWS]
        head += [
            "ping added, ms: 1 / 8 flows",
            "of the better line: 1 / 8",
            "C MLVPN, quoted: 1 / 8, ping",
            "not below it: 1 / 8",
        ]
        rows = []
        for name, profile in PROFILES.items():
            if profile.outage is not None:
                continue
            row = [name, lines_text(profile)]
            row += [self._cells(Kind.GOODPUT, name, congestion, (flows,)) for flows in FLOWS]
            row += [self._cells(kind, name, congestion, FLOWS) for kind in (Kind.PING, Kind.BETTER)]
            row += [_quoted(profile, congestion), self._cells(Kind.UPSTREAM, name, congestion, FLOWS)]
            rows.append(row)
        return f"## {congestion}\n\n{_table(head, rows)}"

    def _cells(self, kind: Kind, name: str, congestion: str, flows: Sequence[int]) -> str:
        found = [verdict for many in flows for verdict in self._find(kind, name, congestion, many)]
        if kind is Kind.UPSTREAM:
            # The quoted figure stands beside it.
            return (
                " / ".join("**no**" if one.state is State.FAILS else _yes(one) for one in found) or "nothing to compare"
            )
        return " / ".join(map(verdict_text, found))

    def _outage(self) -> str:
        rows = []
        for name, profile in PROFILES.items():
            if profile.outage is None:
                continue
            for congestion in CONGESTIONS:
                cells = [self._cells(kind, name, congestion, (max(FLOWS),)) for kind in (Kind.GAP, Kind.BACK)]
                rows.append([name, lines_text(profile), congestion, *cells])
        text = (
            "One line is dead without a word for the second third of the time (10 s), `timeout = 2`, under 8 flows "
            "and a stream of 50 packets a second. Full share: nine tenths of what the line carried before, over a "
            "second that begins so many seconds after its return."
        )
        head = ["profile", "lines (Mbit/s)", "flows", "longest gap in the stream, s", "full share again after, s"]
        return f"## A line that dies\n\n{text}\n\n{_table(head, rows)}"

    def _striped(self) -> str:
        kinds = (Kind.STRIPED, Kind.STALL)
        found = [[verdict for verdict in self._verdicts if verdict.kind is kind] for kind in kinds]
        rows = [[one.profile, one.congestion, *map(verdict_text, (one, gap))] for one, gap in zip(*found, strict=True)]
        head = ["profile", "1 flow", "share of the sum", "longest time without a byte, s"]
        return f"## Received from a server that stripes blindly\n\n{_table(head, rows)}"

    def _alone(self) -> str:
        rows = []
        for name, profile in PROFILES.items():
            for number, line in enumerate(profile.lines, start=1) if profile.outage is None else ():
                cells = [
                    figure_text(verdict) + (" **fails**" if verdict.state is State.FAILS else "")
                    for congestion in CONGESTIONS
                    for flows in FLOWS
                    for verdict in self._find(Kind.ALONE, name, congestion, flows)
                    if verdict.lines == (number,)
                ]
                rows.append([name, line_text(line), *(cells or self._lossy_alone(name, number))])
        head = ["profile", "line (Mbit/s)", *(f"{one} {flows}" for one in CONGESTIONS for flows in FLOWS)]
        text = (
            f"Each line through a tunnel over it alone: ≥ {ALONE_SHARE} of its computed part is asked of those that "
            "lose nothing at random."
        )
        return f"## Lines alone\n\n{text}\n\n{_table(head, rows)}"

    def _lossy_alone(self, name: str, number: int) -> list[str]:
        """The measurements without a demand."""
        cells = []
        for congestion in CONGESTIONS:
            for flows in FLOWS:
                cells.append(self._shares(name, congestion, flows, number, MLVPND))
        return cells

    def _shares(self, name: str, congestion: str, flows: int, number: int, peer: str) -> str:
        """The share of its computed goodput that a line alone reached."""
        outcomes = self._results.find(name, congestion, flows, (number,), peer)
        found = several(outcomes, lambda outcome: outcome.share_of_sum)
        return NOT_RUN if found is None else f"{found.median:.3f}"

    def _raw(self) -> str:
        rows = []
        for one in self._verdicts:
            if one.kind is Kind.RAW:
                loads = [
                    verdict_text(one)
                    if (congestion, flows) == (one.congestion, one.flows)
                    else self._shares(one.profile, congestion, flows, one.lines[0], RAW)
                    for congestion in CONGESTIONS
                    for flows in FLOWS
                ]
                rows.append([line_text(PROFILES[one.profile].lines[one.lines[0] - 1]), *loads])
        head = ["line (Mbit/s)", *(f"{one} {flows}" for one in CONGESTIONS for flows in FLOWS)]
        text = (
            "What the load reaches on each line without a tunnel, of 1448 bytes of each 1514-byte frame that is not "
            f"lost at random; ≥ {RAW_SHARE} is asked of 8 flows of bbr. One flow of it stops 0.2 s and a round trip in "
            "10 to measure. No tunnel does for a load what it cannot do on the line itself."
        )
        return f"## Lines without a tunnel\n\n{text}\n\n{_table(head, rows)}"

    def _plots(self) -> str:
        return "## Plots\n\n" + "\n\n".join(f"![{title}]({name})" for name, title in plots.TITLES.items()) + "\n"


def _yes(verdict: Verdict) -> str:
    return NOT_RUN if verdict.state is State.NOT_RUN else "yes"


def _quoted(profile: Profile, congestion: str) -> str:
    figures = [profile.upstream.get((congestion, flows)) for flows in FLOWS]
    if None in figures:
        return NOT_RUN
    ping = profile.upstream_ping.get(congestion)
    text = " / ".join(f"{figure:.2f}" for figure in figures) + _BASES[profile.upstream_base]
    return text if ping is None else f"{text}, +{ping:g} ms"


def _is_short(outcome: Outcome) -> bool:
    return outcome.cell.seconds < PROFILES[outcome.cell.profile].seconds


def write(results: Results, directory: Path) -> Path:
    """Writes the report, its plots and their outcomes into a directory; returns the report's path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NAME
    path.write_text(Report(results).text())
    plots.draw(results, directory)
    results.save(directory / OUTCOMES)
    return path
