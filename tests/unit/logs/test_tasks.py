"""The error that ends a task is told once, while somebody still keeps the task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

import pytest

from mlvpnd.logs.tasks import watched


async def fails() -> None:
    raise ZeroDivisionError


async def waits() -> None:
    await asyncio.sleep(60)


async def ends() -> None:
    pass


@pytest.mark.parametrize(("work", "lines"), [(fails, 1), (waits, 0), (ends, 0)])
def test_a_task_that_fails_is_told(
    work: Callable[[], Coroutine[None, None, None]],
    lines: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def main() -> None:
        task = watched(asyncio.get_running_loop().create_task(work(), name="the title"))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert caplog.messages == ["internal error: the title has ended"] * lines
    assert all(record.exc_info for record in caplog.records)
