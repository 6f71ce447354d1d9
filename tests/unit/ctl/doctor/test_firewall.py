from __future__ import annotations

import shutil
from typing import Any

import pytest

from mlvpnd.ctl.doctor import firewall
from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.firewall import check_firewall

from .facts import CLIENT, SERVER, bad, config_of, ends, only

PLACE = {"family": "inet", "table": "filter"}
ACCEPT: dict[str, Any] = {"accept": None}


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def dport(right: Any, protocol: str = "udp") -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": "dport"}}, right)


def check(*rules: list[dict[str, Any]], policy: str = "drop", text: str = SERVER, sets: Any = ()) -> list[Finding]:
    ruleset: list[dict[str, Any]] = [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "filter"}},
        {"chain": {**PLACE, "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": policy}},
        *({"set": {**PLACE, **one}} for one in sets),
        *({"rule": {**PLACE, "chain": "input", "expr": rule}} for rule in rules),
        {"rule": {"family": "ip", "table": "other", "chain": "input", "expr": [ACCEPT]}},
    ]
    config = config_of(text)
    return [*check_firewall(config, ends(config), ruleset)]


def test_nothing_drops() -> None:
    (found,) = check(policy="accept")
    assert found.severity.value == "ok"


def test_nothing_lets_in() -> None:
    findings = check([dport(22, "tcp"), ACCEPT], [dport(5080), {"drop": None}])
    assert bad(findings) == [("warning", "firewall", "adsl1"), ("warning", "firewall", "adsl2")]
    assert findings[0].commands == ("nft insert rule inet filter input udp dport 5080 accept",)
    (first, _) = check(text=CLIENT)
    assert first.commands == ("nft insert rule inet filter input ct state established,related accept",)


@pytest.mark.parametrize(
    "rule",
    [
        [dport({"range": [5080, 5081]}), ACCEPT],
        [dport({"set": [22, {"range": [5000, 6000]}]}), {"counter": {}}, ACCEPT],
        [dport({"set": [{"elem": {"val": 5080}}, 5081]}), ACCEPT],
        [dport("@ports"), ACCEPT],
        [dport("@elsewhere"), ACCEPT],
        [match({"meta": {"key": "iifname"}}, "wan0"), ACCEPT],
        [match({"meta": {"key": "l4proto"}}, {"set": ["tcp", "udp"]}), ACCEPT],
        [
            match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.9"),
            ACCEPT,
        ],
        [match({"ct": {"key": "state"}}, ["established", "new"], "in"), ACCEPT],
        [match({"payload": {"protocol": "ip", "field": "protocol"}}, "udp"), ACCEPT],
        [{"xt": None}, ACCEPT],
        [ACCEPT],
    ],
)
def test_what_lets_in(rule: list[dict[str, Any]]) -> None:
    sets = [{"name": "ports", "elem": [{"range": [5080, 5085]}]}]
    assert bad(check(rule, sets=sets)) == []


@pytest.mark.parametrize(
    "rule",
    [
        [dport(5079), ACCEPT],
        [dport("@ports"), ACCEPT],
        [match({"meta": {"key": "iif"}}, "lo"), ACCEPT],
        [match({"meta": {"key": "l4proto"}}, "tcp"), ACCEPT],
        [match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT],
        [match({"payload": {"protocol": "ip", "field": "protocol"}}, "icmp"), ACCEPT],
        [match({"payload": {"protocol": "icmp", "field": "type"}}, "echo-request"), ACCEPT],
        [{"jump": {"target": "other"}}],
    ],
)
def test_what_does_not(rule: list[dict[str, Any]]) -> None:
    assert len(bad(check(rule, sets=[{"name": "ports", "elem": [1, 2]}]))) == 2


def test_a_client_needs_answers_only() -> None:
    rule = [match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT]
    assert bad(check(rule, text=CLIENT)) == []
    assert only(check([match({"ct": {"key": "state"}}, "new"), ACCEPT], text=CLIENT)[:1], "firewall").link == "adsl1"


def test_reading_where_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert firewall.read_ruleset() is None
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/false")
    assert firewall.read_ruleset() is None
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/echo")
    assert firewall.read_ruleset() is None
