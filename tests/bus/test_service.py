"""The service as programs on the bus see it."""

from __future__ import annotations

import asyncio
import json
import logging
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from mlvpnd import __version__
from mlvpnd.bus import errors, names
from mlvpnd.bus.errors import BusError
from mlvpnd.bus.introspection import INTERFACES
from mlvpnd.config import ConfigError, Problem
from mlvpnd.errors import MlvpndError
from mlvpnd.operator import face
from mlvpnd.operator.face import ConfigUnreadable
from tests.support.fake_operator import FakeOperator, link_status
from tests.support.private_bus import PrivateBus

from .served import ADSL, LIMIT, TUNNEL, WIFI, caller, owned, refused, running, served, until

DBUS = Path(__file__).resolve().parents[2] / "dbus"


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


# Objects and what they say of themselves.


def _introspected(text: str) -> dict[str, str]:
    """Each interface of a node in canonical form, by its name."""
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
        "StateChangeTimestamp": 1700000000250000,
        "StatusText": "@wifi @adsl-2",
        "Interface": "tun7",
        "InterfaceType": "tun",
        "MTU": 1400,
        "ReorderBufferSize": 64,
        "CleartextData": True,
        "DataPlane": "reference",
        "Paced": True,
        "Rules": 6,
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
        "Priority": 2,
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


def test_what_operators_do_to_a_link_is_found_by_the_link(bus: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    """`mlvpnctl log TUNNEL LINK` asks the journal for the field."""
    caplog.set_level(logging.INFO, "mlvpnd")

    async def scenario() -> None:
        async with served(bus, FakeOperator("adsl-2")) as one:
            await one.set(ADSL, "org.mlvpn1.Link", "Enabled", "b", False)
            await one.set(ADSL, "org.mlvpn1.Link", "BandwidthUpload", "t", 5)
            await one.call(ADSL, "org.mlvpn1.Link", "Reconnect")
            await one.call(TUNNEL, "org.mlvpn1.Tunnel", "Reload")

    asyncio.run(scenario())
    asked = [
        (one.getMessage(), one.__dict__["journal"]) for one in caplog.records if "asked for by" in one.getMessage()
    ]
    assert [fields for _, fields in asked] == [{"LINK": "adsl-2"}] * 3 + [{}]
    for (text, _), what in zip(asked, ("Enabled=False", "BandwidthUpload=5", "Reconnect", "Reload"), strict=True):
        assert what in text


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
            operator.warnings = ["f.conf:4: timout: unknown key"]
            assert await one.call(TUNNEL, names.TUNNEL_INTERFACE, "ReloadWithWarnings") == operator.warnings
            await until(lambda: len(one.signals) >= 2)
            one.told()
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
            assert face.log_level() == logging.DEBUG
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

    level = face.log_level()
    try:
        asyncio.run(scenario())
    finally:
        face.set_log_level(level)
