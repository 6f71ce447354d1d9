"""Who may change something: callers of other users, and a polkit with chosen answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mlvpnd.bus import authorize, lib, names
from mlvpnd.bus.connection import Connection
from mlvpnd.bus.errors import BusError
from mlvpnd.bus.message import Kind, Message
from mlvpnd.bus.turns import Turns
from tests.support.fake_operator import FakeOperator
from tests.support.private_bus import PrivateBus

from .served import DESTINATION, TUNNEL, owned, served, until

NOBODY = 65534
DAEMON = 1
WIFI = f"{TUNNEL}/link/wifi"
LOG_CONTROL = "/org/freedesktop/LogControl1"
RELOAD = ["call", DESTINATION, TUNNEL, "org.mlvpn1.Tunnel", "Reload"]
DISABLE = ["set-property", DESTINATION, WIFI, "org.mlvpn1.Link", "Enabled", "b", "false"]
YES, NO, CHALLENGE = (True, False), (False, False), (False, True)
YES_BODY: dict[str, Any] = {"signature": "(bba{ss})", "body": [[True, False, {}]]}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


class FakePolkit:
    """Answers CheckAuthorization with `answer`, (authorized, challenge), as soon as it has one."""

    def __init__(self, connection: Connection, turns: Turns, answer: tuple[bool, bool] | None) -> None:
        self._connection = connection
        self._turns = turns
        self.answer = answer
        self.asked: list[list[Any]] = []
        """The arguments of each question."""
        self._unanswered: list[Message] = []

    async def run(self) -> None:
        while True:
            call = await self._turns.get()
            assert (call.path, call.interface, call.member) == (
                "/org/freedesktop/PolicyKit1/Authority",
                "org.freedesktop.PolicyKit1.Authority",
                "CheckAuthorization",
            )
            self.asked.append(lib.plain(lib.decode(call)))
            self._unanswered.append(call)
            if self.answer is not None:
                self.decide(self.answer)

    def decide(self, answer: tuple[bool, bool]) -> None:
        """Answers the waiting questions and all later ones."""
        self.answer = answer
        for call in self._unanswered:
            self._connection.answer(call, "(bba{ss})", [[*answer, {"polkit.x": "y"}]])
        self._unanswered.clear()


@contextlib.asynccontextmanager
async def polkit(bus: PrivateBus, answer: tuple[bool, bool] | None) -> AsyncIterator[FakePolkit]:
    """Polkit runs."""
    turns = Turns()
    connection = await Connection.open(bus.address, turns=turns)
    await connection.call_bus("RequestName", "su", names.POLKIT_NAME, 0)
    fake = FakePolkit(connection, turns, answer)
    task = asyncio.create_task(fake.run())
    try:
        yield fake
    finally:
        task.cancel()
        connection.close()
        await connection.wait_closed()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def busctl(bus: PrivateBus, *arguments: str, uid: int = NOBODY) -> str:
    """The message of busctl, run as another user against the service; empty: the call succeeded."""
    process = await asyncio.create_subprocess_exec(
        "busctl",
        f"--address={bus.address}",
        "--timeout=8",
        *arguments,
        user=uid,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert bool(said) == (process.returncode != 0), said
    return said.decode().strip()


def test_everybody_may_read_and_only_polkit_lets_strangers_change(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one:
            assert await busctl(bus, "introspect", DESTINATION, TUNNEL) == ""
            assert await busctl(bus, "call", DESTINATION, TUNNEL, "org.mlvpn1.Tunnel", "Describe") == ""
            assert "Access denied" in await busctl(bus, *RELOAD)
            assert "Access denied" in await busctl(bus, "call", DESTINATION, TUNNEL, "org.mlvpn1.Tunnel", "Forget")
            assert operator.asked == []
            async with polkit(bus, YES) as fake:
                await owned(one, names.POLKIT_NAME)
                assert await busctl(bus, *RELOAD) == ""
                assert await busctl(bus, *DISABLE) == ""
                assert await busctl(bus, "call", DESTINATION, WIFI, "org.mlvpn1.Link", "Reconnect") == ""
                assert await busctl(bus, "call", DESTINATION, TUNNEL, "org.mlvpn1.Tunnel", "Forget") == ""
                log_level = "org.freedesktop.LogControl1", "LogTarget", "s", "console"
                assert await busctl(bus, "set-property", DESTINATION, LOG_CONTROL, *log_level) == ""
                assert [question[1] for question in fake.asked] == [
                    authorize.RELOAD,
                    authorize.MANAGE_LINK,
                    authorize.MANAGE_LINK,
                    authorize.MANAGE_LINK,
                    authorize.SET_LOG_LEVEL,
                ]
                subject, _action, details, flags, cancellation = fake.asked[0]
                assert subject[0] == "system-bus-name"
                assert subject[1]["name"].startswith(":1.")
                assert (details, flags, cancellation) == ({"instance": "mlvpn0"}, 1, "")

    asyncio.run(scenario())
    assert operator.asked == [
        ("reload",),
        ("set_enabled", "wifi", False),
        ("reconnect", "wifi"),
        ("forget",),
        ("set_log_target", "console"),
    ]


def test_polkit_says_no(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator), polkit(bus, NO):
            assert "Access denied" in await busctl(bus, *DISABLE)

    asyncio.run(scenario())
    assert operator.asked == []


def test_polkit_wants_a_password(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator), polkit(bus, CHALLENGE) as fake:
            said = await busctl(bus, "--allow-interactive-authorization=no", *RELOAD)
            assert "interactive authentication is required" in said.lower()
            assert [question[3] for question in fake.asked] == [0]

    asyncio.run(scenario())
    assert operator.asked == []


def test_root_and_the_own_user_are_not_asked_for(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator), polkit(bus, NO) as fake:
            assert await busctl(bus, *RELOAD, uid=0) == ""
            assert fake.asked == []

    asyncio.run(scenario())
    assert operator.asked == [("reload",)]


def test_while_polkit_thinks_all_else_goes_on_and_may_change(bus: PrivateBus) -> None:
    operator = FakeOperator("adsl", "wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one, polkit(bus, None) as fake:
            slow = asyncio.create_task(busctl(bus, *DISABLE))
            await until(lambda: fake.asked)
            assert await one.get(WIFI, "", "Name") == "wifi"
            assert await busctl(bus, *RELOAD, uid=0) == ""
            operator.change(links=operator.status.links[:1])
            fake.decide(YES)
            assert f"no object {WIFI}" in await slow

    asyncio.run(scenario())
    assert operator.asked == [("reload",)]


def test_polkit_dies_or_never_answers(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator):
            async with polkit(bus, None) as fake:
                waiting = asyncio.create_task(busctl(bus, *RELOAD))
                await until(lambda: fake.asked)
            assert "Access denied" in await waiting
            monkeypatch.setattr(authorize, "POLKIT_LIMIT", 0.1)
            async with polkit(bus, None):
                assert "Access denied" in await busctl(bus, *RELOAD)

    asyncio.run(scenario())
    assert operator.asked == []


def test_one_user_does_not_keep_polkit_from_others(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator), polkit(bus, None) as fake:
            waiting = [asyncio.create_task(busctl(bus, *RELOAD)) for _ in range(authorize.MAX_QUESTIONS)]
            await until(lambda: len(fake.asked) == authorize.MAX_QUESTIONS)
            assert "too many questions" in await busctl(bus, *RELOAD)
            other = asyncio.create_task(busctl(bus, *RELOAD, uid=DAEMON))
            await until(lambda: len(fake.asked) == authorize.MAX_QUESTIONS + 1)
            fake.decide(NO)
            for said in await asyncio.gather(other, *waiting):
                assert "Access denied" in said

    asyncio.run(scenario())
    assert operator.asked == []


UNITS = "/org/freedesktop/systemd1/unit"


@contextlib.asynccontextmanager
async def systemd(bus: PrivateBus, unit: str) -> AsyncIterator[list[int]]:
    """A manager that says that each process is in `unit`, escaped, or in none. Yields the process ids asked for."""
    turns = Turns()
    connection = await Connection.open(bus.address, turns=turns)
    await connection.call_bus("RequestName", "su", "org.freedesktop.systemd1", 0)
    asked: list[int] = []

    async def answer() -> None:
        while True:
            call = await turns.get()
            assert (call.path, call.member) == ("/org/freedesktop/systemd1", "GetUnitByPID")
            asked.extend(lib.decode(call))
            if unit:
                connection.answer(call, "o", [f"{UNITS}/{unit}"])
            else:
                connection.refuse(call, BusError("org.freedesktop.systemd1.NoUnitForPID", "none"))

    task = asyncio.create_task(answer())
    try:
        yield asked
    finally:
        task.cancel()
        connection.close()
        await connection.wait_closed()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("unit", "trusted"),
    [
        ("mlvpn_40mlvpn0_2eservice", True),
        ("mlvpn_40other_2eservice", False),
        ("mlvpn_2dhelper_40mlvpn0_2eservice", False),
        ("user_4065534_2eservice", False),
        ("", False),
        (None, False),
    ],
)
def test_of_the_daemons_user_only_the_tunnels_own_unit_is_trusted(
    bus: PrivateBus, unit: str | None, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tunnels have this user, and systemd says whose process it is. Without systemd, none is trusted."""
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as held:
            await held.enter_async_context(served(bus, operator))
            asked = None if unit is None else await held.enter_async_context(systemd(bus, unit))
            monkeypatch.setattr(os, "geteuid", lambda: DAEMON)
            for verb in (RELOAD, DISABLE):
                said = await busctl(bus, *verb, uid=DAEMON)
                assert said == "" if trusted else "Access denied" in said
            if asked is not None:
                assert len(asked) == 2
                await busctl(bus, *RELOAD)
                assert len(asked) == 2, "another user is for polkit, whatever unit it is in"
            monkeypatch.undo()

    asyncio.run(scenario())
    assert bool(operator.asked) == trusted


def test_nobody_else_answers_for_polkit(bus: PrivateBus) -> None:
    """The service does not believe a forged answer, though a bus such as this one delivers it."""
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one, polkit(bus, None) as fake:
            waiting = asyncio.create_task(busctl(bus, *RELOAD))
            await until(lambda: fake.asked)
            service = await owned(one)
            for serial in range(1, 64):
                forged = Message(kind=Kind.RETURN, destination=service, reply_serial=serial, **YES_BODY)
                one.connection.send(forged)
            assert await one.get(WIFI, "", "Name") == "wifi"
            assert operator.asked == []
            fake.decide(NO)
            assert "Access denied" in await waiting

    asyncio.run(scenario())
    assert operator.asked == []
