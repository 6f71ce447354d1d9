"""Entries as journald reads them, and a journald that does not read."""

from __future__ import annotations

import ast
import logging
import re
import socket
import struct
from pathlib import Path

import pytest

from mlvpnd.logs.journal import EVENTS, JournalHandler, entry, fields

PROJECT = Path(__file__).parents[3]


def parsed(data: bytes) -> dict[str, str]:
    """The native protocol, read independently."""
    found = {}
    while data:
        line, _, rest = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        found[key.decode()] = value.decode()
        data = rest
    return found


def test_an_event_has_its_id_priority_and_fields() -> None:
    extra = fields("link-down", "adsl1", reason="timeout", state="down", loss=None, peer="")
    assert parsed(entry("adsl1 timeout", 6, extra["journal"])) == {  # type: ignore[arg-type]
        "MESSAGE": "adsl1 timeout",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "mlvpnd",
        "MESSAGE_ID": "b7bb5d6344e349f399649939b108deae",
        "MLVPN_EVENT": "link-down",
        "MLVPN_LINK": "adsl1",
        "MLVPN_REASON": "timeout",
        "MLVPN_STATE": "down",
    }


def test_a_value_of_several_lines_cannot_forge_a_field() -> None:
    found = parsed(entry("one\nPRIORITY=0\ntwo", 6, {"LINK": "x\nMESSAGE_ID=1"}))
    assert found["MESSAGE"] == "one\nPRIORITY=0\ntwo"
    assert found["PRIORITY"] == "6"
    assert found["MLVPN_LINK"] == "x\nMESSAGE_ID=1"
    assert "MESSAGE_ID" not in found


def test_a_huge_value_is_cut() -> None:
    assert len(entry("x" * 1_000_000, 6, {})) < 100_000


def test_ids_are_unique_and_the_catalog_explains_each() -> None:
    ids = [event.message_id for event in EVENTS.values()]
    assert len(set(ids)) == len(ids)
    catalog = (PROJECT / "systemd" / "mlvpnd.catalog").read_text()
    assert set(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.MULTILINE)) == set(ids)


@pytest.fixture
def log() -> logging.Logger:
    logger = logging.getLogger("test-journal")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger


def test_a_stuck_journal_loses_lines_and_is_told_how_many(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as journald:
        journald.bind(str(path))
        handler = JournalHandler(str(path))
        log.handlers = [handler]
        for number in range(2000):  # more than a socket's queue holds, and nobody reads
            log.info("line %d", number)
        received = []
        while True:
            try:
                received.append(parsed(journald.recv(65536))["MESSAGE"])
            except BlockingIOError:
                break
        assert received[0] == "line 0"
        assert len(received) < 2000
        log.info("after")
        assert parsed(journald.recv(65536))["MESSAGE"] == (
            f"{2000 - len(received)} lines were lost because the journal did not take them"
        )
        assert parsed(journald.recv(65536))["MESSAGE"] == "after"
        handler.close()


def test_another_program_says_who_it_is(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as journald:
        journald.bind(str(path))
        handler = JournalHandler(str(path), "mlvpn-helper")
        log.handlers = [handler]
        log.info("hello")
        assert parsed(journald.recv(65536))["SYSLOG_IDENTIFIER"] == "mlvpn-helper"
        handler.close()


def test_no_journal_at_all(log: logging.Logger, tmp_path: Path) -> None:
    handler = JournalHandler(str(tmp_path / "nobody"))
    log.handlers = [handler]
    log.error("goes nowhere, and raises nothing")
    handler.close()


def test_a_traceback_is_in_the_message(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(path))
        handler = JournalHandler(str(path))
        log.handlers = [handler]
        try:
            raise ValueError("because")
        except ValueError:
            log.exception("failed")
        message = parsed(journald.recv(65536))["MESSAGE"]
        assert message.startswith("failed\nTraceback")
        assert message.endswith("ValueError: because")
        handler.close()


OF_THE_TUNNEL = {"%s", "%s has changed: the new value takes effect at the next start"}
"""Lines of tunnel.py whose first word is no link."""


def _lines_without_fields(module: str) -> list[str]:
    """The calls of a logger that begin with a word, and have no fields."""
    found = []
    for call in ast.walk(ast.parse((PROJECT / "mlvpnd" / "tunnel" / module).read_text())):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr not in ("debug", "info", "warning", "error", "log") or not call.args:
            continue
        text = call.args[call.func.attr == "log"]
        words = text.value if isinstance(text, ast.Constant) else "%s"
        is_of_link = not isinstance(text, ast.Constant) or (words.startswith("%s") and words not in OF_THE_TUNNEL)
        if is_of_link and not any(keyword.arg == "extra" for keyword in call.keywords):
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("module", ["link_opener.py", "eventlog.py", "droplog.py", "tunnel.py", "restart.py"])
def test_each_line_about_a_link_has_the_link_as_a_field(module: str) -> None:
    assert _lines_without_fields(module) == []
