"""How many lines a process may write."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from mlvpnd.logs import limit
from mlvpnd.logs.limit import ASKED, ASKED_FOR, ERRORS, ORDINARY, WARNINGS, Limit, LineLimit


class Written(logging.Handler):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def written() -> Iterator[Written]:
    """The lines of mlvpnd that pass a limit."""
    root, handler = logging.getLogger("mlvpnd"), Written()
    handler.addFilter(LineLimit())
    level, propagate, handlers = root.level, root.propagate, list(root.handlers)
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.DEBUG)
    yield handler
    root.handlers[:] = handlers
    root.propagate = propagate
    root.setLevel(level)


class Clock:
    """A clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def say(level: int, times: int = 1, *, name: str = "mlvpnd.protocol", text: str = "line") -> None:
    for _ in range(times):
        logging.getLogger(name).log(level, text)


@pytest.mark.parametrize(
    ("level", "name", "limit"),
    [
        (logging.INFO, "mlvpnd.protocol", ORDINARY),
        (logging.WARNING, "mlvpnd.protocol", WARNINGS),
        (logging.ERROR, "mlvpnd.protocol", ERRORS),
        (logging.INFO, "mlvpnd.config", ASKED_FOR),
        (logging.ERROR, "mlvpnd.config", ASKED_FOR),
    ],
)
def test_each_sort_has_a_limit(
    written: Written, monkeypatch: pytest.MonkeyPatch, level: int, name: str, limit: Limit
) -> None:
    clock = Clock(monkeypatch)
    say(level, 5000, name=name)
    assert len(written.lines) == limit.burst
    for _ in range(100):
        clock.now += 1 / limit.rate
        say(level, 3, name=name)
    assert limit.burst + 99 <= len(written.lines) <= limit.burst + 101  # a clock's digits make a line more or less
    clock.now += 3600
    say(level, 5000, name=name)
    assert 2 * limit.burst + 99 <= len(written.lines) <= 2 * limit.burst + 101


def test_one_sort_leaves_room_for_the_others(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        say(level, 5000)
    written.lines.clear()
    logging.getLogger("mlvpnd.control").info("asked for", extra=ASKED)
    say(logging.INFO, name="mlvpnd.config", text="reloaded")
    say(logging.CRITICAL, text="fatal")
    say(logging.DEBUG, text="wanted")
    left_out = 5000 - ERRORS.burst  # the lines left out before these are told of already
    assert written.lines == [
        f"asked for ({left_out} lines before this one were left out)",
        "reloaded",
        "fatal",
        "wanted",
    ]


def test_what_was_left_out_is_said_by_the_next_line(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    say(logging.INFO, ORDINARY.burst + 500)
    written.lines.clear()
    clock.now += 2 / ORDINARY.rate
    logging.getLogger("mlvpnd.rtt").info("100%% %s", "again")
    say(logging.INFO)
    assert written.lines == ["100% again (500 lines before this one were left out)", "line"]


def test_what_was_left_out_is_said_though_no_line_follows(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "TELL_AFTER", 0.05)
    Clock(monkeypatch)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        # The loop would read the clock that stands still, so the test gives it another clock for its timers.
        monkeypatch.setattr(loop, "time", time.perf_counter)
        for _ in range(2):
            say(logging.INFO, ORDINARY.burst + 70)
            await asyncio.sleep(0.2)

    asyncio.run(main())
    told = [line for line in written.lines if line != "line"]
    assert told == [
        "70 lines were left out: there were more lines than the log takes",
        f"{ORDINARY.burst + 70} lines were left out: there were more lines than the log takes",
    ]
