from __future__ import annotations

import dataclasses
import logging

import pytest

from mlvpnd.config import Config, DeviceKind, FilterConfig, LinkConfig, Mode, RuleAction, RuleConfig
from mlvpnd.protocol.sending.rules import Action, RuleTable
from mlvpnd.tunnel import matching
from tests.support.inner_packets import frame, ipv4, tcp, udp

DNS, SSH = ipv4(17, udp(b"?", ports=(40000, 53))), ipv4(6, tcp(ports=(40000, 22)))
CONFIG = Config(
    Mode.CLIENT,
    b"x",
    links=(LinkConfig("a"), LinkConfig("b")),
    filters=(FilterConfig("b", "udp port 53"), FilterConfig("a", "udp pot 53"), FilterConfig("a", "tcp")),
    rules=(
        RuleConfig(RuleAction.PREFER, ("b", "a"), "udp port 53"),
        RuleConfig(RuleAction.DROP, (), "udp pot 53"),
        RuleConfig(RuleAction.PIN, (), "tcp port 22"),
        RuleConfig(RuleAction.DUPLICATE, ("a", "b"), "udp"),
        RuleConfig(RuleAction.DROP, (), "ip"),
    ),
)
NUMBERS = {"a": 7, "b": 3}


def test_text_without_a_sign_of_equality_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The text may be a piece of a password that begins with the name of a link."""
    caplog.set_level(logging.WARNING)
    filters = (FilterConfig("a", "udp secret", quotable=False),)
    assert matching.filters(dataclasses.replace(CONFIG, filters=filters), {"a": 0}) == []
    assert [record.getMessage() for record in caplog.records] == ["invalid filter a = …: the line has no '='"]


def test_filters_have_numbers_and_what_libpcap_refuses_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    found = matching.filters(CONFIG, NUMBERS)
    assert [(program.expression, number) for program, number in found] == [("udp port 53", 3), ("tcp", 7)]
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == ["invalid filter a = udp pot 53"]


def test_rules_have_numbers_and_what_libpcap_refuses_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    found = matching.rules(CONFIG, NUMBERS)
    assert [(rule.action, rule.links) for rule in found] == [
        (Action.PREFER, (3, 7)),
        (Action.PIN, ()),
        (Action.DUPLICATE, (7, 3)),
        (Action.DROP, ()),
    ]
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == ["invalid rule drop = udp pot 53"]
    table = RuleTable(found)
    assert [table.match(packet) for packet in (DNS, SSH, ipv4(1, bytes(8)), b"")] == [
        found[0],
        found[1],
        found[3],
        None,
    ]


def test_expressions_are_for_the_kind_of_interface() -> None:
    tap = dataclasses.replace(CONFIG, tuntap=DeviceKind.TAP)
    for config, start in ((CONFIG, DNS), (tap, frame(0x0800, DNS))):
        assert matching.filters(config, NUMBERS)[0][0].matches(start)
        assert matching.rules(config, NUMBERS)[0].matcher.matches(start)


def test_both_have_the_same_actions() -> None:
    assert {(one.name, one.value) for one in RuleAction} == {(one.name, one.value) for one in Action}
