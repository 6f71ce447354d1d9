"""An ordinary user makes a thousand odd calls to the service in a second."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlvpnd.bus import lib
from mlvpnd.bus.message import NO_REPLY_EXPECTED, Kind, Message
from mlvpnd.bus.turns import MAX_WAITING
from tests.support.fake_operator import FakeOperator
from tests.support.noise import Noise
from tests.support.private_bus import PrivateBus

from .flooder import BURST
from .served import DESTINATION, TUNNEL, Caller, served

COUNT = 3000
RATE = 1000
CPU_SHARE = 0.35
"""Share of one core for the service and this test's own work; they take about 0.17."""
HELD = 0.005
"""CPU seconds for which the loop may be held, in 99 of 100 cases; it takes about 0.002.

The loop is held between two turns of a task that stands for the packets."""
MEMORY = 16 * 1024
"""KiB of memory growth."""


async def _packet_loop(held: list[float]) -> None:
    """Counts CPU time, because the machine also has a part in how late a turn comes by the clock."""
    while True:
        begin = time.thread_time()
        await asyncio.sleep(0.001)
        held.append(time.thread_time() - begin)


async def _ask_now_and_then(one: Caller, waits: list[float]) -> None:
    while True:
        begin = time.perf_counter()
        assert await one.get(TUNNEL, "", "Name") == "mlvpn0"
        waits.append(time.perf_counter() - begin)
        await asyncio.sleep(0.1)


def test_the_packet_loop_and_other_callers_do_not_notice(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = FakeOperator("adsl", "wifi")
    held: list[float] = []
    waits: list[float] = []
    noise = Noise()
    decoded: set[str] = set()
    decode = lib.decode

    def watched(message: Message) -> list[Any]:
        decoded.add(message.signature)
        return decode(message)

    async def scenario() -> None:
        async with served(bus, operator) as one:
            flooder = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bus.flooder",
                bus.address,
                str(COUNT),
                str(RATE),
                cwd=Path(__file__).resolve().parents[2],
                stdout=asyncio.subprocess.PIPE,
            )
            assert flooder.stdout is not None
            assert await flooder.stdout.readline() == b"begins\n"
            tasks = [asyncio.create_task(_packet_loop(held)), asyncio.create_task(_ask_now_and_then(one, waits))]
            cpu, begin, memory = time.process_time(), time.perf_counter(), _memory()
            said, _ = await flooder.communicate()
            share = (time.process_time() - cpu) / (time.perf_counter() - begin)
            for task in tasks:
                assert not task.done()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert flooder.returncode == 0
            assert int(said.split()[0]) == BURST + COUNT
            assert share < CPU_SHARE
            assert _memory() - memory < MEMORY

    monkeypatch.setattr(lib, "decode", watched)
    asyncio.run(scenario())
    held.sort()
    assert held[len(held) * 99 // 100] < HELD
    assert len(waits) > 5
    assert max(waits) < 2 + noise.seconds
    # The library remembers every signature that it has ever seen; `b` and `v` are answers to this test's callers.
    assert decoded <= {"", "s", "u", "ss", "ssv", "b", "v"}
    assert operator.asked == []


def test_who_calls_more_often_than_is_answered_is_named_once(
    bus: PrivateBus, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mlvpnd"), "propagate", True)
    describe = Message(
        kind=Kind.CALL,
        destination=DESTINATION,
        path=TUNNEL,
        interface="org.mlvpn1.Tunnel",
        member="Describe",
        flags=NO_REPLY_EXPECTED,
    )
    flooding: list[str] = []

    async def scenario() -> None:
        async with served(bus, FakeOperator("adsl")) as one:
            flooding.append(one.connection.unique_name)
            for _ in range(3):
                for _ in range(2 * MAX_WAITING):
                    one.connection.send(describe)
                # The call waits its turn behind the flood's calls, and is answered.
                await asyncio.sleep(0.1)
            assert await one.get(TUNNEL, "", "Name") == "mlvpn0"

    asyncio.run(scenario())
    told = [record.__dict__["journal"] for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [{"EVENT": "bus-flooded", "SENDER": flooding[0]}]


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
