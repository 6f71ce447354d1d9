"""The signals that the service sends on the bus, and those that it does not send."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

from mlvpnd.bus import errors
from mlvpnd.bus.introspection import INTERFACES
from mlvpnd.bus.signals import BURST, INTERVAL, PAUSE
from mlvpnd.operator.face import LinkChanged, LinkPropertiesChanged, LinksChanged, Reloaded, TunnelChanged
from mlvpnd.operator.status import LinkState
from tests.support.fake_operator import FakeOperator, link_status
from tests.support.private_bus import PrivateBus

from .served import ADSL, TUNNEL, WIFI, caller, left, owned, refused, running, served, until


def test_signals(bus: PrivateBus) -> None:
    operator = FakeOperator("adsl-2", "wifi")

    def changed(name: str, before: LinkState, after: LinkState, reason: str = "") -> None:
        operator.change_link(name, status=after)
        operator.notify(LinkChanged(name, before, after, reason))

    async def scenario() -> list[tuple[str, str, Any]]:
        async with served(bus, operator) as one:
            await one.listen()
            changed("wifi", LinkState.CONNECTED, LinkState.LOSSY)
            await until(lambda: len(one.signals) >= 3)
            changed("wifi", LinkState.LOSSY, LinkState.DISCONNECTED, "timeout")
            changed("adsl-2", LinkState.CONNECTED, LinkState.SLOW)
            operator.change(state="fallback")
            operator.notify(TunnelChanged("up", "fallback", "links"))
            await until(lambda: len(one.signals) >= 9)
            changed("wifi", LinkState.DISCONNECTED, LinkState.WAITING)
            changed("wifi", LinkState.WAITING, LinkState.CONNECTED)
            operator.notify(Reloaded(ok=False, message="f:1: wrong"))
            await until(lambda: len(one.signals) >= 13)
            return one.told()

    told = asyncio.run(scenario())
    tunnel, link = "org.mlvpn1.Tunnel", "org.mlvpn1.Link"
    assert told == [
        (TUNNEL, "PropertiesChanged", [tunnel, {"StatusText": "~wifi @adsl-2"}, []]),
        (WIFI, "PropertiesChanged", [link, {"State": "lossy"}, []]),
        (TUNNEL, "LinkLossy", ["wifi", WIFI, 3]),
        (TUNNEL, "PropertiesChanged", [tunnel, {"State": "fallback", "StatusText": "!wifi ~adsl-2"}, []]),
        (ADSL, "PropertiesChanged", [link, {"State": "slow"}, []]),
        (WIFI, "PropertiesChanged", [link, {"State": "down"}, []]),
        (TUNNEL, "LinkDown", ["wifi", WIFI, "timeout"]),
        (TUNNEL, "LinkSlow", ["adsl-2", ADSL, 23500]),
        (TUNNEL, "StateChanged", ["fallback", "up", "links"]),
        (TUNNEL, "PropertiesChanged", [tunnel, {"StatusText": "@wifi ~adsl-2"}, []]),
        (WIFI, "PropertiesChanged", [link, {"State": "up"}, []]),
        (TUNNEL, "LinkUp", ["wifi", WIFI]),
        (TUNNEL, "Reloaded", [False, "f:1: wrong"]),
    ]


def test_links_come_and_go(bus: PrivateBus) -> None:
    operator = FakeOperator("adsl-2", "wifi")

    async def scenario() -> list[tuple[str, str, Any]]:
        async with served(bus, operator) as one:
            await one.listen()
            operator.change(links=(link_status("3g", status=LinkState.WAITING), operator.status.links[0]))
            operator.notify(LinkChanged("wifi", LinkState.CONNECTED, LinkState.DISCONNECTED, "config"))
            operator.notify(LinksChanged(("3g",), ("wifi",)))
            operator.change_link("3g", enabled=False)
            await until(lambda: len(one.signals) >= 4)
            operator.change_link("3g", enabled=True)
            operator.notify(LinkChanged("3g", LinkState.WAITING, LinkState.WAITING))
            await until(lambda: len(one.signals) >= 5)
            assert await refused(one.get(WIFI, "", "Name")) == errors.UNKNOWN_OBJECT
            assert await one.get(f"{TUNNEL}/link/_33g", "", "Name") == "3g"
            return one.told()

    told = asyncio.run(scenario())
    added = f"{TUNNEL}/link/_33g"
    assert [(path, member, values[0]) for path, member, values in told] == [
        ("/org/mlvpn1", "InterfacesAdded", added),
        (TUNNEL, "PropertiesChanged", "org.mlvpn1.Tunnel"),
        (TUNNEL, "LinkDown", "wifi"),
        ("/org/mlvpn1", "InterfacesRemoved", WIFI),
        (added, "PropertiesChanged", "org.mlvpn1.Link"),
    ]
    properties = told[0][2][1]["org.mlvpn1.Link"]
    assert properties.keys() == INTERFACES["org.mlvpn1.Link"].properties.keys()
    assert told[1][2][1] == {"StatusText": "@adsl-2 !3g", "Links": [added, ADSL]}
    assert told[3][2] == [WIFI, ["org.mlvpn1.Link"]]
    assert told[4][2][1] == {"Enabled": True}


def test_a_link_that_is_disabled_and_enabled_is_told_of_once_each_way(bus: PrivateBus) -> None:
    """Whether it was up or not."""
    operator = FakeOperator("adsl-2", "wifi")

    async def scenario() -> list[tuple[str, str, Any]]:
        async with served(bus, operator) as one:
            await one.listen()
            for name, before in (("adsl-2", LinkState.CONNECTED), ("wifi", LinkState.WAITING)):
                operator.change_link(name, status=LinkState.DISABLED, enabled=False)
                operator.notify(LinkChanged(name, before, LinkState.DISABLED, "disabled"))
                operator.change_link(name, status=LinkState.DISCONNECTED, enabled=True)
                operator.notify(LinkChanged(name, LinkState.DISABLED, LinkState.DISCONNECTED))
            await until(lambda: sum(signal.member.startswith("Link") for signal in one.signals) >= 4)
            return one.told()

    told = asyncio.run(scenario())
    assert [(member, values) for _, member, values in told if member.startswith("Link")] == [
        ("LinkDown", ["adsl-2", ADSL, "disabled"]),
        ("LinkEnabled", ["adsl-2", ADSL]),
        ("LinkDown", ["wifi", WIFI, "disabled"]),
        ("LinkEnabled", ["wifi", WIFI]),
    ]


def test_counters_alone_tell_nothing(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one:
            await one.listen()
            operator.change(tun_packets_read=99, tun_bytes_written=99)
            operator.change_link("wifi", sent_bytes=99, srtt_ms=9.0, loss_percent=9, share=0.9)
            operator.notify(LinkChanged("wifi", LinkState.CONNECTED, LinkState.CONNECTED))
            await asyncio.sleep(0.1)
            assert one.told() == []

    asyncio.run(scenario())


UP, DOWN = LinkState.CONNECTED, LinkState.DISCONNECTED
FLOOD = 2.5
"""Seconds of changes."""


def flap(operator: FakeOperator, name: str, turn: int) -> None:
    """A link goes down, or comes up from another address. The tunnel goes with it."""
    before, after = (UP, DOWN) if turn % 2 == 0 else (DOWN, UP)
    operator.change_link(name, status=after, peer=f"192.0.2.1:{1000 + turn % 60000}", state_since=float(turn))
    operator.change(state="up" if after is UP else "down")
    operator.notify(LinkPropertiesChanged(name))
    operator.notify(LinkChanged(name, before, after, "" if after is UP else "disconnect"))
    operator.notify(TunnelChanged("down", "up") if after is UP else TunnelChanged("up", "down", "links"))


def changes(told: list[tuple[str, str, Any]]) -> Counter[tuple[str, str]]:
    """How often a signal told each property of each object."""
    return Counter((path, name) for path, member, body in told if member == "PropertiesChanged" for name in body[1])


def test_a_link_that_flaps_is_told_of_now_and_then_and_how_it_ends(bus: PrivateBus) -> None:
    operator = FakeOperator("adsl-2", "wifi")

    async def scenario() -> tuple[list[tuple[str, str, Any]], dict[str, Any], float]:
        loop = asyncio.get_running_loop()
        async with served(bus, operator) as one:
            await one.listen()
            begin, turn = loop.time(), 0
            while loop.time() < begin + FLOOD or turn % 2 == 1:
                flap(operator, "wifi", turn)
                turn += 1
                await asyncio.sleep(0.002)
            assert turn > 100 * FLOOD
            took = loop.time() - begin
            flap(operator, "wifi", turn)  # it is down at the end
            await asyncio.sleep(INTERVAL + 4 * PAUSE)
            told = one.told()
            await asyncio.sleep(INTERVAL + 4 * PAUSE)
            assert one.told() == []  # no signal is left to come
            return told, await one.call(WIFI, "org.freedesktop.DBus.Properties", "GetAll", "s", ""), took

    told, now, took = asyncio.run(scenario())
    most = BURST + took / INTERVAL + 2
    named = Counter(member for _, member, _ in told)
    assert max(changes(told).values()) <= most
    assert named["LinkUp"] + named["LinkDown"] <= most
    assert named["StateChanged"] <= most
    assert len(told) <= 6 * most  # earlier, thousands
    # In the end a listener knows all states, and each signal differs from the one before.
    last: dict[str, Any] = {}
    for path, member, body in told:
        last |= body[1] if member == "PropertiesChanged" and path == WIFI else {}
    assert last
    assert {name: now[name] for name in last} == last
    assert last["State"] == "down"
    ups = [member for _, member, _ in told if member in ("LinkUp", "LinkDown")]
    assert ups[0] == ups[-1] == "LinkDown"
    assert all(before != after for before, after in pairwise(ups))
    states = [body[:2] for _, member, body in told if member == "StateChanged"]
    assert all(before[0] == after[1] for before, after in pairwise(states))
    assert states[-1][0] == "down"


def test_a_link_that_flaps_does_not_delay_what_is_said_of_others(bus: PrivateBus) -> None:
    operator = FakeOperator("adsl-2", "wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one:
            for turn in range(200):
                flap(operator, "wifi", turn)
                await asyncio.sleep(0.002)
            await asyncio.sleep(2 * PAUSE)
            await one.listen()
            operator.change_link("adsl-2", status=DOWN)
            operator.notify(LinkChanged("adsl-2", UP, DOWN, "timeout"))
            begin = asyncio.get_running_loop().time()
            await until(lambda: "LinkDown" in [signal.member for signal in one.signals])
            assert asyncio.get_running_loop().time() - begin < INTERVAL / 2
            # The same holds for an operator's request about the same link.
            await one.set(WIFI, "org.mlvpn1.Link", "Enabled", "b", value=False)
            told = one.told()
            assert (WIFI, "PropertiesChanged", ["org.mlvpn1.Link", {"Enabled": False}, []]) in told

    asyncio.run(scenario())


def test_the_last_word_does_not_wait(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> list[str]:
        async with caller(bus) as one:
            async with running(bus, operator):
                await one.listen(await owned(one))
                for turn in range(200):
                    flap(operator, "wifi", turn)
                    await asyncio.sleep(0.002)
                operator.change(state="stopping")
                operator.notify(TunnelChanged("up", "stopping"))
            await until(lambda: any(signal.member == "StateChanged" for signal in one.signals))
            await left(one)
            return [body[0] for _, member, body in one.told() if member == "StateChanged"]

    assert asyncio.run(scenario())[-1] == "stopping"
