"""The queue of status command runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from mlvpnd.errors import MlvpndError
from mlvpnd.helper.client import HelperClient
from mlvpnd.tunnel import scripts
from mlvpnd.tunnel.scripts import RUN_BURST, ScriptQueue


class Helper:
    """Runs nothing, as long as the gate is closed."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.ran: list[str] = []
        self.refusal = ""

    async def run_script(self, event: str, link: str | None) -> int:
        self.ran.append(f"{event} {link}" if link else event)
        await self.gate.wait()
        if self.refusal:
            raise MlvpndError(self.refusal)
        return 0


def run(steps: Callable[[ScriptQueue, Helper], Awaitable[None]]) -> list[str]:
    """The scripts that were run in the end."""

    async def main() -> list[str]:
        helper = Helper()
        queue = ScriptQueue(cast(HelperClient, helper))
        await steps(queue, helper)
        helper.gate.set()
        await queue.drain(5)
        return helper.ran

    return asyncio.run(main())


def test_runs_come_in_order() -> None:
    async def steps(queue: ScriptQueue, _helper: Helper) -> None:
        queue.put("rtun_up", "a")
        queue.put("tuntap_up")
        queue.put("rtun_up", "b")

    assert run(steps) == ["rtun_up a", "tuntap_up", "rtun_up b"]


def test_what_is_undone_before_its_turn_is_not_run() -> None:
    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        helper.gate.clear()
        queue.put("rtun_up", "a")
        await asyncio.sleep(0)
        queue.put("tuntap_up")
        for _ in range(100):
            queue.put("rtun_down", "a")
            queue.put("tuntap_down")
            queue.put("rtun_up", "a")
            queue.put("tuntap_up")
        queue.put("rtun_up", "b")

    assert run(steps) == ["rtun_up a", "tuntap_up", "rtun_up b"]


def test_the_last_state_is_always_run() -> None:
    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        helper.gate.clear()
        queue.put("rtun_up", "a")
        await asyncio.sleep(0)
        queue.put("tuntap_up")
        queue.put("rtun_down", "a")
        queue.put("tuntap_down")

    assert run(steps) == ["rtun_up a", "rtun_down a"]


def test_a_refusal_is_said_once_until_it_is_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)

    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        for refusal in ("no such file", "no such file", "", "no such file", "not yours"):
            helper.refusal = refusal
            queue.put("tuntap_up")
            await queue.drain(5)

    run(steps)
    assert [record.getMessage() for record in caplog.records] == [
        "error from priv server: no such file",
        "error from priv server: no such file",
        "error from priv server: not yours",
    ]
    assert {vars(record)["journal"]["EVENT"] for record in caplog.records} == {"script-failed"}


def test_a_stop_waits_for_a_limited_time() -> None:
    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        helper.gate.clear()
        queue.put("tuntap_down")
        start = time.monotonic()
        await queue.drain(0.1)
        assert 0.09 < time.monotonic() - start < 1

    assert run(steps) == ["tuntap_down"]


async def flap(queue: ScriptQueue, link: str, seconds: float) -> None:
    """A link that comes and goes two hundred times a second; it is down in the end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for event in ("rtun_up", "rtun_down"):
            queue.put(event, link)
            await asyncio.sleep(0.0025)


def test_a_link_that_flaps_has_a_few_runs_and_then_one_each_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "RUN_INTERVAL", 0.2)

    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        await flap(queue, "a", 1.0)
        assert RUN_BURST < len(helper.ran) <= RUN_BURST + 6
        queue.put("rtun_up", "a")
        await asyncio.sleep(0.5)
        assert helper.ran[-1] == "rtun_up a"

    ran = run(steps)
    assert ran == ["rtun_up a", "rtun_down a"] * (len(ran) // 2) + ["rtun_up a"] * (len(ran) % 2)


@pytest.mark.parametrize("last", ["rtun_up", "rtun_down"])
def test_the_last_state_of_a_link_that_flaps_is_run(monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    monkeypatch.setattr(scripts, "RUN_INTERVAL", 0.2)

    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        await flap(queue, "a", 0.5)
        if last == "rtun_up":
            queue.put("rtun_up", "a")
        await asyncio.sleep(0.5)
        assert helper.ran[-1] == f"{last} a"

    run(steps)


def test_a_link_that_has_to_wait_lets_others_pass() -> None:
    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        await flap(queue, "a", 0.2)
        queue.put("rtun_up", "b")
        queue.put("tuntap_up")
        await asyncio.sleep(0.05)
        assert helper.ran[-2:] == ["rtun_up b", "tuntap_up"]

    run(steps)


def test_a_stop_does_not_wait_for_a_run_that_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "RUN_INTERVAL", 60.0)

    async def steps(queue: ScriptQueue, helper: Helper) -> None:
        await flap(queue, "a", 0.2)
        if helper.ran[-1] == "rtun_down a":
            queue.put("rtun_up", "a")
        wanted = "rtun_up a" if helper.ran[-1] == "rtun_down a" else "rtun_down a"
        start = time.monotonic()
        await queue.drain(5)
        assert time.monotonic() - start < 1
        assert helper.ran[-1] == wanted

    run(steps)
