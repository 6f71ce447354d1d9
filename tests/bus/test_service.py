"""The service as programs on the bus see it."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from mlvpnd import __version__, control_plane
from mlvpnd.bus import connection, errors, names
from mlvpnd.bus.connection import Connection
from mlvpnd.bus.errors import BusError
from mlvpnd.bus.introspection import INTERFACES
from mlvpnd.bus.message import Kind, Message
from mlvpnd.bus.service import BusService
from mlvpnd.config import ConfigError, Problem
from mlvpnd.control_plane import (
    ConfigUnreadable,
    LinkChanged,
    LinksChanged,
    Reloaded,
    TunnelChanged,
)
from mlvpnd.errors import MlvpndError
from mlvpnd.status import LinkState
from tests.support.fake_operator import FakeOperator, link_status
from tests.support.private_bus import PrivateBus

from .served import LIMIT, TUNNEL, caller, left, owned, running, served, until

ADSL = f"{TUNNEL}/link/adsl_2d2"
WIFI = f"{TUNNEL}/link/wifi"
DBUS = Path(__file__).resolve().parents[2] / "dbus"


async def refused(awaitable: Any) -> str:
    """The name of the error that a call ends with."""
    with pytest.raises(BusError) as caught:
        await awaitable
    return caught.value.name


# Names.


def test_names_of_two_instances(bus: PrivateBus) -> None:
    async def scenario() -> None:
        async with running(bus, FakeOperator()), caller(bus) as one:
            first = await owned(one)
            async with running(bus, FakeOperator(), "0-b"):
                second = await owned(one, "org.mlvpn1.Tunnel._30_2db")
                assert first != second
                assert await owned(one, "org.mlvpn1") == first
                queue = (await one.connection.call_bus("ListQueuedOwners", "s", "org.mlvpn1"))[0]
                assert queue == [first, second]

    asyncio.run(scenario())


def test_the_next_in_the_queue_takes_the_shared_name(bus: PrivateBus) -> None:
    async def scenario() -> None:
        async with caller(bus) as one:
            async with running(bus, FakeOperator(), "a") as first:
                await owned(one, "org.mlvpn1.Tunnel.a")
                async with running(bus, FakeOperator(), "b"):
                    own = await owned(one, "org.mlvpn1.Tunnel.b")
                    owner = await owned(one, "org.mlvpn1")
                    assert owner != own
                    first.close()
                    async with asyncio.timeout(LIMIT):
                        while owner != own:
                            owner = await owned(one, "org.mlvpn1")

    asyncio.run(scenario())


def test_an_instance_that_runs_already_keeps_its_name(bus: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served(bus, FakeOperator("first")) as one, running(bus, FakeOperator("second")):
            await until(lambda: "has another owner" in caplog.text)
            assert await one.get(TUNNEL, names.TUNNEL_INTERFACE, "StatusText") == "@first"
            queue = ["first", "second"]
            async with asyncio.timeout(LIMIT):
                while len(queue) > 1:
                    queue = (await one.connection.call_bus("ListQueuedOwners", "s", "org.mlvpn1"))[0]

    caplog.set_level(logging.INFO, "mlvpnd")
    logging.getLogger("mlvpnd").propagate = True
    asyncio.run(scenario())


# Objects and what they tell of themselves.


def _introspected(text: str) -> dict[str, str]:
    """By name: each interface of a node, canonically."""
    return {
        element.attrib["name"]: ET.canonicalize(ET.tostring(element), strip_text=True)
        for element in ET.fromstring(text).iter("interface")  # noqa: S314
    }


def test_introspection_is_what_the_files_say(bus: PrivateBus) -> None:
    async def scenario() -> dict[str, tuple[dict[str, str], list[str]]]:
        found = {}
        async with served(bus, FakeOperator("adsl-2", "wifi")) as one:
            paths = ["/"]
            for path in paths:
                text = await one.call(path, names.INTROSPECTABLE_INTERFACE, "Introspect")
                nodes = ET.fromstring(text).iter("node")  # noqa: S314
                children = [node.attrib["name"] for node in nodes if node.attrib]
                paths += [f"{path.rstrip('/')}/{child}" for child in children]
                found[path] = _introspected(text), children
        return found

    found = asyncio.run(scenario())
    files: dict[str, str] = {}
    for file in DBUS.glob("*.xml"):
        files |= _introspected(file.read_text())
    standard = set(names.STANDARD_INTERFACES)
    own = {
        "/org/mlvpn1": "org.freedesktop.DBus.ObjectManager",
        "/org/freedesktop/LogControl1": "org.freedesktop.LogControl1",
        TUNNEL: "org.mlvpn1.Tunnel",
        ADSL: "org.mlvpn1.Link",
        WIFI: "org.mlvpn1.Link",
    }
    between = {"/", "/org", "/org/freedesktop", "/org/mlvpn1/tunnel", f"{TUNNEL}/link"}
    assert found.keys() == own.keys() | between
    for path, (interfaces, _children) in found.items():
        assert interfaces.keys() == standard | ({own[path]} if path in own else set()), path
        assert all(xml == files[name] for name, xml in interfaces.items()), path
    assert set(own.values()) | standard == files.keys()


def test_every_property_has_its_value(bus: PrivateBus) -> None:
    async def scenario() -> dict[str, dict[str, Any]]:
        async with served(bus, FakeOperator("adsl-2", "wifi")) as one:
            found = {}
            for path, interface in ((TUNNEL, "org.mlvpn1.Tunnel"), (ADSL, "org.mlvpn1.Link")):
                found[path] = await one.call(path, names.PROPERTIES_INTERFACE, "GetAll", "s", interface)
                assert found[path] == await one.call(path, names.PROPERTIES_INTERFACE, "GetAll", "s", "")
                for name, expected in INTERFACES[interface].properties.items():
                    for spelled in (interface, ""):
                        (value,) = await one.raw(path, names.PROPERTIES_INTERFACE, "Get", "ss", spelled, name)
                        assert value.signature == expected.type, name
            managed = await one.call("/org/mlvpn1", names.OBJECT_MANAGER_INTERFACE, "GetManagedObjects")
            assert list(managed) == [TUNNEL, ADSL, WIFI]
            assert managed[TUNNEL] == {"org.mlvpn1.Tunnel": found[TUNNEL]}
            assert managed[ADSL] == {"org.mlvpn1.Link": found[ADSL]}
            return found

    found = asyncio.run(scenario())
    assert found[TUNNEL] == {
        "Name": "mlvpn0",
        "Version": __version__,
        "ConfigFile": "/etc/mlvpn/mlvpn0.conf",
        "Mode": "client",
        "State": "up",
        "StatusText": "@wifi @adsl-2",
        "Interface": "tun7",
        "InterfaceType": "tun",
        "MTU": 1400,
        "ReorderBufferSize": 64,
        "CleartextData": True,
        "DataPlane": "reference",
        "Links": [ADSL, WIFI],
        "StartTimestamp": 1700000000250000,
        "LastReloadTimestamp": 1700000000500000,
        "TxBytes": 23,
        "RxBytes": 24,
        "TxPackets": 21,
        "RxPackets": 22,
    }
    assert found[ADSL] == {
        "Name": "adsl-2",
        "Tunnel": TUNNEL,
        "State": "up",
        "StateChangeTimestamp": 1700000001500000,
        "Enabled": True,
        "BandwidthUpload": 125000,
        "FallbackOnly": False,
        "LossTolerance": 50,
        "LatencyTolerance": 100,
        "TimeoutUSec": 30000000,
        "LocalAddress": ["2001:db8::2", 5081],
        "RemoteAddress": ["198.51.100.1", 5080],
        "Weight": 50.0,
        "LossPercent": 3,
        "RetransmittedPercent": 0.57,
        "Spare": True,
        "SmoothedRttUSec": 23500,
        "RttVarianceUSec": 2250,
        "TxBytes": 13,
        "RxBytes": 14,
        "TxPackets": 11,
        "RxPackets": 12,
        "Disconnects": 4,
        "LastPacketTimestampMonotonic": 12250000,
    }


def test_what_is_not_known_is_zero(bus: PrivateBus) -> None:
    operator = FakeOperator()
    operator.change(links=(link_status("a", has_rtt=False, local="", peer="", last_packet_monotonic=0.0),))

    async def scenario() -> dict[str, Any]:
        async with served(bus, operator) as one:
            return dict(await one.call(f"{TUNNEL}/link/a", names.PROPERTIES_INTERFACE, "GetAll", "s", ""))

    found = asyncio.run(scenario())
    assert (found["SmoothedRttUSec"], found["RttVarianceUSec"], found["LastPacketTimestampMonotonic"]) == (0, 0, 0)
    assert found["LocalAddress"] == found["RemoteAddress"] == ["", 0]


def test_texts_that_dbus_forbids_do_not_end_the_connection(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")
    operator.change(config_file="/etc/\udcff\0x", interface="tün")

    async def scenario() -> None:
        async with served(bus, operator) as one:
            assert await one.get(TUNNEL, "", "ConfigFile") == "/etc/??x"
            assert await one.get(TUNNEL, "", "Interface") == "tün"

    asyncio.run(scenario())


def test_methods_that_only_read(bus: PrivateBus) -> None:
    async def scenario() -> None:
        async with served(bus, FakeOperator("adsl-2", "wifi")) as one:
            assert await one.call(TUNNEL, names.TUNNEL_INTERFACE, "GetLink", "s", "adsl-2") == ADSL
            assert await refused(one.call(TUNNEL, "", "GetLink", "s", "x")) == "org.mlvpn1.Error.NoSuchLink"
            told = json.loads(await one.call(TUNNEL, names.TUNNEL_INTERFACE, "Describe"))
            properties = await one.call(TUNNEL, names.PROPERTIES_INTERFACE, "GetAll", "s", "")
            link = await one.call(ADSL, names.PROPERTIES_INTERFACE, "GetAll", "s", "")
            assert told | {"Links": properties["Links"]} == told | properties
            assert told["Links"][0] == told["Links"][0] | link
            assert told["Drops"] == {"bad_mac": 5, "tun": 0}
            assert told["Links"][0]["Drops"] == {"replay": 2}
            await one.call("/nowhere", names.PEER_INTERFACE, "Ping")
            machine = await one.call("/", names.PEER_INTERFACE, "GetMachineId")
            assert machine == Path("/etc/machine-id").read_text().strip()

    asyncio.run(scenario())


# Errors.

CALLS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "no such object": (errors.UNKNOWN_OBJECT, ("/org/mlvpn1/tunnel/other", "org.mlvpn1.Tunnel", "Describe")),
    "no such link": (errors.UNKNOWN_OBJECT, (f"{TUNNEL}/link/x", "org.mlvpn1.Link", "Reconnect")),
    "a name not escaped": (errors.UNKNOWN_OBJECT, (f"{TUNNEL}/link/adsl", "org.mlvpn1.Link", "Reconnect")),
    "interface of another object": (errors.UNKNOWN_INTERFACE, (TUNNEL, "org.mlvpn1.Link", "Reconnect")),
    "no such interface": (errors.UNKNOWN_INTERFACE, (TUNNEL, "no.such", "Ping")),
    "no such method": (errors.UNKNOWN_METHOD, (TUNNEL, "org.mlvpn1.Tunnel", "Explode")),
    "no such method anywhere": (errors.UNKNOWN_METHOD, (TUNNEL, "", "Explode")),
    "no such method of Peer": (errors.UNKNOWN_METHOD, (TUNNEL, names.PEER_INTERFACE, "Explode")),
    "a method between": (errors.UNKNOWN_METHOD, ("/org", "", "Describe")),
    "an interface between": (errors.UNKNOWN_INTERFACE, ("/org", "org.mlvpn1.Tunnel", "Describe")),
    "arguments that it does not take": (errors.INVALID_ARGS, (TUNNEL, "", "Describe", "s", "x")),
    "an argument of another type": (errors.INVALID_ARGS, (TUNNEL, "", "GetLink", "u", 1)),
    "no arguments": (errors.INVALID_ARGS, (TUNNEL, names.PROPERTIES_INTERFACE, "Get")),
    "arguments for Ping": (errors.INVALID_ARGS, (TUNNEL, names.PEER_INTERFACE, "Ping", "s", "x")),
    "arguments too long": (errors.LIMITS_EXCEEDED, (TUNNEL, "", "GetLink", "s", "x" * 5000)),
    "a huge array": (errors.INVALID_ARGS, (TUNNEL, "", "GetLink", "ay", b"x" * 3_000_000)),
    "no such property": (errors.UNKNOWN_PROPERTY, (TUNNEL, names.PROPERTIES_INTERFACE, "Get", "ss", "", "Colour")),
    "a property of no interface": (
        errors.UNKNOWN_INTERFACE,
        (TUNNEL, names.PROPERTIES_INTERFACE, "Get", "ss", "no.such", "Name"),
    ),
    "a property of a standard interface": (
        errors.UNKNOWN_PROPERTY,
        (TUNNEL, names.PROPERTIES_INTERFACE, "Get", "ss", names.PEER_INTERFACE, "Name"),
    ),
    "a property between": (errors.UNKNOWN_PROPERTY, ("/org", names.PROPERTIES_INTERFACE, "Get", "ss", "", "Name")),
    "all properties of no interface": (
        errors.UNKNOWN_INTERFACE,
        (TUNNEL, names.PROPERTIES_INTERFACE, "GetAll", "s", "no.such"),
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_wrong_call_gets_the_error_that_names_it(bus: PrivateBus, case: str) -> None:
    expected, call = CALLS[case]

    async def scenario() -> None:
        async with served(bus, FakeOperator("adsl-2")) as one:
            with pytest.raises(BusError) as caught:
                await one.call(*call)
            assert caught.value.name == expected
            assert caught.value.text
            assert "Traceback" not in caught.value.text

    asyncio.run(scenario())


def test_all_properties_of_what_has_none(bus: PrivateBus) -> None:
    async def scenario() -> None:
        async with served(bus, FakeOperator()) as one:
            for path, interface in (("/org", ""), (TUNNEL, names.PEER_INTERFACE), ("/org/mlvpn1", "")):
                assert await one.call(path, names.PROPERTIES_INTERFACE, "GetAll", "s", interface) == {}

    asyncio.run(scenario())


def test_a_fault_of_our_own_says_no_more_than_that(bus: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one:
            operator.snapshot_error = ZeroDivisionError("secret")
            for _ in range(5):
                with pytest.raises(BusError, match="^internal error$") as caught:
                    await one.call(TUNNEL, "", "Describe")
                assert caught.value.name == errors.INTERNAL
            operator.snapshot_error = None
            assert await one.get(TUNNEL, "", "Name") == "mlvpn0"

    logging.getLogger("mlvpnd").propagate = True
    asyncio.run(scenario())
    assert [record.exc_info is not None for record in caplog.records if "failed" in record.message] == [True]


# Changes.


def test_reload(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")
    failures: dict[str, MlvpndError] = {
        errors.CONFIG_INVALID: ConfigError((Problem("f.conf", 3, "timeout", "is not a number"),)),
        errors.CONFIG_UNREADABLE: ConfigUnreadable("f.conf: no such file"),
        errors.HELPER_FAILED: MlvpndError("the helper is gone"),
    }

    async def scenario() -> None:
        async with served(bus, operator) as one:
            await one.listen()
            before = await one.get(TUNNEL, "", "LastReloadTimestamp")
            assert await one.call(TUNNEL, names.TUNNEL_INTERFACE, "Reload") is None
            await until(lambda: len(one.signals) >= 2)
            assert one.told() == [
                (TUNNEL, "PropertiesChanged", ["org.mlvpn1.Tunnel", {"LastReloadTimestamp": before + 1000000}, []]),
                (TUNNEL, "Reloaded", [True, ""]),
            ]
            for name, error in failures.items():
                operator.reload_error = error
                with pytest.raises(BusError) as caught:
                    await one.call(TUNNEL, names.TUNNEL_INTERFACE, "Reload")
                assert (caught.value.name, caught.value.text) == (name, str(error))
                await until(lambda: one.signals)
                assert one.told() == [(TUNNEL, "Reloaded", [False, str(error)])]

    asyncio.run(scenario())
    assert str(failures[errors.CONFIG_INVALID]) == "f.conf:3: timeout: is not a number"


def test_too_many_reloads_at_a_time(bus: PrivateBus) -> None:
    operator = FakeOperator("wifi")

    async def scenario() -> None:
        operator.reload_gate = asyncio.Event()
        async with served(bus, operator) as one:
            calls = [asyncio.create_task(one.call(TUNNEL, "", "Reload")) for _ in range(9)]
            done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            assert await refused(done.pop()) == errors.BUSY
            operator.reload_gate.set()
            await asyncio.gather(*waiting)
            assert len(operator.asked) == 8

    asyncio.run(scenario())


def test_a_link_is_managed(bus: PrivateBus) -> None:
    operator = FakeOperator("adsl-2", "wifi")

    async def scenario() -> None:
        async with served(bus, operator) as one:
            await one.listen()
            await one.set(ADSL, names.LINK_INTERFACE, "Enabled", "b", False)
            await one.set(ADSL, "", "BandwidthUpload", "t", 4096)
            await one.call(ADSL, names.LINK_INTERFACE, "Reconnect")
            await until(lambda: len(one.signals) >= 2)
            assert one.told() == [
                (ADSL, "PropertiesChanged", ["org.mlvpn1.Link", {"Enabled": False}, []]),
                (ADSL, "PropertiesChanged", ["org.mlvpn1.Link", {"BandwidthUpload": 4096}, []]),
            ]
            for name, type_, value, error in (
                ("Enabled", "s", "no", errors.INVALID_ARGS),
                ("Enabled", "a{sv}", {}, errors.INVALID_ARGS),
                ("BandwidthUpload", "u", 5, errors.INVALID_ARGS),
                ("BandwidthUpload", "t", 1 << 32, errors.INVALID_ARGS),
                ("State", "s", "up", errors.PROPERTY_READ_ONLY),
                ("Colour", "s", "red", errors.UNKNOWN_PROPERTY),
            ):
                assert await refused(one.set(ADSL, names.LINK_INTERFACE, name, type_, value)) == error, name

    asyncio.run(scenario())
    assert operator.asked == [
        ("set_enabled", "adsl-2", False),
        ("set_bandwidth_upload", "adsl-2", 4096),
        ("reconnect", "adsl-2"),
    ]


def test_log_control(bus: PrivateBus) -> None:
    operator = FakeOperator()
    path, interface = "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1"

    async def scenario() -> None:
        async with served(bus, operator) as one:
            for word in ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"):
                await one.set(path, interface, "LogLevel", "s", word)
                assert await one.get(path, interface, "LogLevel") == word
            assert control_plane.log_level() == logging.DEBUG
            assert await one.get(path, interface, "SyslogIdentifier") == "mlvpnd"
            assert await one.get(path, interface, "LogTarget") == "journal"
            await one.set(path, interface, "LogTarget", "s", "console")
            assert await one.get(path, interface, "LogTarget") == "console"
            for name, value, error in (
                ("LogLevel", "loud", errors.INVALID_ARGS),
                ("LogTarget", "kmsg", errors.INVALID_ARGS),
                ("SyslogIdentifier", "x", errors.PROPERTY_READ_ONLY),
            ):
                assert await refused(one.set(path, interface, name, "s", value)) == error

    level = control_plane.log_level()
    try:
        asyncio.run(scenario())
    finally:
        control_plane.set_log_level(level)


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


# The bus goes and comes.


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
                assert await one.get(f"{TUNNEL}/link/wifi", "", "State") == "lossy"
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
            assert await one.get(f"{TUNNEL}/link/wifi", "", "State") == "up"
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
