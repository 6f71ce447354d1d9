"""Repeated, unknown and retired keys."""

from __future__ import annotations

import pytest

from tests.support.configs import CLIENT, errors_of, good, warnings_of


def test_first_definition_wins() -> None:
    text = CLIENT + "timeout = 10\ntimeout = 20\ntimeout = 10\n"
    assert good(text).config.links[0].timeout == 10
    assert warnings_of(text) == [
        f"f:{line}: timeout: already set as timeout in line 8: line 8 counts; give the key once" for line in (9, 10)
    ]


@pytest.mark.parametrize("unread", ["timeout 10", "timeout\t= 10"])
def test_definition_that_upstream_reads_wins(unread: str) -> None:
    assert good(CLIENT + f"{unread}\n").config.links[0].timeout == 10
    assert good(CLIENT + f"{unread}\ntimeout = 20\n").config.links[0].timeout == 20
    assert warnings_of(CLIENT + f"{unread}\ntimeout = 20\n") == [
        "f:8: timeout: already set as timeout in line 9: line 9 counts; give the key once"
    ]


def test_empty_definition_does_not_count() -> None:
    assert good(CLIENT + "timeout =\ntimeout = 20\n", strict=True).config.links[0].timeout == 20


@pytest.mark.parametrize("section", ["general", "link"])
@pytest.mark.parametrize("key", ["loss", "latency"])
def test_both_spellings_of_tolerance(section: str, key: str) -> None:
    def text(first: int, second: int) -> str:
        lines = f"{key}_tolerance = {first}\n{key}_tolerence = {second}\n"
        return CLIENT + lines if section == "link" else CLIENT.replace("[adsl1]", f"{lines}[adsl1]")

    line = 8 if section == "link" else 5
    assert getattr(good(text(7, 7), strict=True).config.links[0], f"{key}_tolerance") == 7
    assert getattr(good(text(7, 8)).config.links[0], f"{key}_tolerance") == 7
    assert warnings_of(text(7, 8)) == [
        f"f:{line + 1}: {key}_tolerence: already set as {key}_tolerance in line {line}: line {line} counts;"
        " give the key once"
    ]


@pytest.mark.parametrize("key", ["protocol", "loglevel", "bandwidth_download"])
def test_retired_keys(key: str) -> None:
    text = CLIENT + f"{key} = x\n"
    assert warnings_of(text) == [f"f:8: {key}: retired with MLVPN 1.x, has no effect: remove it"]
    assert errors_of(text, strict=True) == warnings_of(text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("remote_host = x", "remote_host: unknown key, has no effect: did you mean remotehost?"),
        ("Timeout = 3", "Timeout: unknown key, has no effect: did you mean timeout?"),
        ("zzz = 1", "zzz: unknown key, has no effect; allowed here: bindhost, bindport"),
        ("zzz", "…: unknown key, has no effect; allowed here: bindhost, bindport"),
        ("mtu = 3", "mtu: unknown in a link's section, has no effect: it belongs in [general]"),
        ("a\x1bb = 3", "a\\x1bb: unknown key, has no effect"),
        ("k" * 24 + " = 3", "k" * 24 + ": unknown key, has no effect"),
        ("k" * 25 + " = 3", "…: unknown key, has no effect"),
        ("timeout = 3 = 4", "timeout: two '=' are not permitted outside quotes: line ignored"),
        ("timeout == 4", "timeout: two '=' are not permitted outside quotes: line ignored"),
    ],
)
def test_lines_without_effect(line: str, message: str) -> None:
    text = CLIENT + line + "\n"
    assert good(text).config == good(CLIENT).config
    assert len(warnings_of(text)) == 1
    assert warnings_of(text)[0].startswith(f"f:8: {message}")
    assert errors_of(text, strict=True) == warnings_of(text)


def test_links_keys_in_general() -> None:
    assert warnings_of(CLIENT.replace("[adsl1]", "bindport = 1\n[adsl1]")) == [
        "f:5: bindport: unknown in [general], has no effect: it belongs in a link's section"
    ]


def test_too_long_a_text() -> None:
    assert good(CLIENT.replace("[adsl1]", f"ip4 = {'x' * 32768}\n[adsl1]"), strict=True)
    assert errors_of(CLIENT.replace("[adsl1]", f"ip4 = {'x' * 32769}\n[adsl1]")) == [
        "f:5: ip4: the value is too long: 32769 characters, at most 32768"
    ]


@pytest.mark.parametrize("line", ["timeout: 5", "timeout:5"])
def test_a_colon_for_a_sign_of_equality_is_told(line: str) -> None:
    (said,) = warnings_of(f"{CLIENT}{line}\n")
    assert said.endswith("write '=' in the place of ':'")


@pytest.mark.parametrize("line", ["; timeout = 4", " ;timeout = 4", "// timeout = 4", "\t// a word"])
def test_a_comment_of_another_kind_is_told(line: str) -> None:
    assert warnings_of(f"{CLIENT}{line}\n") == ["f:8: a comment begins with '#': line ignored"]


def test_a_section_behind_a_semicolon_is_one_as_ever() -> None:
    """C MLVPN opens it: a file must mean the same here."""
    text = f"{CLIENT};[lte]\nremotehost = 192.0.2.9\nremoteport = 5081\n"
    assert [link.name for link in good(text).config.links] == ["adsl1", "lte"]
