from __future__ import annotations

import shutil
from ipaddress import ip_interface
from typing import Any

import pytest

from mlvpnd.ctl.doctor import firewall
from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.firewall import accept_forwarded, check_firewall, lets_in_icmp, passes, translates

from .facts import CLIENT, SERVER, bad, config_of, ends, only

PLACE = {"family": "inet", "table": "filter"}
ACCEPT: dict[str, Any] = {"accept": None}
SOURCE: dict[str, Any] = {"payload": {"protocol": "ip", "field": "saddr"}}


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
        *({"rule": {**PLACE, "chain": "input", "handle": n, "expr": rule}} for n, rule in enumerate(rules, 1)),
        {"rule": {"family": "ip", "table": "other", "chain": "input", "expr": [ACCEPT]}},
    ]
    config = config_of(text)
    return [*check_firewall(config, ends(config), ruleset)]


def test_nothing_drops() -> None:
    (found,) = check(policy="accept")
    assert found.severity.value == "ok"


def test_nothing_lets_in() -> None:
    """One cause, one finding: also for two links, and beside a rule that drops one of them."""
    (both,) = check([dport(22, "tcp"), ACCEPT], [dport(5080), {"drop": None}])
    assert both.text.startswith("adsl1 and adsl2: the firewall's chain inet filter input drops by default")
    assert both.commands == (
        "nft insert rule inet filter input udp dport 5080 accept",
        "nft insert rule inet filter input udp dport 5081 accept",
    )
    (first,) = check(text=CLIENT)
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
    (found,) = check(rule, sets=[{"name": "ports", "elem": [1, 2]}])
    assert "adsl1 and adsl2" in found.text


def test_a_client_needs_answers_only() -> None:
    rule = [match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT]
    assert bad(check(rule, text=CLIENT)) == []
    assert only(check([match({"ct": {"key": "state"}}, "new"), ACCEPT], text=CLIENT), "firewall").link == ""


def test_a_last_rule_that_drops_is_a_policy_too() -> None:
    (found,) = check([dport(22, "tcp"), ACCEPT], [{"counter": {}}, {"reject": None}], policy="accept")
    assert "UDP port 5080, 5081" in found.text
    assert bad(check([{"reject": None}], [dport([5080, 5081]), ACCEPT], policy="accept")) == []


def test_a_rule_that_drops_a_port() -> None:
    (found,) = check([dport(5081), {"counter": {}}, {"drop": None}], policy="accept")
    assert (found.link, found.commands) == ("adsl2", ("nft delete rule inet filter input handle 1",))
    before = [match({"payload": {"protocol": "ip", "field": "saddr"}}, "192.0.2.9"), ACCEPT]
    assert bad(check(before, [dport(5081), {"drop": None}], policy="accept")) == []
    other = [match({"meta": {"key": "iifname"}}, "lan"), dport(5081), {"drop": None}]
    assert bad(check(other, policy="accept")) == []


def test_iptables_has_its_own_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/sbin/{name}")
    chain = {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}
    for text, command in (
        (SERVER, "iptables -I INPUT -p udp --dport 5080 -j ACCEPT"),
        (CLIENT, "iptables -I INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"),
    ):
        config = config_of(text)
        (found,) = check_firewall(config, ends(config), [{"chain": chain}])
        assert found.commands[0] == command
    assert accept_forwarded({**chain, "name": "FORWARD"}, "tun9")[0] == "iptables -I FORWARD -i tun9 -j ACCEPT"
    assert (
        accept_forwarded({**chain, "family": "inet"}, "tun9")[1]
        == "nft insert rule inet filter INPUT oifname tun9 accept"
    )


IN, OUT = ({"meta": {"key": f"{way}ifname"}} for way in "io")


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ([ACCEPT], True),
        ([match(IN, "tun9"), ACCEPT], True),
        ([match(IN, "tun*"), ACCEPT], True),
        ([match(IN, "eth0", "!="), ACCEPT], True),
        ([match(IN, "tun9"), match(OUT, "wan0"), ACCEPT], True),
        ([match(IN, "docker0"), ACCEPT], False),
        ([match(IN, "tun9", "!="), ACCEPT], False),
        ([match(OUT, "docker0"), ACCEPT], False),
        ([match({"ct": {"key": "state"}}, ["established"], "in"), ACCEPT], False),
        ([dport(80, "tcp"), ACCEPT], False),
        ([match(IN, "tun9"), {"drop": None}], False),
    ],
)
def test_what_is_forwarded(rule: list[dict[str, Any]], *, good: bool) -> None:
    assert passes({"expr": rule}, "tun9", {"wan0"}) is good


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ([ACCEPT], True),
        ([match({"payload": {"protocol": "icmp", "field": "type"}}, "destination-unreachable"), ACCEPT], True),
        ([match({"meta": {"key": "l4proto"}}, "icmp"), ACCEPT], True),
        ([match({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT], True),
        ([match({"ct": {"key": "state"}}, ["established"], "in"), ACCEPT], False),
        ([dport(22, "tcp"), ACCEPT], False),
        ([match({"meta": {"key": "l4proto"}}, "tcp"), ACCEPT], False),
        ([match(IN, "lo"), ACCEPT], False),
        ([{"drop": None}], False),
    ],
)
def test_what_lets_icmp_in(rule: list[dict[str, Any]], *, good: bool) -> None:
    assert lets_in_icmp({"expr": rule}) is good


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ([{"masquerade": None}], True),
        ([match(OUT, "wan0"), {"snat": {"addr": "192.0.2.1"}}], True),
        ([{"xt": {"type": "target", "name": "MASQUERADE"}}], True),
        ([match(SOURCE, {"prefix": {"addr": "10.0.0.0", "len": 8}}), {"masquerade": None}], True),
        ([match(SOURCE, "10.42.0.2"), {"masquerade": None}], True),
        ([match(SOURCE, "@ours"), {"masquerade": None}], True),
        ([match(SOURCE, {"prefix": {"addr": "172.17.0.0", "len": 16}}), {"masquerade": None}], False),
        ([{"dnat": {"addr": "192.0.2.1"}}], False),
    ],
)
def test_nat_for_a_tunnel(rule: list[dict[str, Any]], *, good: bool) -> None:
    assert translates([{"rule": {"expr": rule}}, {"chain": {}}], ip_interface("10.42.0.1/24")) is good


def test_reading_where_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert firewall.read_ruleset() is None
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/false")
    assert firewall.read_ruleset() is None
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/echo")
    assert firewall.read_ruleset() is None
