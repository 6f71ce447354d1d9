"""`mlvpnctl top [TUNNEL…]`: reads tunnels again and again, for the screen or for print."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence

from .errors import DONE, CtlError, NotFound, Unreachable, UsageError
from .source import Source
from .top import Reading, Top
from .verbs import Context

_BATCH_COLUMNS = 80


def read(source: Source, names: Sequence[str]) -> Reading:
    """Reads the tunnels `names`, or all; notes why others cannot be read."""
    views, failures = [], {}
    try:
        if not names:
            views = source.all()
    except CtlError as error:
        failures[""] = str(error)
    for name in names:
        try:
            views.append(source.one(name))
        except CtlError as error:
            failures[name] = str(error).removeprefix(f"{name}: ")
    return Reading(views, failures, time.monotonic(), time.time())


def top(context: Context, arguments: argparse.Namespace) -> int:
    """The batch mode: prints `-n N` samples and ends.

    Raises NotFound for a tunnel that does not exist, Unreachable if nobody can be asked at the start.
    """
    state = _begin(context, arguments)
    # One reading before the first sample, so that the sample has rates.
    first = read(context.source, arguments.tunnels)
    if "" in first.failures:
        raise Unreachable(first.failures[""])
    state.update(first)
    columns = shutil.get_terminal_size((_BATCH_COLUMNS, 24)).columns if sys.stdout.isatty() else _BATCH_COLUMNS
    for _ in range(arguments.samples):
        time.sleep(arguments.delay)
        state.update(read(context.source, arguments.tunnels))
        if context.output.as_json:
            context.output.json(state.to_json(), lines=True)
        else:
            for line in state.report(columns):
                context.output.line("".join(map(context.output.styled, line)).rstrip())
    return DONE


def live(context: Context, arguments: argparse.Namespace) -> int:
    """Shows the screen until the operator quits. Raises NotFound as `top`."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("top needs a terminal; without one, use --once or -n")
    try:
        from .screen import run
    except ImportError:
        raise CtlError("top needs a Python library: apt install python3-urwid") from None
    state = _begin(context, arguments)
    run(
        state,
        lambda: read(context.source, arguments.tunnels),
        arguments.delay,
        colour=context.output.options.colour,
    )
    return DONE


def _begin(context: Context, arguments: argparse.Namespace) -> Top:
    """The screen's state. Raises NotFound for a tunnel that does not exist; one that does not run may start later."""
    for name in arguments.tunnels:
        try:
            context.source.one(name)
        except NotFound:
            raise
        except CtlError:
            continue
    return Top(arguments.tunnels)
