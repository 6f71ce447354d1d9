from __future__ import annotations

import dataclasses

from mlvpnd.config import Config, FilterConfig, LinkConfig, Mode, Pacing, RuleAction, RuleConfig
from mlvpnd.config.changes import Changes, LinkChange, compare

A = LinkConfig("a", bindport="1", line=1)
B = LinkConfig("b", bindport="2", line=2)
C = LinkConfig("c", bindport="3", line=3)
BASE = Config(Mode.SERVER, b"x", links=(A, B))
NOTHING = Changes((), (), (), (), (), (), (), mode=False, filters=False, rules=False)


def test_nothing_changed() -> None:
    moved = Config(Mode.SERVER, b"x", links=(dataclasses.replace(B, line=9), A))
    for new in (BASE, moved):
        assert compare(BASE, new) == NOTHING
        assert not compare(BASE, new)


def test_anything_is_a_change() -> None:
    link, change = (A,), (LinkChange(A, A, ()),)
    for name, value in (
        ("added", link),
        ("removed", link),
        ("restarted", change),
        ("updated", change),
        ("at_once", ("mtu",)),
        ("interface", ("mtu",)),
        ("not_applied", ("mtu",)),
        ("mode", True),
        ("filters", True),
        ("rules", True),
    ):
        values = {field.name: getattr(NOTHING, field.name) for field in dataclasses.fields(NOTHING)}
        assert Changes(**{**values, name: value})


def test_links_come_and_go() -> None:
    changes = compare(BASE, dataclasses.replace(BASE, links=(C, B)))
    assert changes == dataclasses.replace(NOTHING, added=(C,), removed=(A,))
    assert changes


def test_update_in_place() -> None:
    new = dataclasses.replace(A, bandwidth_upload=5, fallback_only=True, priority=7)
    assert compare(BASE, dataclasses.replace(BASE, links=(new, B))) == dataclasses.replace(
        NOTHING, updated=(LinkChange(A, new, ("bandwidth_upload", "fallback_only", "priority")),)
    )


def test_restart_takes_the_other_changes_along() -> None:
    new = dataclasses.replace(A, bindhost="h", timeout=5)
    assert compare(BASE, dataclasses.replace(BASE, links=(new, B))) == dataclasses.replace(
        NOTHING, restarted=(LinkChange(A, new, ("bindhost", "timeout")),)
    )


def test_mode_restarts_every_link_that_stays() -> None:
    new = dataclasses.replace(B, timeout=5)
    assert compare(BASE, dataclasses.replace(BASE, mode=Mode.CLIENT, links=(new, C))) == dataclasses.replace(
        NOTHING, mode=True, restarted=(LinkChange(B, new, ("timeout",)),), added=(C,), removed=(A,)
    )


def test_order_of_filters_counts() -> None:
    first, second = FilterConfig("a", "udp", 1), FilterConfig("b", "tcp", 2)
    old = dataclasses.replace(BASE, filters=(first, second))
    assert compare(old, dataclasses.replace(old, filters=(second, first))) == dataclasses.replace(NOTHING, filters=True)
    assert not compare(old, dataclasses.replace(old, filters=(FilterConfig("a", "udp", 8), second)))


def test_order_of_rules_counts() -> None:
    first = RuleConfig(RuleAction.PREFER, ("a", "b"), "udp", 1)
    second = RuleConfig(RuleAction.DROP, (), "tcp", 2)
    old = dataclasses.replace(BASE, rules=(first, second))
    changed = dataclasses.replace(NOTHING, rules=True)
    assert compare(old, dataclasses.replace(old, rules=(second, first))) == changed
    assert compare(old, dataclasses.replace(old, rules=(first,))) == changed
    for other in (("b", "a"), ("a",)):
        assert compare(old, dataclasses.replace(old, rules=(dataclasses.replace(first, links=other), second)))
    assert not compare(old, dataclasses.replace(old, rules=(dataclasses.replace(first, line=8), second)))


def test_general_keys_by_effect() -> None:
    new = dataclasses.replace(
        BASE, password=b"y", cleartext_data=True, mtu=1400, pacing=Pacing.OFF, interface_name="other", ip4=""
    )
    assert compare(BASE, new) == dataclasses.replace(
        NOTHING, at_once=("password", "cleartext_data", "pacing"), interface=("mtu",), not_applied=("interface_name",)
    )


def test_removed_address_is_seen() -> None:
    old = dataclasses.replace(BASE, ip4="10.0.0.1/24", ip6="fd00::1/64")
    assert compare(old, BASE).interface == ("ip4", "ip6")
