"""bench/RESULTS.md: each demand beside its measurement, and the figures of every peer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from .cases import CASES, Load
from .judge import State, Verdict, verdicts
from .outcome import BUSY_LIMIT, STOLEN_LIMIT, VALUES, Results

NAME = "RESULTS.md"
ROUNDS = 5
LOSS_LIMIT = 1.0
"""Percent of loss in a run at a given rate. With more loss, the run was not at this rate."""
GIVEN_RATE = (Load.STEADY, Load.LARGE)
NOT_RUN = "not run"
_HEAD = """# The data plane

Written by `make bench`; CONTRIBUTING.md says how. Two network namespaces are joined by veths of MTU 1500; tunnels have
an MTU of 1400 and `txqueuelen` 1000, mlvpnd is boxed with `reorder_buffer_size = 64`. Whoever is compared runs in
turns, a round after the other. Load generators, both tunnel ends and the kernel share the machine's processors: CPU
time is what can be trusted, and ratios within a round, not rates.

- *GB*: 1e9 bytes of TCP payload that arrived. *Sender*, *receiver*: the ends at which the load enters and leaves.
- CPU time is that of all processes and threads of a tunnel's end, user and system.
- *secretbox*: `crypto_secretbox_easy` and its opening of 1348-byte packets and nothing else, in C, in the same round;
  *native box*: the same by the native twin, which composes it of libsodium's parts.
- OpenVPN: AES-256-GCM, TLS, UDP, in user space. wireguard-go uses all processors, the others one.
- *2 x 50 Mbit/s*: emulated lines of 10 ms, without the first seconds of the stream; the sum is computed, 1348 bytes of
  TCP in each 1486-byte frame.
- *Idle*: echo requests 5 ms apart; from both least round trips that of the bare veth is taken before they are compared.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines)


def limit_text(verdict: Verdict) -> str:
    """The demand in words."""
    limit = verdict.limit
    times = " x" if limit.base is not None else ""
    return f"{'≤' if limit.at_most else '≥'} {limit.limit:g}{times} {limit.against}"


def measured_text(verdict: Verdict) -> str:
    """The median, and the lowest and the highest value if there are several rounds."""
    if not verdict.values:
        return NOT_RUN
    text = number_text(verdict.median)
    if len(verdict.values) > 1:
        text += f" ({number_text(min(verdict.values))}-{number_text(max(verdict.values))})"
    return text


def number_text(value: float) -> str:
    """The number with three digits, or with all digits before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def text(results: Results) -> str:
    """The report, in Markdown."""
    parts = [_HEAD, _measured(results), _verdict(results), "## Figures\n\nMedians of the rounds.\n"]
    parts += [_case(results, name) for name in CASES]
    return "\n".join(parts)


def _measured(results: Results) -> str:
    rounds = results.rounds()
    ran = [outcome for outcome in results.outcomes.values() if not outcome.failure]
    disturbed = sum(outcome.stolen > STOLEN_LIMIT for outcome in ran)
    short = sum(
        outcome.values.get("lost", 0.0) > LOSS_LIMIT for outcome in ran if CASES[outcome.cell.case].load in GIVEN_RATE
    )
    busy = sum(outcome.busy > BUSY_LIMIT for outcome in ran)
    lines = [f"Machine: {machine}." for machine in results.machines]
    lengths = sorted({outcome.cell.seconds for outcome in ran})
    lines.append(f"{len(ran)} runs of {', '.join(f'{one:g}' for one in lengths) or 'no'} s in {len(rounds)} rounds.")
    if disturbed:
        lines.append(f"In {disturbed} of them other guests took more than {STOLEN_LIMIT:.0%} of the machine.")
    if busy:
        lines.append(f"**Before {busy} of them the machine was more than {BUSY_LIMIT:.0%} busy with something else.**")
    if short:
        lines.append(f"**In {short} runs at a given rate more than {LOSS_LIMIT:g} % was lost: they carried less.**")
    if len(rounds) < ROUNDS:
        lines.append(f"**{len(rounds)} rounds instead of {ROUNDS}: a look, no result.**")
    lines += [f"Did not run: {which}: {why}" for which, why in _failures(results)]
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _failures(results: Results) -> list[tuple[str, str]]:
    """One row by peer if all its cases failed for the same reason; otherwise one row by peer and case."""
    found: dict[tuple[str, str], list[str]] = {}
    for (case, peer, _), outcome in results.outcomes.items():
        if outcome.failure:
            found.setdefault((peer, outcome.failure.splitlines()[0]), []).append(case)
    shown = []
    for (peer, why), cases in found.items():
        every = {name for name, case in CASES.items() if peer in case.peers}
        shown.append((peer if set(cases) == every else f"{peer} ({', '.join(dict.fromkeys(cases))})", why))
    return shown


def _verdict(results: Results) -> str:
    found = list(verdicts(results))
    counts = Counter(one.state for one in found)
    summary = f"{counts[State.HOLDS]} hold, {counts[State.FAILS]} do not hold, {counts[State.NOT_RUN]} were not run"
    rows = [[one.limit.row, limit_text(one), measured_text(one), _state_text(one.state)] for one in found]
    shown = table(["case", "asked", "measured", ""], rows)
    return f"## Verdict\n\nOf {len(found)} demands: {summary}.\n\n{shown}"


def _state_text(state: State) -> str:
    return f"**{state.value}**" if state is State.FAILS else state.value


def _case(results: Results, name: str) -> str:
    case = CASES[name]
    shown = [value for value in VALUES if any(results.median(name, peer, value) is not None for peer in case.peers)]
    rows = []
    for peer in case.peers:
        medians = [results.median(name, peer, value) for value in shown]
        if any(median is not None for median in medians):
            rows.append([peer, *("" if median is None else number_text(median) for median in medians)])
        else:
            rows.append([peer, *([NOT_RUN] if shown else []), *("" for _ in shown[1:])])
    return f"### {case.title}\n\n{table(['', *(VALUES[value] for value in shown)], rows)}"


def write(results: Results, directory: Path) -> Path:
    """Writes the report into a directory; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NAME
    path.write_text(text(results))
    return path
