"""A manager on a private bus that says what becomes of our unit."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from mlvpnd.bus import lib, manager, names
from mlvpnd.bus.connection import Connection
from mlvpnd.bus.errors import UNKNOWN_OBJECT, BusError
from mlvpnd.bus.message import Message
from mlvpnd.bus.turns import Turns
from tests.support.private_bus import PrivateBus

SYSTEMD = "org.freedesktop.systemd1"
UNIT = "/org/freedesktop/systemd1/unit/mlvpn_40my_2dtunnel_2eservice"
JOB = "/org/freedesktop/systemd1/job/7"


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    private = PrivateBus()
    private.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private.address)
    yield private
    private.close()


class Manager:
    """Stands for systemd, as far as it is asked; it answers after `delay` seconds."""

    def __init__(self, job: str, delay: float) -> None:
        self.properties = {
            (UNIT, f"{SYSTEMD}.Unit", "Job"): lib.Variant("(uo)", [7 if job else 0, JOB if job else "/"]),
            (JOB, f"{SYSTEMD}.Job", "JobType"): lib.Variant("s", job),
        }
        self.units = {1: UNIT, 2: UNIT.replace("my", "your"), 3: UNIT.replace("mlvpn", "mlvpn_2dhelper"), 4: "/"}
        """The units of processes, by the number of the process."""
        self._delay = delay
        self.connection: Connection

    async def serve(self, turns: Turns) -> None:
        while True:
            call = await turns.get()
            await asyncio.sleep(self._delay)
            if call.member == "GetUnitByPID":
                self._say_unit(call)
                continue
            interface, name = lib.decode(call)
            value = self.properties.get((call.path, interface, name))
            if value is None:
                self.connection.refuse(call, BusError(UNKNOWN_OBJECT, call.path))
            else:
                self.connection.answer(call, "v", [value])

    def _say_unit(self, call: Message) -> None:
        (pid,) = lib.decode(call)
        if pid in self.units:
            self.connection.answer(call, "o", [self.units[pid]])
        else:
            self.connection.refuse(call, BusError(f"{SYSTEMD}.NoUnitForPID", "none"))


@contextlib.asynccontextmanager
async def managed(job: str, delay: float) -> AsyncIterator[Manager]:
    fake = Manager(job, delay)
    turns = Turns()
    fake.connection = await Connection.open(turns=turns)
    serving = asyncio.create_task(fake.serve(turns))
    await fake.connection.call_bus("RequestName", "su", SYSTEMD, 0)
    try:
        yield fake
    finally:
        serving.cancel()
        fake.connection.close()
        await fake.connection.wait_closed()


def asked(job: str, delay: float = 0.0, instance: str = "my-tunnel") -> bool:
    async def main() -> bool:
        async with managed(job, delay):
            return await manager.is_restarting(instance)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("restart", True),
        ("try-restart", True),
        ("start", True),
        ("stop", False),
        ("", False),
    ],
)
def test_the_job_on_our_unit(bus: PrivateBus, job: str, expected: bool) -> None:
    assert asked(job) is expected


def test_a_unit_that_the_manager_does_not_know(bus: PrivateBus) -> None:
    assert not asked("restart", instance="other")


def test_a_manager_that_takes_its_time_is_not_waited_for(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "_LIMIT", 0.1)
    begin = time.monotonic()
    assert not asked("restart", delay=5)
    assert time.monotonic() - begin < 2


def test_a_bus_without_a_manager(bus: PrivateBus) -> None:
    assert not asyncio.run(manager.is_restarting("my-tunnel"))


@pytest.mark.parametrize(("pid", "ours"), [(1, True), (2, False), (3, False), (4, False), (5, False)])
def test_whose_a_process_is(bus: PrivateBus, pid: int, ours: bool) -> None:
    async def main() -> bool:
        async with managed("", 0):
            connection = await Connection.open()
            try:
                return await manager.is_ours(connection, pid, "my-tunnel")
            except BusError:
                return False
            finally:
                connection.close()
                await connection.wait_closed()

    assert asyncio.run(main()) is ours


def test_nobody_is_ours_without_a_manager(bus: PrivateBus) -> None:
    async def main() -> None:
        connection = await Connection.open()
        try:
            await manager.is_ours(connection, 1, "my-tunnel")
        finally:
            connection.close()
            await connection.wait_closed()

    with pytest.raises(BusError):
        asyncio.run(main())


def test_no_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    assert not asyncio.run(manager.is_restarting("my-tunnel"))


def test_the_unit_is_named_as_systemd_names_it() -> None:
    assert UNIT.endswith(names.escape("mlvpn@my-tunnel.service"))
