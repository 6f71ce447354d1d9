"""Sends the service's lines to the journal, with fields, or to standard error; the choice may change while it runs."""

from __future__ import annotations

import logging
from pathlib import Path

from mlvpnd.base.options import Options

from . import log
from .journal import JOURNAL_SOCKET, JournalHandler
from .limit import LineLimit

_LOGGERS = (log.ROOT, "asyncio")
"""The loggers to direct; asyncio's lines are about faults of ours."""


def setup(options: Options) -> None:
    """Logs to the journal; without its socket, to standard error, which systemd passes on."""
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
    # The limits keep their counts when lines go elsewhere.
    for limit in [old for handler in before for old in handler.filters] or [LineLimit()]:
        handler.addFilter(limit)
    for name in _LOGGERS:
        logging.getLogger(name).handlers[:] = [handler]
    for old in before:
        old.close()
