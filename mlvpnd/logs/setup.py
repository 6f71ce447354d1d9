"""Where the service's lines go: the journal with fields, or standard error; either may be chosen while it runs."""

from __future__ import annotations

import logging
from pathlib import Path

from mlvpnd.base.options import Options

from . import log
from .journal import JOURNAL_SOCKET, JournalHandler
from .limit import LineLimit

_LOGGERS = (log.ROOT, "asyncio")
"""Whose lines go there: what asyncio says is of faults of ours."""


def setup(options: Options) -> None:
    """Logs to the journal; to standard error, which systemd passes on, where its socket is not there."""
    for name in _LOGGERS:
        logging.getLogger(name).propagate = False
    set_target("journal" if Path(JOURNAL_SOCKET).is_socket() else "console")
    log.set_levels(options)
    logging.raiseExceptions = False


def target() -> str:
    """`journal` or `console`."""
    handlers = logging.getLogger(log.ROOT).handlers
    return "journal" if any(isinstance(handler, JournalHandler) for handler in handlers) else "console"


def set_target(name: str) -> None:
    """Sends lines to `journal` or `console` from now on."""
    root = logging.getLogger(log.ROOT)
    handler: logging.Handler
    if name == "journal":
        handler = JournalHandler()
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(log.TerminalFormatter(colour=False))
    before = list(root.handlers)
    # Limits go on to count where lines go elsewhere.
    for limit in [old for handler in before for old in handler.filters] or [LineLimit()]:
        handler.addFilter(limit)
    for name in _LOGGERS:
        logging.getLogger(name).handlers[:] = [handler]
    for old in before:
        old.close()
