"""The reference twin's plane: when it tells its driver."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from mlvpnd.dataplane.reference import ReferencePlane

LINKS = range(3)


class PlaneListener:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def received(self, number: int) -> None:
        self.told.append(f"received {number}")

    def after(self) -> None:
        self.told.append("after")


class Socket:
    """A socket that has one datagram."""

    refused_for: float | None = None

    def receive_batch(self, limit: int) -> list[tuple[bytes, Any]]:
        return [(b"one", ("192.0.2.1", 5000))]


def made(loop: asyncio.AbstractEventLoop) -> tuple[ReferencePlane, PlaneListener]:
    def receive(number: int, datagrams: Sequence[Any], now: float) -> list[bytes]:
        return []

    plane, driver = ReferencePlane(loop), PlaneListener()
    session = SimpleNamespace(receive=receive, transmits=list)
    device = SimpleNamespace(write_batch=lambda packets: None)
    plane.begin(cast(Any, session), cast(Any, device), driver)
    plane._sockets = {number: cast(Any, Socket()) for number in LINKS}
    return plane, driver


def test_all_links_of_a_turn_are_told_of_together() -> None:
    async def scenario() -> list[str]:
        plane, driver = made(asyncio.get_running_loop())
        for number in LINKS:
            plane._on_link(number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return driver.told

    assert asyncio.run(scenario()) == ["received 0", "received 1", "received 2", "after"]


def test_nothing_is_told_of_behind_what_was_settled() -> None:
    """An example is the end of the process: news would arm a timer again."""

    async def scenario() -> list[str]:
        plane, driver = made(asyncio.get_running_loop())
        plane._on_link(0)
        plane.settle()
        driver.told.append("settled")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        plane.settle()
        return driver.told

    assert asyncio.run(scenario()) == ["received 0", "after", "settled"]


def test_links_are_named_whose_socket_the_system_refuses_everything_for() -> None:
    async def scenario() -> list[int]:
        plane, _ = made(asyncio.get_running_loop())
        assert list(plane.send()) == []
        plane._sockets[1].refused_for = 5.0
        return list(plane.send())

    assert asyncio.run(scenario()) == [1]
