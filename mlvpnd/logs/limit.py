"""Limits how many lines a process writes: whoever can cause lines must not fill a disk or hide what matters.

Warnings, errors and lines that an operator asked for have limits of their own. So a peer that causes any number of
ordinary lines leaves room for them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

from mlvpnd.base.allowance import Allowances

ASKED: Mapping[str, object] = {"asked": True}
"""`extra=` of a line about something that an operator asked for."""
_ASKED_LOGGER = "mlvpnd.config"
"""Logger of lines about the configuration, which an operator writes and has the daemon read."""


class Limit(NamedTuple):
    """The limit of one sort of lines."""

    burst: int
    """Lines that may come at once."""
    rate: float
    """Lines a second after the burst."""


ORDINARY = Limit(1000, 10.0)
"""128 links may come up at once, with several lines each. Ten lines a second are 100 MB a day, which a disk bears."""
ASKED_FOR = Limit(1000, 10.0)
"""A file may be reloaded with as many mistakes as it has lines."""
WARNINGS = Limit(500, 5.0)
"""Each of 128 links may have some warnings at once."""
ERRORS = Limit(500, 5.0)
TELL_AFTER = 5.0
"""Seconds from the first line that was left out until a line tells how many were, unless another line tells before."""


class LineLimit(logging.Filter):
    """The limit of one process, whatever handler writes its lines.

    Debug lines, which somebody asked for, and a fatal error, which is the last line, are never left out. The next
    written line tells how many lines were left out before it. If none follows, a line of its own tells it `TELL_AFTER`
    seconds later.
    """

    def __init__(self) -> None:
        super().__init__()
        limits = {"asked": ASKED_FOR, "error": ERRORS, "warning": WARNINGS, "ordinary": ORDINARY}
        self._allowed = {sort: Allowances(limit.burst, 1 / limit.rate) for sort, limit in limits.items()}
        self._left_out = 0
        self._telling = False

    def filter(self, record: logging.LogRecord) -> bool:
        sort = _sort(record)
        if not sort:
            return True
        if sort != "count" and not self._allowed[sort].take("", time.monotonic()):
            self._left_out += 1
            self._tell_later()
            return False
        if self._left_out:
            if sort != "count":
                record.msg = f"{record.getMessage()} ({self._left_out} lines before this one were left out)"
                record.args = None
            self._left_out = 0
        return True

    def _tell_later(self) -> None:
        asyncio = sys.modules.get("asyncio")  # without it no loop runs
        if self._telling or asyncio is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._telling = True
        loop.call_later(TELL_AFTER, self._tell)

    def _tell(self) -> None:
        self._telling = False
        if self._left_out:
            text = "%d lines were left out: there were more lines than the log takes"
            logging.getLogger("mlvpnd").warning(text, self._left_out, extra={"counts": True})


def _sort(record: logging.LogRecord) -> str:
    """The limit that a line is under; empty: none. `count`: the line itself tells how many were left out."""
    if record.levelno in (logging.DEBUG, logging.CRITICAL):
        return ""
    if getattr(record, "counts", False):
        return "count"
    if getattr(record, "asked", False) or record.name == _ASKED_LOGGER:
        return "asked"
    if record.levelno >= logging.ERROR:
        return "error"
    return "warning" if record.levelno >= logging.WARNING else "ordinary"
