"""Numbers without a look-up, names by whoever may look them up, and which ends can be joined."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mlvpnd.errors import MlvpndError
from mlvpnd.net import resolve
from mlvpnd.net.resolve import Endpoints, Resolved

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "port", "passive", "expected"),
    [
        ("192.0.2.1", "5080", False, [(V4, ("192.0.2.1", 5080))]),
        ("2001:db8::1", "5080", False, [(V6, ("2001:db8::1", 5080, 0, 0))]),
        ("192.0.2.1", "", True, [(V4, ("192.0.2.1", 0))]),
        ("", "5080", True, [(V4, ("0.0.0.0", 5080)), (V6, ("::", 5080, 0, 0))]),
        ("name.test", "5080", False, None),
        ("192.0.2.1", "http", False, None),
        ("x" * 300, "5080", False, None),
        ("é" * 70, "5080", False, None),
    ],
)
def test_numbers(host: str, port: str, passive: bool, expected: list[Resolved] | None) -> None:
    found = resolve.numeric(host, port, passive=passive)
    assert (sorted(found) if found is not None else None) == expected


def test_only_names_are_looked_up() -> None:
    asked: list[str] = []

    async def lookup() -> list[Resolved]:
        asked.append("name")
        return [(V6, ("2001:db8::2", 1, 0, 0)), (V4, ("192.0.2.2", 1))]

    async def fail() -> list[Resolved]:
        raise MlvpndError("no answer")

    async def main() -> None:
        assert await resolve.addresses("192.0.2.1", "1", lookup) == [(V4, ("192.0.2.1", 1))]
        assert asked == []
        # The addresses stand in the resolver's order.
        found = await resolve.addresses("name.test", "1", lookup)
        assert [family for family, _ in found] == [V6, V4]
        with pytest.raises(MlvpndError, match="no answer"):
            await resolve.addresses("name.test", "1", fail)

    asyncio.run(main())


def test_ends_of_one_family_are_joined_in_the_order_of_the_remote_ones() -> None:
    local: list[Resolved] = [(V4, ("192.0.2.1", 0)), (V6, ("2001:db8::1", 0, 0, 0)), (V4, ("192.0.2.2", 0))]
    remote: list[Resolved] = [(V6, ("2001:db8::9", 1, 0, 0)), (V4, ("192.0.2.9", 1)), (V4, ("192.0.2.10", 1))]
    assert resolve.pairs(local, remote) == [
        Endpoints(V6, ("2001:db8::1", 0, 0, 0), ("2001:db8::9", 1, 0, 0)),
        Endpoints(V4, ("192.0.2.1", 0), ("192.0.2.9", 1)),
        Endpoints(V4, ("192.0.2.1", 0), ("192.0.2.10", 1)),
    ]
    assert resolve.pairs(local[:1], remote[:1]) == []
