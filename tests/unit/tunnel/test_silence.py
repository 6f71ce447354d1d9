"""When nobody answers: what is told, when, and how often."""

from __future__ import annotations

import asyncio
import errno
import logging
import selectors
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mlvpnd.config.model import LinkConfig
from mlvpnd.logs import log
from mlvpnd.tunnel import silence as module
from mlvpnd.tunnel.silence import MOST_NAMED, Silence


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(logging.getLogger(log.ROOT), "propagate", True)
    caplog.set_level(logging.INFO, "mlvpnd")


class JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: where nothing is ready, time has passed."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            self.now += timeout or 0.0
        return found


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its time is its own, so that minutes pass at once and no busy machine disturbs."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class World:
    """Links whose answers a test chooses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.drivers: dict[int, Any] = {
            number: SimpleNamespace(
                config=LinkConfig(name, remotehost="vpn.test"),
                device="",
                error="",
                told_down=False,
                looks_up=False,
                socket=SimpleNamespace(local_address=("127.0.0.1", 1000)),
            )
            for number, name in enumerate(names)
        }
        self.answered: dict[int, bool | None] = dict.fromkeys(self.drivers, False)
        self.refusals: dict[int, int] = {}
        self.reasons: dict[int, str] = {}
        self.learnt = 0
        monkeypatch.setattr(module, "refusal", self._refusal)
        self.silence: Silence

    async def _refusal(self, _local: Any, remote: Any, _device: str, _limit: float) -> int:
        await asyncio.sleep(0.2)
        return self.refusals.get(remote[1] - 5080, 0)

    def _learn(self) -> None:
        self.learnt += 1

    def play(self, steps: Callable[[], Awaitable[None]]) -> None:
        async def scenario() -> None:
            self.silence = Silence(
                self.drivers,
                self.answered.__getitem__,
                lambda number: ("192.0.2.1", 5080 + number),
                lambda number: self.reasons.get(number, ""),
                self._learn,
            )
            self.silence.look()
            await steps()
            self.silence.stop()

        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(scenario())


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, dict[str, Any]]]:
    return [(one.levelno, one.getMessage().partition("): ")[2], one.__dict__["journal"]) for one in caplog.records]


EVENT = {"EVENT": "no-answer", "STATE": "connecting", "SECONDS": 4}


def test_one_line_for_all_links_then_one_each_interval(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, "adsl1", "adsl2")
    world.refusals[1] = errno.ECONNREFUSED

    async def steps() -> None:
        await asyncio.sleep(3)
        assert world.learnt == 1
        assert world.silence.cause(0) == "no answer from 192.0.2.1:5080"
        await asyncio.sleep(700)

    world.play(steps)
    text = "adsl1: no answer from 192.0.2.1:5080; adsl2: 192.0.2.1:5081 refuses: no program has this port"
    # The second line is no event: one cause is one event.
    assert lines(caplog) == [(logging.WARNING, text, EVENT), (logging.INFO, text, {})]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EHOSTUNREACH, "192.0.2.1:5080 cannot be reached: No route to host"),
        (errno.ENETUNREACH, "192.0.2.1:5080 cannot be reached: Network is unreachable"),
    ],
)
def test_routers_and_routes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: int, text: str
) -> None:
    world = World(monkeypatch, "adsl1")
    world.refusals[0] = error
    world.play(lambda: asyncio.sleep(10))
    assert lines(caplog) == [(logging.WARNING, f"adsl1: {text}", {**EVENT, "LINK": "adsl1"})]


def test_a_look_up_that_hangs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world = World(monkeypatch, "adsl1")
    world.drivers[0].socket, world.drivers[0].looks_up = None, True
    world.play(lambda: asyncio.sleep(10))
    assert [text for _, text, _ in lines(caplog)] == ["adsl1: the look-up of vpn.test is not answered"]
    assert world.drivers[0].told_down  # so that the end of the look-up is no second event


def test_what_has_a_line_already_has_none_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, "adsl1")
    world.drivers[0].error = "getaddrinfo(vpn.test,5080) failed"

    async def steps() -> None:
        await asyncio.sleep(590)
        assert lines(caplog) == []
        assert world.silence.summary() == "adsl1: getaddrinfo(vpn.test,5080) failed"
        await asyncio.sleep(20)

    world.play(steps)
    assert [text for _, text, _ in lines(caplog)] == ["adsl1: getaddrinfo(vpn.test,5080) failed"]


def test_a_link_that_is_answered_or_asks_nobody_has_no_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, "adsl1", "adsl2", "adsl3")
    world.answered[0] = True
    world.answered[1] = None

    async def steps() -> None:
        await asyncio.sleep(2)
        world.answered[2] = True
        world.silence.look()
        await asyncio.sleep(6)
        assert world.silence.summary() == ""

    world.play(steps)
    assert lines(caplog) == []


def test_a_link_that_was_up_has_an_event_already(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, "adsl1")
    world.answered[0] = True

    async def steps() -> None:
        world.answered[0] = False
        world.silence.look()
        await asyncio.sleep(10)

    world.play(steps)
    assert lines(caplog) == [(logging.INFO, "adsl1: no answer from 192.0.2.1:5080", {"LINK": "adsl1"})]


@pytest.mark.parametrize(
    ("reason", "error", "cause"),
    [
        ("timeout", 0, "timeout; no answer from 192.0.2.1:5080"),
        ("carrier lost", 0, "carrier lost"),
        ("address gone", errno.ENETUNREACH, "address gone"),
        ("address gone", errno.ECONNREFUSED, "address gone; 192.0.2.1:5080 refuses: no program has this port"),
        (
            "disconnect received",
            errno.ECONNREFUSED,
            "disconnect received; 192.0.2.1:5080 refuses: no program has this port",
        ),
    ],
)
def test_why_it_went_stands_before_why_it_does_not_come(
    monkeypatch: pytest.MonkeyPatch, reason: str, error: int, cause: str
) -> None:
    world = World(monkeypatch, "adsl1")
    world.reasons[0], world.refusals[0] = reason, error

    async def steps() -> None:
        assert world.silence.cause(0) == reason
        await asyncio.sleep(3)
        assert world.silence.cause(0) == cause

    world.play(steps)


def test_a_link_that_goes_is_forgotten(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world = World(monkeypatch, "adsl1")

    async def steps() -> None:
        await asyncio.sleep(1.6)  # the probe is under way
        world.drivers.clear()
        world.silence.look()
        await asyncio.sleep(6)
        assert world.silence.cause(0) == ""

    world.play(steps)
    assert lines(caplog) == []


def test_a_line_has_a_limit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world = World(monkeypatch, *(f"link{number}" for number in range(128)))
    world.play(lambda: asyncio.sleep(15))
    ((_, text, _),) = lines(caplog)
    assert text.count("no answer") == MOST_NAMED
    assert text.endswith(f"; {128 - MOST_NAMED} more links")
