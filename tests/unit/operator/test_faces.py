"""A field of the status has one row, and is on every face."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mlvpnd.bus.objects import Tree
from mlvpnd.ctl.model import from_control
from mlvpnd.operator.faces import MILLISECONDS, MOMENT, PERCENT, RATIO, Unit, from_json, put, rows, split_address
from mlvpnd.operator.metrics import to_metrics
from mlvpnd.operator.status import LinkOffload, LinkState, LinkStatus, ReorderStatus, TunnelStatus, TunOffload, to_json
from tests.support.fake_operator import FakeOperator

PARTS = (LinkStatus, TunnelStatus, ReorderStatus, LinkOffload, TunOffload)
# What no face shows by itself: whether another field is known, parts with rows of their own, the time of the whole.
UNSHOWN = {"has_rtt", "offload", "links", "reorder", "tun_offload", "now"}
NUMBERS = {"int", "float", "bool", "float | None"}
# Upstream's own, and what a bus tells in another way: the number of a process, Unix time beside monotonic time.
NOT_ON_THE_BUS = {"pid", "last_packet_at", "size"} | {
    one.name for part in (LinkOffload, TunOffload) for one in dataclasses.fields(part)
}
NOT_A_METRIC = {"pid", "last_packet_monotonic"}


@pytest.mark.parametrize("part", PARTS)
def test_every_field_has_a_row(part: type) -> None:
    assert {name for name, _ in rows(part)} == {one.name for one in dataclasses.fields(part)} - UNSHOWN


@pytest.mark.parametrize("part", PARTS)
def test_every_number_is_on_every_face(part: type) -> None:
    for name, face in rows(part):
        kind = next(str(one.type) for one in dataclasses.fields(part) if one.name == name)
        if not any(f"Annotated[{number}, " in kind.replace("\n", "") for number in NUMBERS):
            continue
        assert face.json or face.upstream, f"{name} is not in the JSON"
        assert face.metric or name in NOT_A_METRIC, f"{name} is no metric"
        assert face.bus or name in NOT_ON_THE_BUS, f"{name} is not on the bus"


def test_no_name_is_given_twice() -> None:
    for part in PARTS:
        for names in (
            [face.json for _, face in rows(part) if face.json],
            [face.metric.name for _, face in rows(part) if face.metric],
            [face.bus for _, face in rows(part) if face.bus],
        ):
            assert len(names) == len(set(names))


def test_a_priority_is_on_every_face() -> None:
    operator = FakeOperator("adsl1")
    assert json.loads(to_json(operator.status))["tunnels"][0]["priority"] == 2
    assert 'mlvpn_link_priority{link="adsl1"} 2' in to_metrics(operator.status)
    assert json.loads(Tree(operator, "mlvpn0").describe())["Links"][0]["Priority"] == 2
    assert from_control(json.loads(to_json(operator.status))).links[0].number("Priority") == 2


@pytest.mark.parametrize(
    ("unit", "value", "written", "metric", "on_bus"),
    [
        (MILLISECONDS, 23.46, 23.5, 0.02346, 23460),
        (RATIO, 0.12345, 0.1235, 0.12345, 12.35),
        (PERCENT, 3, 3, 0.03, 3),
        (MOMENT, 1700000000.5, 1700000000, 1700000000.5, 1700000000500000),
    ],
)
def test_units(unit: Unit, value: float, written: object, metric: float, on_bus: object) -> None:
    assert (unit.json(value), unit.metric(value), unit.bus(value)) == (written, metric, on_bus)


def test_what_json_does_not_have_or_has_oddly_is_left_out() -> None:
    assert from_json(LinkStatus, {}) == {"SmoothedRttUSec": 0, "RttVarianceUSec": 0, "MinRttUSec": 0}
    odd = from_json(LinkStatus, {"share": "much", "peer": "x:y", "status": 7})
    assert (odd.get("Weight"), odd["RemoteAddress"], odd["State"]) == (None, ["", 0], "down")
    assert from_json(LinkStatus, {"status": LinkState.LOSSY.word})["State"] == "lossy"


def test_members_of_a_block() -> None:
    into: dict[str, object] = {}
    put(into, "packets.read", 1)
    put(into, "packets.written", 2)
    put(into, "rules", 3)
    assert into == {"packets": {"read": 1, "written": 2}, "rules": 3}


def test_addresses_are_split() -> None:
    assert split_address("[2001:db8::1]:5080") == ("2001:db8::1", 5080)
    assert split_address("") == ("", 0)
