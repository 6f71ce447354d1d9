import asyncio
import socket
import threading
from typing import Any

import pytest

from mlvpnd.helper.resolver import ResolveError, Resolver


def _answer(host: str) -> Any:
    return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (host, 5080))]


def test_numbers_and_wildcards() -> None:
    async def scenario() -> None:
        resolver = Resolver()
        assert await resolver.resolve("127.0.0.1", "5080") == [(socket.AF_INET, "127.0.0.1", 5080, 0, 0)]
        assert await resolver.resolve("::1", "5080") == [(socket.AF_INET6, "::1", 5080, 0, 0)]
        wildcard = await resolver.resolve(None, "5080", family=socket.AF_INET, passive=True)
        assert wildcard == [(socket.AF_INET, "0.0.0.0", 5080, 0, 0)]

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "a..b", "a\0b"])
def test_a_name_that_is_none(host: str) -> None:
    with pytest.raises(ResolveError, match="getaddrinfo"):
        asyncio.run(Resolver().resolve(host, "5080"))


def test_addresses_are_given_once_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [_answer(f"10.0.0.{number}")[0] for number in range(100)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments: found[:1] * 3 + found)
    addresses = asyncio.run(Resolver().resolve("many.example", "5080"))
    assert [host for _, host, _, _, _ in addresses] == [f"10.0.0.{number}" for number in range(32)]


def test_a_slow_name_server_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    busy: list[str] = []

    def look_up(host: str, *_arguments: object) -> Any:
        busy.append(host)
        if host.startswith("slow"):
            release.wait(10)
        return _answer("10.0.0.1")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    async def scenario() -> None:
        resolver = Resolver(time_limit=0.2)
        slow = [asyncio.create_task(resolver.resolve(f"slow{number}", "1")) for number in range(7)]
        await asyncio.sleep(0.05)
        assert await resolver.resolve("quick", "1")
        slow += [asyncio.create_task(resolver.resolve(f"slow{number}", "1")) for number in range(7, 20)]
        results = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(result, ResolveError) and "no answer after 0.2 s" in str(result) for result in results)
        assert len(busy) == 9  # seven, the quick one, and one more: no others got a thread
        release.set()
        await asyncio.sleep(0.05)
        assert await resolver.resolve("quick", "1")  # the places are free again

    asyncio.run(scenario())
