from __future__ import annotations

import json

import pytest

from mlvpnd.bus.objects import Tree
from mlvpnd.ctl.model import LinkView, format_endpoint, from_control, from_description, from_objects
from mlvpnd.operator.status import LinkState, LinkStatus, ReorderStatus, TunnelStatus, to_json
from tests.support.fake_operator import FakeOperator

TUNNEL = "/org/mlvpn1/tunnel/mlvpn0"


def test_the_tunnel_among_objects() -> None:
    objects: dict[str, dict[str, dict[str, object]]] = {
        f"{TUNNEL}/link/b": {"org.mlvpn1.Link": {"Name": "b", "State": "lossy"}},
        f"{TUNNEL}/link/a": {"org.mlvpn1.Link": {"Name": "a", "State": "up"}},
        TUNNEL: {"org.mlvpn1.Tunnel": {"Name": "mlvpn0", "Links": [f"{TUNNEL}/link/a", f"{TUNNEL}/link/b", "/gone"]}},
    }
    view = from_objects(objects)
    assert view is not None
    assert view.name == "mlvpn0"
    assert [(link.name, link.state, link.up) for link in view.links] == [("a", "up", True), ("b", "lossy", True)]
    assert view.link("b") == view.links[1]
    assert view.link("c") is None


@pytest.mark.parametrize("objects", [{}, {"/": {"org.other": {}}}])
def test_objects_without_a_tunnel(objects: dict[str, dict[str, dict[str, object]]]) -> None:
    assert from_objects(objects) is None


def test_the_answer_to_describe() -> None:
    description = {"Name": "t", "State": "up", "Links": [{"Name": "a", "Reason": "timeout"}, "no link"]}
    view = from_description(description)
    assert (view.name, [link.text("Reason") for link in view.links]) == ("t", ["timeout"])
    assert view.to_json() == {"Name": "t", "State": "up", "Links": [{"Name": "a", "Reason": "timeout"}]}


def test_the_answer_of_a_control_socket() -> None:
    """The output of `status.to_json` is told by the names of the bus, and in its units."""
    links = (
        LinkStatus(
            "adsl1",
            "client",
            status=LinkState.CONNECTED,
            sent_bytes=5,
            received_bytes=6,
            bandwidth_upload=7,
            has_rtt=True,
            srtt_ms=23.4,
            rttvar_ms=1.5,
            peer="[2001:db8::1]:5080",
            local="192.0.2.2:5081",
            share=0.25,
            timeout=30,
            state_since=9.0,
        ),
        LinkStatus("wifi", "client", status=LinkState.DISCONNECTED, reason="timeout", last_error="Network is down"),
    )
    status = TunnelStatus(
        *("mlvpn0", "tun3", "tap", 10.0, 20.0, 30.0, 1, links),
        mtu=1400,
        state="fallback",
        mode="client",
        reorder=ReorderStatus(64),
    )
    view = from_control(json.loads(to_json(status)))
    assert (view.name, view.text("State"), view.text("Mode")) == ("mlvpn0", "fallback", "client")
    assert (view.text("Interface"), view.text("InterfaceType"), view.number("MTU")) == ("tun3", "tap", 1400)
    assert (view.number("StartTimestamp"), view.number("LastReloadTimestamp")) == (10_000_000, 20_000_000)
    assert view.text("StatusText") == "!wifi @adsl1"
    assert view.number("ReorderBufferSize") == 64
    adsl, wifi = view.links
    assert (adsl.name, adsl.state, adsl.number("Weight")) == ("adsl1", "up", 25)
    assert (adsl.number("SmoothedRttUSec"), adsl.number("RttVarianceUSec")) == (23_400, 1_500)
    assert (adsl.address("RemoteAddress"), adsl.address("LocalAddress")) == ("[2001:db8::1]:5080", "192.0.2.2:5081")
    assert (adsl.number("TxBytes"), adsl.number("RxBytes"), adsl.number("BandwidthUpload")) == (5, 6, 7)
    assert (adsl.number("TimeoutUSec"), adsl.number("StateChangeTimestamp")) == (30_000_000, 9_000_000)
    assert (wifi.state, wifi.up, wifi.text("Reason"), wifi.text("LastError")) == (
        "down",
        False,
        "timeout",
        "Network is down",
    )
    assert wifi.properties["SmoothedRttUSec"] == 0  # the link has no round trip yet


def test_a_control_socket_tells_what_the_bus_tells() -> None:
    """Names and values are the same, but for the coarser units of the socket: seconds, and tenths of milliseconds."""
    operator = FakeOperator("adsl1", "adsl-2")
    operator.change_link("adsl-2", has_rtt=False, enabled=False, status=LinkState.WAITING, peer="", reason="config")
    operator.change_link("adsl1", min_rtt_ms=20.5, device="eth0", fallback_only=True)
    described = from_description(json.loads(Tree(operator, "mlvpn0").describe()))
    told = from_control(json.loads(to_json(operator.status)))
    assert told.properties["Links"] == [f"{TUNNEL}/link/adsl1", f"{TUNNEL}/link/adsl_2d2"]  # as properties have it
    for one, other in zip((described, *described.links), (told, *told.links), strict=True):
        assert set(one.properties) == set(other.properties)
        for key in set(one.properties) - {"Links"}:
            value = one.properties[key]
            coarse = 500_000 if key.endswith("Timestamp") else 50 if key.endswith("USec") else 0
            assert other.properties[key] == (pytest.approx(value, abs=coarse) if coarse else value), key


@pytest.mark.parametrize(
    "answer", [{}, {"tunnels": 5, "tuntap": [], "state": 3}, {"tunnels": [{"name": 1, "peer": "x:y", "share": "z"}]}]
)
def test_odd_answers_of_a_control_socket(answer: dict[str, object]) -> None:
    assert from_control(answer).text("State") == "down"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["192.0.2.1", 5], "192.0.2.1:5"),
        (["2001:db8::1", 5], "[2001:db8::1]:5"),
        (["", 0], ""),
        (None, ""),
        ("ab", ""),
        ([1, 2, 3], ""),
    ],
)
def test_endpoints(value: object, text: str) -> None:
    assert format_endpoint(value) == text


def test_getters_of_what_is_missing_or_odd() -> None:
    view = LinkView("a", {"State": 5, "TxBytes": "x", "Enabled": 1})
    assert (view.text("State"), view.number("TxBytes"), view.flag("Enabled"), view.text("None")) == ("", 0, False, "")
