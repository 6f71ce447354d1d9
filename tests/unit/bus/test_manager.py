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
    """systemd, as far as it is asked; it answers after `delay` seconds."""

    def __init__(self, job: str, delay: float) -> None:
        self.properties = {
            (UNIT, f"{SYSTEMD}.Unit", "Job"): lib.Variant("(uo)", [7 if job else 0, JOB if job else "/"]),
            (JOB, f"{SYSTEMD}.Job", "JobType"): lib.Variant("s", job),
        }
        self._delay = delay
        self.connection: Connection

    async def serve(self, turns: Turns) -> None:
        while True:
            call = await turns.get()
            await asyncio.sleep(self._delay)
            interface, name = lib.decode(call)
            value = self.properties.get((call.path, interface, name))
            if value is None:
                self.connection.refuse(call, BusError(UNKNOWN_OBJECT, call.path))
            else:
                self.connection.answer(call, "v", [value])


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


def test_no_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    assert not asyncio.run(manager.is_restarting("my-tunnel"))


def test_the_unit_is_named_as_systemd_names_it() -> None:
    assert UNIT.endswith(names.escape("mlvpn@my-tunnel.service"))
