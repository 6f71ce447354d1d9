"""Where the service's lines go."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlvpnd.base.options import Options
from mlvpnd.logs import journal, log
from mlvpnd.logs import setup as log_setup
from mlvpnd.logs.limit import ASKED_FOR, ERRORS, ORDINARY, WARNINGS


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A journal of the test's own."""
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(path)
        monkeypatch.setattr(log_setup, "JOURNAL_SOCKET", path)
        monkeypatch.setattr(journal.JournalHandler.__init__, "__defaults__", (path, journal.IDENTIFIER))
        yield receiver


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """Restores the loggers afterwards."""
    root, other = logging.getLogger(log.ROOT), logging.getLogger("asyncio")
    level, propagate, handlers = root.level, root.propagate, list(root.handlers)
    others = list(other.handlers), other.propagate
    monkeypatch.setattr(logging, "raiseExceptions", True)
    root.handlers.clear()
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    root.propagate = propagate
    other.handlers[:], other.propagate = others


def test_the_journal_where_it_is_there(journald: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.setup(Options())
    assert log_setup.target() == "journal"
    log.logger().warning("one %s", "line")
    assert b"MESSAGE=one line\n" in journald.recv(4096)
    assert capsys.readouterr().err == ""


def test_standard_error_where_no_journal_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: logging.Logger
) -> None:
    monkeypatch.setattr(log_setup, "JOURNAL_SOCKET", str(tmp_path / "none"))
    log_setup.setup(Options())
    assert log_setup.target() == "console"
    log.logger().warning("one line")
    error = capsys.readouterr().err
    assert error.endswith("one line\n")
    assert "\033" not in error
    assert not root.propagate


def test_the_target_changes_while_it_runs(
    journald: socket.socket, capsys: pytest.CaptureFixture[str], root: logging.Logger
) -> None:
    log_setup.setup(Options())
    log_setup.set_target("console")
    log.logger().warning("to the console")
    assert log_setup.target() == "console"
    assert "to the console" in capsys.readouterr().err
    log_setup.set_target("journal")
    log_setup.set_target("journal")
    log.logger().warning("to the journal")
    assert log_setup.target() == "journal"
    assert b"MESSAGE=to the journal\n" in journald.recv(4096)
    with pytest.raises(BlockingIOError):
        journald.recv(4096)
    assert len(root.handlers) == 1


def written(journald: socket.socket, write: Callable[[], None], times: int) -> list[bytes]:
    """The entries in the journal, when a line is written `times` times."""
    entries = []
    for _ in range(times):
        write()
        try:
            entries.append(journald.recv(4096))
        except BlockingIOError:
            pass
    return entries


def test_a_service_does_not_fill_the_journal(journald: socket.socket) -> None:
    log_setup.setup(Options())
    for write, limit in (
        (lambda: log.logger("protocol").info("adsl1 authenticated"), ORDINARY),
        (lambda: log.logger("privsep").warning("network script"), WARNINGS),
        (lambda: log.logger("privsep").error("refused"), ERRORS),
        (lambda: log.logger("config").info("reloaded"), ASKED_FOR),
        (lambda: logging.getLogger("asyncio").error("Exception in callback"), None),
    ):
        begin = time.monotonic()
        found = written(journald, write, 5000)
        most = limit.burst + limit.rate * (time.monotonic() - begin) + 1 if limit else 60
        assert len(found) <= most
        assert len(found) >= (limit.burst if limit else 0)


def test_lines_that_a_peer_causes_hide_no_others(journald: socket.socket) -> None:
    log_setup.setup(Options())
    peer = log.logger("protocol")
    written(journald, lambda: peer.info("adsl1 authenticated"), 5000)
    for write in (
        lambda: log.logger("config").info("configuration reloaded"),
        lambda: log.logger("privsep").warning("network script"),
        lambda: log.logger().error("an error"),
        lambda: log.logger("control").info("%s asked for", "Reload", extra=log.ASKED),
    ):
        assert len(written(journald, write, 1)) == 1


def test_limits_outlive_a_change_of_the_target(journald: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.setup(Options())
    written(journald, lambda: log.logger("protocol").info("adsl1 authenticated"), 5000)
    log_setup.set_target("console")
    for _ in range(1000):
        log.logger("protocol").info("adsl1 authenticated")
    assert len(capsys.readouterr().err.splitlines()) < 100
