from __future__ import annotations

import time

import pytest

from mlvpnd.config import RuleAction, RuleConfig
from tests.support.configs import CLIENT, errors_of, good, warnings_of

LINKS = CLIENT.replace("[adsl1]", "peer = mlvpnd\n[adsl1]") + '[my line]\nremotehost = "h"\nremoteport = 2\n[rules]\n'
"""Rules begin in line 13."""
ALLOWED = "prefer LINK…, pin [LINK…], duplicate [LINK LINK…], drop"


def rules(lines: str) -> list[tuple[RuleAction, tuple[str, ...], str]]:
    config = good(LINKS + lines, strict=True).config
    return [(one.action, one.links, one.expression) for one in config.rules]


@pytest.mark.parametrize(
    ("line", "action", "links", "expression"),
    [
        ('prefer adsl1 = "udp port 5060"', RuleAction.PREFER, ("adsl1",), "udp port 5060"),
        ('prefer "my line" adsl1 = "udp"', RuleAction.PREFER, ("my line", "adsl1"), "udp"),
        ("prefer\tadsl1=udp port 5060 # sip", RuleAction.PREFER, ("adsl1",), "udp port 5060"),
        ('"prefer" "adsl1" = udp', RuleAction.PREFER, ("adsl1",), "udp"),
        ("pin = tcp[13] & 2 != 0", RuleAction.PIN, (), "tcp[13] & 2 != 0"),
        ("pin adsl1 = ip[8] == 1", RuleAction.PIN, ("adsl1",), "ip[8] == 1"),
        ("duplicate = udp", RuleAction.DUPLICATE, (), "udp"),
        ('duplicate adsl1 "my line" = udp', RuleAction.DUPLICATE, ("adsl1", "my line"), "udp"),
        ('drop = "udp port 1900"', RuleAction.DROP, (), "udp port 1900"),
    ],
)
def test_a_rule(line: str, action: RuleAction, links: tuple[str, ...], expression: str) -> None:
    assert rules(line) == [(action, links, expression)]
    assert warnings_of(LINKS + line) == []


def test_all_sections_in_the_files_order() -> None:
    text = "drop = a\n[filters]\nadsl1 = x\n[rules]\npin = b\ndrop = a\n"
    config = good(LINKS + text, strict=True).config
    assert config.rules == tuple(
        RuleConfig(action, (), expression)
        for action, expression in ((RuleAction.DROP, "a"), (RuleAction.PIN, "b"), (RuleAction.DROP, "a"))
    )
    assert [one.line for one in config.rules] == [13, 17, 18]
    assert len(config.filters) == 1


def test_rules_may_stand_before_their_links() -> None:
    assert len(good("[rules]\nprefer adsl1 = udp\n" + CLIENT, strict=True).config.rules) == 1


def test_an_empty_section_is_no_link() -> None:
    assert rules("") == []
    assert len(good(LINKS).config.links) == 2


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "drop = inbound",
            "drop: 'inbound' has a meaning only in a capture: here neither it nor what follows it matches",
        ),
        ("pin = udp or not outbound", "pin: 'outbound' has a meaning only in a capture"),
        ("prefer adsl1 = ifindex 3 or udp", "prefer: 'ifindex' has a meaning only in a capture"),
        ("drop = pppoes or udp", "drop: 'pppoes' has a meaning only in Ethernet frames"),
        ("adsl1 = udp", f"adsl1: is a link, not an action: did you mean prefer adsl1? Allowed: {ALLOWED}"),
        ("prefre adsl1 = udp", f"prefre: unknown action: did you mean prefer?; allowed: {ALLOWED}"),
        ("x = udp", f"x: unknown action; allowed: {ALLOWED}"),
        ("Drop = udp", f"Drop: unknown action: did you mean drop?; allowed: {ALLOWED}"),
        ("drop udp", "drop: there is no '=' between action and expression; allowed: as in"),
        ('pin "adsl1', "pin: there is no '=' between action and expression; allowed: as in"),
        ("drop =", "drop: the expression is empty; allowed: one of pcap-filter(7)"),
        ('prefer adsl1 = ""', "prefer: the expression is empty; allowed: one of pcap-filter(7)"),
        ("prefer = udp", "prefer: no link is named; allowed: one or more links, the best first"),
        ("prefer adsl2 = udp", "prefer: there is no link adsl2: did you mean adsl1?"),
        ("prefer adsl1, adsl1 = udp", "prefer: there is no link adsl1,: did you mean adsl1?"),
        ("pin my line = udp", "pin: there is no link my; allowed: adsl1, my line"),
        ('pin "" = udp', "pin: there is no link without a name; allowed: adsl1, my line"),
        ("pin a\x1bb = udp", "pin: there is no link a\\x1bb; allowed: adsl1, my line"),
        ("pin adsl1 adsl1 = udp", "pin: the link adsl1 is named twice; allowed: each once"),
        ("drop adsl1 = udp", "drop: takes no links, but adsl1 is named; allowed: drop = EXPRESSION"),
        ("duplicate adsl1 = udp", "duplicate: only adsl1 is named; allowed: two or more links, or none for all"),
    ],
)
def test_errors(line: str, error: str) -> None:
    errors = errors_of(LINKS + line)
    assert len(errors) == 1
    assert errors[0].startswith(f"f:13: {error}")


def test_every_error_is_reported() -> None:
    assert [error.split(": ")[0] for error in errors_of(LINKS + "x = udp\ndrop =\ndrop = udp\npin x = udp\n")] == [
        "f:13",
        "f:14",
        "f:16",
    ]


def test_a_rule_of_a_file_without_links() -> None:
    text = CLIENT[: CLIENT.index("[adsl1]")] + "[rules]\npin x = udp\n"
    assert errors_of(text) == ["f:6: pin: there is no link x; allowed: none, because the file has no link"]


@pytest.mark.parametrize("key", ["", "peer = any\n"])
def test_duplicates_need_a_peer_that_knows_them(key: str) -> None:
    text = CLIENT.replace("[adsl1]", f"{key}[adsl1]") + "[rules]\nduplicate = udp\n"
    assert len(errors_of(text)) == 1
    assert "duplicate: needs peer = mlvpnd in [general]: C MLVPN would deliver" in errors_of(text)[0]


def test_too_many() -> None:
    assert len(rules("drop = udp\n" * 255)) == 255
    assert errors_of(LINKS + "drop = udp\n" * 257) == [
        f"f:{line}: drop: too many rules, at most 255" for line in (268, 269)
    ]


def test_errors_are_limited_and_counted() -> None:
    errors = errors_of(LINKS + "x = udp\n" * 250 + "drop = udp\n")
    assert (len(errors), errors[-1]) == (101, "f: and 150 more")


def test_a_large_file_of_nonsense_takes_no_long_time() -> None:
    names = [f"n{number}" for number in range(30_000)]
    sections = "".join(f"[{name}]\nx=1\n" for name in names)
    start = time.process_time()
    for text in (
        f"{sections}[rules]\npin {' '.join(names)} = udp\n" + "pin y = udp\n" * 20_000,
        "[rules]\n" + 'a"b"' * 200_000 + " = udp",
        "[rules]\n" + 'a"b"' * 200_000 + '" = udp',
    ):
        assert errors_of(text)
    assert time.process_time() - start < 10


def test_a_link_may_have_the_name_as_upstream_lets_it() -> None:
    text = CLIENT.replace("[adsl1]", "[rules]") + "[filters]\nrules = udp\n"
    config = good(text, strict=True).config
    assert [link.name for link in config.links] == ["rules"]
    assert (config.rules, config.filters[0].link) == ((), "rules")
    mixed = text.replace("[rules]", "[adsl1]\nremotehost = h\nremoteport = 1\n[rules]\ndrop = udp")
    assert [error.split(": ")[1] for error in errors_of(mixed)] == ["remotehost", "remoteport"]


def test_no_error_shows_a_password_that_stands_in_the_wrong_place() -> None:
    for line in ("password=secret", "password secret = x", "passwordsecret = x"):
        assert "secret" not in "".join(errors_of(LINKS + line))


def test_a_misspelt_section_is_named() -> None:
    for name in ("Rules", "rule", " rules "):
        text = CLIENT + f"[{name}]\ndrop = udp\nremotehost = h\nremoteport = 1\n"
        assert f"f:8: [{name}] is a link; rules stand in [rules]" in warnings_of(text)
    assert len(warnings_of(CLIENT + "[Rules]\nremotehost = h\nremoteport = 1\n")) == 0


def test_names_that_hold_words_of_captures_are_good() -> None:
    assert rules("drop = host inbound.example.org or host mail-inbound") == [
        (RuleAction.DROP, (), "host inbound.example.org or host mail-inbound")
    ]


def test_what_is_of_frames_is_good_for_a_tap() -> None:
    text = LINKS.replace("peer = mlvpnd\n", "peer = mlvpnd\ntuntap = tap\n") + "drop = pppoes"
    assert [one.expression for one in good(text, strict=True).config.rules] == ["pppoes"]
    assert "'inbound' has a meaning only in a capture" in errors_of(text.replace("pppoes", "inbound"))[0]
