"""Tables from XML."""

from __future__ import annotations

import pytest

from mlvpnd.bus import names
from mlvpnd.bus.introspection import INTERFACES, Method, Property, document
from mlvpnd.bus.objects import Tree
from tests.support.fake_operator import FakeOperator


def test_members_and_types() -> None:
    tunnel, link = INTERFACES["org.mlvpn1.Tunnel"], INTERFACES["org.mlvpn1.Link"]
    assert tunnel.methods == {
        "Reload": Method("", ""),
        "ReloadWithWarnings": Method("", "as"),
        "Forget": Method("", ""),
        "Describe": Method("", "s"),
        "GetLink": Method("s", "o"),
    }
    assert tunnel.signals["LinkSlow"] == "sot"
    assert link.properties["Enabled"] == Property("b", writable=True, emits="true")
    assert link.properties["TxBytes"] == Property("t", writable=False, emits="false")
    assert link.properties["Name"] == Property("s", writable=False, emits="const")
    assert INTERFACES[names.PROPERTIES_INTERFACE].methods["Set"] == Method("ssv", "")


@pytest.mark.parametrize(
    "path", ["/org/freedesktop/LogControl1", "/org/mlvpn1", *Tree(FakeOperator("a"), "x").managed()]
)
def test_every_property_of_an_object_has_a_getter_and_none_more(path: str) -> None:
    one = Tree(FakeOperator("a"), "x").all()[path]
    assert one.read.keys() == INTERFACES[one.interface].properties.keys()


def test_a_document_has_interfaces_and_children() -> None:
    text = document([names.PEER_INTERFACE], ["a", "b"])
    assert text.startswith("<!DOCTYPE node PUBLIC")
    assert text.endswith('  <node name="a"/>\n  <node name="b"/>\n</node>\n')
    assert text.count("<interface") == 1
