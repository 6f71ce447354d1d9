"""What is said of clocks; the test has clocks of its own."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from mlvpnd.daemon import clock
from mlvpnd.daemon.clock import Clocks, ClockWatch

TURN = clock.INTERVAL
STEPS = {
    "nothing": (Clocks(TURN, TURN), []),
    "a busy machine": (Clocks(TURN + clock.STILL - 0.1, TURN + clock.STILL - 0.1), []),
    "a correction by NTP": (Clocks(TURN, TURN - clock.STEP + 0.1), []),
    "forward": (Clocks(TURN, TURN + 86400), [("clock-stepped", 86400, "the clock was set by +86400 s")]),
    "back": (Clocks(TURN, TURN - 86400), [("clock-stepped", -86400, "the clock was set by -86400 s")]),
    "asleep": (Clocks(TURN + 60, TURN + 60), [("stood-still", 60, "the daemon did not run for 60 s")]),
    "asleep, and set": (
        Clocks(TURN + 60, TURN + 160),
        [
            ("stood-still", 60, "the daemon did not run for 60 s"),
            ("clock-stepped", 100, "the clock was set by +100 s"),
        ],
    ),
}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    monkeypatch.setattr(clock, "INTERVAL", 0.001)
    return caplog


@pytest.mark.parametrize(("moved", "told"), STEPS.values(), ids=STEPS.keys())
def test_what_is_said(moved: Clocks, told: list[object], lines: pytest.LogCaptureFixture) -> None:
    at = Clocks(1000.0, 1e9)
    looks = 0

    def read() -> Clocks:
        nonlocal at, looks
        looks += 1
        usual = Clocks(clock.INTERVAL, clock.INTERVAL)
        # The first two looks are the beginning; later the clocks are moved once.
        passed = usual if looks != 4 else Clocks(moved.boot - TURN + clock.INTERVAL, moved.unix - TURN + clock.INTERVAL)
        at = Clocks(at.boot + passed.boot, at.unix + passed.unix)
        return at

    async def scenario() -> None:
        watch = ClockWatch(read)
        watch.start()
        while looks < 10:  # noqa: ASYNC110  (there is nothing to wait for)
            await asyncio.sleep(0.001)
        watch.stop()
        stopped_at = looks
        await asyncio.sleep(0.01)
        assert looks == stopped_at

    asyncio.run(scenario())
    found = [(one.__dict__["journal"], one.getMessage()) for one in lines.records]
    assert [(fields["EVENT"], fields["SECONDS"], text) for fields, text in found] == told


def test_the_system_s_clocks() -> None:
    before, moment = clock.read(), time.time()
    time.sleep(0.01)
    after = clock.read()
    assert abs(before.unix - moment) < 1
    assert 0.01 <= after.boot - before.boot < 1
