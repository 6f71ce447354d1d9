"""Where the service's lines go."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd import journal, log, log_setup
from mlvpnd.options import Options


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
    """The logger as it was, afterwards."""
    root = logging.getLogger(log.ROOT)
    level, propagate, handlers = root.level, root.propagate, list(root.handlers)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    root.handlers.clear()
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    root.propagate = propagate


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
