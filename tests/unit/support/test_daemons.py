"""Files that the tests write for daemons, and what is read from /proc."""

from __future__ import annotations

import os

from mlvpnd.config.parser import parse
from tests.support.daemons import config_text, faults, process_name, process_status, process_title, resident_bytes


def test_config_text_is_a_file_as_the_parser_wants_it() -> None:
    text = config_text(
        {"mode": "client", "password": "x y", "timeout": 5, "mtu": None},
        {"a": {"remotehost": "192.0.2.1", "remoteport": 5080}},
        [("a", "udp port 53"), ("a", "icmp")],
        [("prefer a", "udp port 5060"), ("drop", "udp port 1900")],
    )
    config = parse(text.encode(), "test.conf", strict=True).config
    assert config.password == b"x y"
    assert config.timeout == 5
    assert config.mtu is None
    assert [link.name for link in config.links] == ["a"]
    assert [(rule.link, rule.expression) for rule in config.filters] == [("a", "udp port 53"), ("a", "icmp")]
    assert [(rule.action.value, rule.links, rule.expression) for rule in config.rules] == [
        ("prefer", ("a",), "udp port 5060"),
        ("drop", (), "udp port 1900"),
    ]


def test_config_text_without_filters_and_rules_has_no_section_for_them() -> None:
    text = config_text({"mode": "server"}, {})
    assert "filters" not in text
    assert "rules" not in text


def test_this_process() -> None:
    pid = os.getpid()
    assert process_status(pid)["Pid"] == str(pid)
    assert "python" in process_title(pid) or "pytest" in process_title(pid)
    assert process_name(pid) == process_status(pid)["Name"]
    assert resident_bytes(pid) > 5_000_000


def test_faults_are_found_in_a_log() -> None:
    good = "2026-01-01T10:00:00 [ERR/config] f:3: mode: what\n2026-01-01T10:00:00 [WARN/config] reload failed\n"
    assert faults(good) == []
    bad = [
        "2026-01-01T10:00:00 [CRIT] import of xyz refused: it must be loaded before the sandbox is entered",
        "Traceback (most recent call last):",
        "2026-01-01T10:00:00 [ERR] Task exception was never retrieved",
        "Exception in callback Tunnel._on_link(1)",
    ]
    assert faults(good + "\n".join(bad) + "\n" + good) == bad
