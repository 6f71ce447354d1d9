"""Who is served when, and for how long."""

from __future__ import annotations

import asyncio

from mlvpnd.bus import turns
from mlvpnd.bus.message import Kind, Message
from mlvpnd.bus.turns import Pace, Turns


def call(sender: str, serial: int = 1) -> Message:
    return Message(kind=Kind.CALL, sender=sender, serial=serial)


def test_senders_take_turns_and_keep_their_order() -> None:
    async def scenario() -> list[tuple[str, int]]:
        queue = Turns()
        for serial in range(3):
            assert queue.put(call("a", serial))
        for serial in range(2):
            assert queue.put(call("b", serial))
        assert queue.put(call("c", 0))
        served = [await queue.get() for _ in range(6)]
        return [(one.sender, one.serial) for one in served]

    assert asyncio.run(scenario()) == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("a", 2)]


def test_one_sender_cannot_have_many_waiting() -> None:
    async def scenario() -> None:
        queue = Turns()
        taken = [queue.put(call("a", serial)) for serial in range(turns.MAX_WAITING + 5)]
        assert taken == [True] * turns.MAX_WAITING + [False] * 5
        assert queue.put(call("b"))
        await queue.get()
        assert queue.put(call("a"))

    asyncio.run(scenario())


def test_who_has_too_many_waiting_is_named() -> None:
    named: list[str] = []
    queue = Turns(named.append)
    for serial in range(turns.MAX_WAITING):
        queue.put(call("a", serial))
    queue.put(call("b"))
    assert named == []
    queue.put(call("a"))
    assert named == ["a"]


def test_who_calls_too_often_is_named_though_it_is_served() -> None:
    async def scenario() -> None:
        named: list[str] = []
        now = 0.0
        queue = Turns(named.append, lambda: now)
        for number in range(5 * turns.FLOOD_RATE):
            now = number / (turns.FLOOD_RATE - 1)
            queue.put(call("a"))
            await queue.get()
        assert named == []
        for _ in range(3 * turns.FLOOD_RATE):
            queue.put(call("b"))
            await queue.get()
        assert named == ["b"]

    asyncio.run(scenario())


def test_there_is_room_when_one_was_served() -> None:
    async def scenario() -> None:
        queue = Turns()
        for number in range(turns.MAX_WAITING_IN_ALL):
            await queue.has_room()
            queue.put(call(f"s{number}"))
        waiting = asyncio.create_task(queue.has_room())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await queue.get()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scenario())


def test_who_waits_for_a_call_gets_it() -> None:
    async def scenario() -> None:
        queue = Turns()
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.put(call("a", 5))
        assert (await asyncio.wait_for(waiting, 1)).serial == 5

    asyncio.run(scenario())


def test_work_is_followed_by_a_pause_nine_times_as_long() -> None:
    async def scenario() -> tuple[float, float, float]:
        pace, clock = Pace(), asyncio.get_running_loop().time
        begin = clock()
        await pace.rest(0.0006)
        short = clock() - begin
        await pace.rest(0.0006)
        long = clock() - begin
        begin = clock()
        await pace.rest(60.0)
        return short, long, clock() - begin

    short, long, longest = asyncio.run(scenario())
    assert short < 0.0012 * turns.PAUSE_FACTOR <= long
    assert turns.MAX_PAUSE <= longest < turns.MAX_PAUSE + 5
