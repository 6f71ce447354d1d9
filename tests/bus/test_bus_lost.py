"""The service on a bus that goes and comes back, stands still, or reads nothing."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import pytest

from mlvpnd.bus import connection, errors
from mlvpnd.bus.connection import Connection
from mlvpnd.bus.message import Kind, Message
from mlvpnd.bus.service import BusService
from mlvpnd.operator.face import LinkChanged, TunnelChanged
from mlvpnd.operator.status import LinkState
from tests.support.fake_operator import FakeOperator
from tests.support.private_bus import PrivateBus

from .served import TUNNEL, WIFI, caller, left, owned, running, served, until


def test_a_bus_that_was_killed_is_found_again(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with running(bus, operator):
            async with caller(bus) as one:
                await owned(one)
            bus.kill()
            operator.change_link("wifi", status=LinkState.LOSSY)
            operator.notify(LinkChanged("wifi", LinkState.CONNECTED, LinkState.LOSSY))
            await asyncio.sleep(0.3)
            bus.start()
            async with caller(bus) as one:
                await owned(one)
                assert await one.get(WIFI, "", "State") == "lossy"
        assert operator.listeners == 0

    monkeypatch.setattr("mlvpnd.bus.service.MIN_RETRY", 0.05)
    asyncio.run(scenario())


def test_no_bus_is_no_trouble(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        bus.kill()
        async with running(bus, FakeOperator("wifi")):
            await asyncio.sleep(0.5)
            bus.start()
            async with caller(bus) as one:
                await owned(one)

    monkeypatch.setattr("mlvpnd.bus.service.MIN_RETRY", 0.05)
    logging.getLogger("mlvpnd").propagate = True
    asyncio.run(scenario())
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "no service on the bus: Connection refused"
    ]


def test_cancellation_ends_it(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        task = asyncio.create_task(BusService(operator, "mlvpn0", bus.address).run())
        async with caller(bus) as one:
            await owned(one)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left(one)
        assert operator.listeners == 0

    asyncio.run(scenario())


def test_what_is_told_last_arrives(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with caller(bus) as one:
            async with running(bus, operator):
                await owned(one)
                await one.listen()
                operator.change(state="stopping")
                operator.notify(TunnelChanged("up", "stopping"))
            await until(lambda: any(message.member == "StateChanged" for message in one.signals))
            assert one.told() == [
                (TUNNEL, "PropertiesChanged", ["org.mlvpn1.Tunnel", {"State": "stopping"}, []]),
                (TUNNEL, "StateChanged", ["stopping", "up", ""]),
            ]

    asyncio.run(scenario())


def test_a_tunnel_that_cannot_be_shown_any_more_is_no_trouble(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator):
            operator.snapshot_error = ZeroDivisionError("gone")

    asyncio.run(scenario())
    assert operator.listeners == 0


def test_a_bus_that_stands_still_costs_bounded_memory(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    operator = FakeOperator("wifi")
    states = LinkState.CONNECTED, LinkState.LOSSY

    async def scenario() -> None:
        async with served(bus, operator) as one:
            await one.listen()
            bus.signal(signal.SIGSTOP)
            for turn in range(12000):
                before, after = states[turn % 2], states[(turn + 1) % 2]
                operator.change_link("wifi", status=after)
                operator.notify(LinkChanged("wifi", before, after))
                if turn % 20 == 0:
                    await asyncio.sleep(0)
            bus.signal(signal.SIGCONT)
            assert await one.get(WIFI, "", "State") == "up"
            changes: list[Any] = []

            def settled() -> bool:
                changes.extend(told for told in one.told() if told[1] == "PropertiesChanged" and told[0] != TUNNEL)
                return bool(changes) and changes[-1][2][1] == {"State": "up"}

            await until(settled)
            assert len(changes) < 1200

    monkeypatch.setattr(connection, "CONGESTED_SIZE", 16384)
    asyncio.run(scenario())


def test_a_bus_that_reads_nothing_is_given_up(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        opened = await Connection.open(bus.address)
        bus.signal(signal.SIGSTOP)
        message = Message(kind=Kind.SIGNAL, path="/", interface="a.b", member="C", signature="s", body=["x" * 1000])
        sent = 0
        while opened.send(message):
            sent += 1
        assert 0 < sent < 2000
        assert await opened.wait_closed() == "the bus does not read what is sent to it"
        with pytest.raises(errors.BusUnavailable):
            await opened.call_bus("ListNames")

    monkeypatch.setattr(connection, "MAX_WRITE_SIZE", 100_000)
    asyncio.run(scenario())
