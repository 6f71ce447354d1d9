"""Tasks that nobody waits for."""

from __future__ import annotations

import asyncio

from .log import logger

_log = logger()


def watched(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Has the log told if an exception ends the task.

    asyncio tells it only when nothing refers to the task any more; for a task that is kept, that is never.
    """
    task.add_done_callback(_tell)
    return task


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("internal error: %s has ended", task.get_name(), exc_info=error)
