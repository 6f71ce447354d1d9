"""`mlvpnctl top [TUNNEL…]`: reads tunnels again and again, for the screen or for print."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from .errors import DONE, CtlError, NotFound, UsageError
from .source import Source
from .top import Top
from .verbs import Context

_BATCH_COLUMNS = 80


async def read_into(top: Top, source: Source, names: Sequence[str]) -> None:
    """One reading of the tunnels named, or of all; what cannot be read is shown as such."""
    views, failures = [], {}
    try:
        if not names:
            views = await source.all()
    except CtlError as error:
        failures[""] = str(error)
    for name in names:
        try:
            views.append(await source.one(name))
        except CtlError as error:
            failures[name] = str(error).removeprefix(f"{name}: ")
    top.update(views, failures, time.monotonic(), time.time())


async def top(context: Context, arguments: argparse.Namespace) -> int:
    """The batch mode: `-n N` samples and the end."""
    state = await _begin(context, arguments)
    columns = shutil.get_terminal_size((_BATCH_COLUMNS, 24)).columns if sys.stdout.isatty() else _BATCH_COLUMNS
    for _ in range(arguments.samples):
        await asyncio.sleep(arguments.delay)
        await read_into(state, context.source, arguments.tunnels)
        if context.output.as_json:
            context.output.json(state.to_json(), lines=True)
        else:
            for line in state.report(columns):
                context.output.line("".join(map(context.output.styled, line)).rstrip())
    return DONE


async def _begin(context: Context, arguments: argparse.Namespace) -> Top:
    """With one reading, so that the first sample has rates. Raises NotFound for a tunnel that there is not."""
    for name in arguments.tunnels:
        try:
            await context.source.one(name)
        except NotFound:
            raise
        except CtlError:
            continue
    state = Top(arguments.tunnels)
    await read_into(state, context.source, arguments.tunnels)
    return state


def live(context: Context, arguments: argparse.Namespace) -> int:
    """The screen, until the operator quits. Not a coroutine: the terminal library has the loop."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("top needs a terminal; use --once or -n for print")
    try:
        from .screen import run
    except ImportError:
        raise CtlError("top needs a Python library: apt install python3-urwid") from None
    for name in arguments.tunnels:
        context.source.check_name(name)
    state = Top(arguments.tunnels)

    async def poll(redraw: Callable[[], None]) -> None:
        try:
            while True:
                began = time.monotonic()
                await read_into(state, context.source, arguments.tunnels)
                redraw()
                await asyncio.sleep(max(0.1, arguments.delay - (time.monotonic() - began)))
        finally:
            context.bus.close()

    run(state, poll, colour=context.output.options.colour)
    return DONE
