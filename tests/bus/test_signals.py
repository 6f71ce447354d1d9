"""What the service tells the bus, and what it does not."""

from __future__ import annotations

import asyncio
from typing import Any

from mlvpnd.bus import errors
from mlvpnd.bus.introspection import INTERFACES
from mlvpnd.control_plane import LinkChanged, LinksChanged, Reloaded, TunnelChanged
from mlvpnd.status import LinkState
from tests.support.fake_operator import FakeOperator, link_status
from tests.support.private_bus import PrivateBus

from .served import ADSL, TUNNEL, WIFI, refused, served, until


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
