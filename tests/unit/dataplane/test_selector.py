"""An event loop for which somebody else waits."""

from __future__ import annotations

import asyncio
import select
import socket

from mlvpnd.dataplane.selector import TurnLoop


def test_another_waits_and_calls_soon() -> None:
    waited: list[float | None] = []
    called: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurnLoop)
        poll = select.poll()
        poll.register(loop.turns.fileno(), select.POLLIN)

        def wait(timeout: float | None) -> None:
            waited.append(timeout)
            poll.poll(None if timeout is None else timeout * 1000)
            if len(waited) == 1:
                loop.call_soon(called.append, "turn")

        loop.turns.take_turns(wait)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            loop.call_later(0.01, theirs.send, b"x")
            assert await loop.sock_recv(ours, 10) == b"x"  # descriptors and timers of others wake it
        loop.turns.take_turns(None)
        before = len(waited)
        await asyncio.sleep(0.01)
        assert len(waited) == before

    with asyncio.Runner(loop_factory=TurnLoop) as runner:
        runner.run(main())
    assert called == ["turn"]
    assert any(timeout is not None and 0 < timeout <= 0.01 for timeout in waited)
