"""The command line.

    python -m tests.sim run --line 16mbit,18ms --line 80mbit,12ms --flows cubic
    python -m tests.sim run --profile lossy,step --flows 8xcubic --rates absent
    python -m tests.sim compare --profile equal --rates told --against rates=absent
    python -m tests.sim search 1000 --jobs 2

The same words give the same figures. A run prints them and draws build/sim/NAME.png.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import SessionParameters
from tests.support.linkemu import PROJECT

from . import figures, spec
from .figures import Figures
from .random_lines import random_scenario
from .scenario import ABSENT, LINKS, PROFILES, TOLD, Scenario, flows_text, parse_flows
from .search import Found, search, worst
from .world import World

INTO = PROJECT / "build" / "sim"
FASTEST = 100.0
"""Mbit/s of the fastest line that a search makes, unless it is told: faster lines take longer."""


_TYPES: Mapping[str, Callable[[str], object]] = {"int": int, "float": float, "str": str, "bool": "1".__eq__}


def _rates(text: str) -> float:
    try:
        rates = {TOLD: 1.0, ABSENT: 0.0}.get(text)
        return float(text) if rates is None else rates
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{TOLD}, {ABSENT}, or a factor") from error


def _profiles(text: str) -> tuple[str, ...]:
    names = tuple(PROFILES) if text == "all" else tuple(text.split(","))
    if unknown := [name for name in names if name not in PROFILES]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(PROFILES)}")
    return names


def _line(text: str) -> str:
    try:
        spec.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _flows(text: str) -> str:
    try:
        parse_flows(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _fields(words: Iterable[str], of: type) -> dict[str, object]:
    """KEY=VALUE for fields of a dataclass, as their types. Raises SystemExit for what is none."""
    known = {one.name: one.type for one in fields(of)}
    out: dict[str, object] = {}
    for word in words:
        key, _, value = word.partition("=")
        convert = _TYPES.get(str(known.get(key)))
        if convert is None:
            raise SystemExit(f"{key} is no number, switch or text of {of.__name__}: {', '.join(known)}")
        out[key] = convert(value)
    return out


def _add_common(parser: argparse.ArgumentParser, *, seconds: float, warmup: float) -> None:
    parser.add_argument("--flows", type=_flows, help="8xcubic,bbr:up,cubic@1: TCP flows; @1: on line 1, outside")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of the measurement; default: {seconds:g}")
    parser.add_argument("--warmup", type=float, default=warmup, help=f"seconds of load before; default: {warmup:g}")
    parser.add_argument(
        "--rates", type=_rates, default=1.0, help="told, absent, or a factor: the rates that both ends are configured"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in SessionParameters")
    parser.add_argument("--link", action="append", default=[], metavar="KEY=VALUE", help="in each PathParameters")
    parser.add_argument("--reference", action="store_true", help="the reference twin in place of the native one")


def _add_lines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile", type=_profiles, default=(), help=f"names with commas between: {', '.join(PROFILES)}"
    )
    parser.add_argument("--line", type=_line, action="append", default=[], help="a line as text, once for each")
    parser.add_argument("--seed", type=int, default=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sim",
        description=__doc__,
        epilog=spec.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="one simulation, or one for each profile")
    _add_lines(run)
    _add_common(run, seconds=20, warmup=5)
    run.add_argument("--random", type=int, metavar="SEED", help="the lines and the load of a search's seed")
    run.add_argument("--fastest", type=float, default=FASTEST, help="Mbit/s, as in that search")
    run.add_argument("--into", type=Path, default=INTO, help="directory of plots; default: build/sim")
    run.add_argument("--no-plot", action="store_true")
    compare = commands.add_parser("compare", help="each profile with two settings")
    _add_lines(compare)
    _add_common(compare, seconds=20, warmup=5)
    compare.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="rates=absent, set.KEY=VALUE, link.KEY=VALUE",
    )
    many = commands.add_parser("search", help="many random line sets, and the worst of them")
    many.add_argument("count", type=int)
    many.add_argument("--first", type=int, default=1, help="the first seed; default: 1")
    many.add_argument("--fastest", type=float, default=FASTEST, help=f"Mbit/s of a line; default: {FASTEST:g}")
    many.add_argument("--jobs", type=int, default=1, help="simulations at a time; default: 1")
    _add_common(many, seconds=15, warmup=5)
    return parser


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "rates": arguments.rates,
        "reference": arguments.reference,
        "session": {**Scenario(()).session, **_fields(arguments.set, SessionParameters)},
        "link": _fields(arguments.link, PathParameters),
    }


def _scenarios(arguments: argparse.Namespace) -> dict[str, Scenario]:
    """Scenarios by their names."""
    named = {name: PROFILES[name] for name in arguments.profile}
    if arguments.line:
        named["lines"] = tuple(arguments.line)
    common = {"seconds": arguments.seconds, "warmup": arguments.warmup, "seed": arguments.seed, **_settings(arguments)}
    flows = parse_flows(arguments.flows or "cubic")
    return {
        name: Scenario(lines, flows, **{**common, "link": {**LINKS.get(name, {}), **common["link"]}})
        for name, lines in named.items()
    }


def _run(scenario: Scenario) -> tuple[World, Figures, float]:
    """Runs; returns also how many times faster than real time, by the time under load and this process' own."""
    begin, world = time.process_time(), World(scenario)
    world.run()
    return world, figures.of(world), scenario.end / (time.process_time() - begin)


def _do_run(arguments: argparse.Namespace) -> int:
    scenarios = _scenarios(arguments)
    if arguments.random is not None:
        scenarios[f"random {arguments.random}"] = _drawn(arguments, arguments.random)
    if not scenarios:
        raise SystemExit("no lines: --line, --profile or --random")
    for name, scenario in scenarios.items():
        world, made, speed = _run(scenario)
        flows = flows_text(scenario.flows)
        print(f"{name}, {flows}, seed {scenario.seed}: {made}\n  {speed:.1f} x real time", flush=True)
        if not arguments.no_plot:
            from .plot import draw

            path = arguments.into / f"{re.sub('[^a-z0-9]+', '-', f'{name} {flows} {scenario.seed}')}.png"
            draw(world, path, f"{name}: {flows}, seed {scenario.seed}")
            print(f"  {path}")
    return 0


def _drawn(arguments: argparse.Namespace, seed: int) -> Scenario:
    drawn = random_scenario(
        seed, fastest=arguments.fastest, seconds=arguments.seconds, warmup=arguments.warmup, flows=arguments.flows
    )
    return replace(drawn, **_settings(arguments))


def _do_compare(arguments: argparse.Namespace) -> int:
    words = [word.partition("=") for word in arguments.against]
    of_session = [f"{key[4:]}={value}" for key, _, value in words if key.startswith("set.")]
    of_link = [f"{key[5:]}={value}" for key, _, value in words if key.startswith("link.")]
    rates = [_rates(value) for key, _, value in words if key == "rates"]
    for name, scenario in _scenarios(arguments).items():
        other = replace(
            scenario,
            rates=rates[-1] if rates else scenario.rates,
            session={**scenario.session, **_fields(of_session, SessionParameters)},
            link={**scenario.link, **_fields(of_link, PathParameters)},
        )
        for label, one in (("", scenario), (" ".join(arguments.against), other)):
            _, made, _ = _run(one)
            ping = made.pings
            print(
                f"{name:12} {label:20} {made.goodput:7.2f} Mbit/s  {made.share_of_sum:.3f} of the sum  "
                f"{made.share_of_better:.3f} of the better line  ping {ping.added:+.1f} median, "
                f"{ping.p95 - ping.idle:+.1f} p95 ms",
                flush=True,
            )
    return 0


def _do_search(arguments: argparse.Namespace) -> int:
    begin = time.monotonic()

    def progress(one: Found, count: int) -> None:
        spent = time.monotonic() - begin
        left = spent / count * (arguments.count - count)
        print(f"{count}/{arguments.count}, {left / 60:.0f} min left: {one}", flush=True)

    seeds = range(arguments.first, arguments.first + arguments.count)
    found, is_all = search((_drawn(arguments, seed) for seed in seeds), arguments.jobs, progress)
    if not is_all:
        print(f"\nInterrupted: {len(found)} of {arguments.count}.")
    print("\nThe worst by share of the better line alone:", *worst(found, lambda one: one.of_better), sep="\n")
    print("\nThe worst by share of the sum:", *worst(found, lambda one: one.of_sum), sep="\n")
    print("\nOne of them again, with its plot: python -m tests.sim run --random SEED, with the options of this search")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, whatever was found."""
    arguments = _parser().parse_args(argv)
    do = {"run": _do_run, "compare": _do_compare, "search": _do_search}[arguments.command]
    return do(arguments)
