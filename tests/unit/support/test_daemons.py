"""Files that the tests write for daemons, and what is read from /proc."""

from __future__ import annotations

import os

from mlvpnd.config.parser import parse
from tests.support.daemons import config_text, process_name, process_status, process_title, resident_bytes


def test_config_text_is_a_file_as_the_parser_wants_it() -> None:
    text = config_text(
        {"mode": "client", "password": "x y", "timeout": 5, "mtu": None},
        {"a": {"remotehost": "192.0.2.1", "remoteport": 5080}},
        [("a", "udp port 53"), ("a", "icmp")],
    )
    config = parse(text.encode(), "test.conf", strict=True).config
    assert config.password == b"x y"
    assert config.timeout == 5
    assert config.mtu is None
    assert [link.name for link in config.links] == ["a"]
    assert [(rule.link, rule.expression) for rule in config.filters] == [("a", "udp port 53"), ("a", "icmp")]


def test_config_text_without_filters_has_no_section_for_them() -> None:
    assert "filters" not in config_text({"mode": "server"}, {})


def test_this_process() -> None:
    pid = os.getpid()
    assert process_status(pid)["Pid"] == str(pid)
    assert "python" in process_title(pid) or "pytest" in process_title(pid)
    assert process_name(pid) == process_status(pid)["Name"]
    assert resident_bytes(pid) > 5_000_000
