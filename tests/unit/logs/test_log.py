"""Where lines go, and that there are never too many of them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlvpnd.base.options import Options
from mlvpnd.logs import log
from mlvpnd.logs.limit import ORDINARY


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leaves the loggers as other tests expect them."""
    loggers = [logging.getLogger(name) for name in (log.ROOT, "asyncio")]
    before = [(one, list(one.handlers), one.propagate, one.level) for one in loggers]
    raises = logging.raiseExceptions
    yield
    for one, handlers, propagate, level in before:
        for handler in one.handlers:
            if handler not in handlers:
                handler.close()
        one.handlers[:] = handlers
        one.propagate = propagate
        one.setLevel(level)
    logging.raiseExceptions = raises


@pytest.fixture
def syslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The far end of the system log."""
    monkeypatch.setattr(log, "SYSLOG_PATH", str(tmp_path / "log"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as server:
        server.bind(log.SYSLOG_PATH)
        yield server


def _received(server: socket.socket) -> list[str]:
    lines = []
    try:
        while True:
            lines.append(server.recv(65536).decode())
    except BlockingIOError:
        return lines


def test_a_line_in_the_system_log(syslog: socket.socket) -> None:
    assert log.setup(Options(name="home")) is not None
    log.logger("protocol").warning("adsl1 %s", "timeout")
    (line,) = _received(syslog)
    assert line.startswith("<28>")
    assert " home[" in line
    assert line.endswith("]: adsl1 timeout")


def test_what_the_log_holds_open_is_known(syslog: socket.socket) -> None:
    """In a start by hand, it is the only descriptor that stays open."""
    assert log.descriptors() == set()
    assert log.setup(Options(name="home")) is not None
    (descriptor,) = log.descriptors()
    os.write(descriptor, b"by number")
    assert _received(syslog) == ["by number"]


def test_a_system_log_that_was_restarted_is_found_again(syslog: socket.socket, tmp_path: Path) -> None:
    log.setup(Options())
    (tmp_path / "log").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
        other.bind(log.SYSLOG_PATH)
        syslog.close()
        log.logger().info("hello")
        assert len(_received(other)) == 1


def test_a_system_log_that_is_gone_or_full_costs_lines_and_nothing_else(syslog: socket.socket) -> None:
    handler = log.setup(Options())
    for _ in range(500):
        log.logger().info("x" * 1000)
    syslog.close()
    log.logger().info("nobody hears this")
    assert handler is not None
    assert not handler.connected


def test_without_a_system_log_lines_go_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log, "SYSLOG_PATH", str(tmp_path / "none"))
    assert log.setup(Options()) is None
    log.logger("protocol").info("adsl1 authenticated")
    assert capsys.readouterr().err[19:] == " [INFO/protocol] adsl1 authenticated\n"


def test_what_asyncio_says_of_a_fault_of_ours_reaches_the_system_log(syslog: socket.socket) -> None:
    log.setup(Options())

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    lines = _received(syslog)
    assert "Exception in callback" in lines[0]
    assert lines[-1].endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("verbosity", "tokens", "shown"),
    [
        (1, frozenset[str](), ["warning"]),
        (2, frozenset[str](), ["information", "warning"]),
        (2, frozenset({"rtt"}), ["debug", "information", "warning"]),
        (2, frozenset({"net"}), ["information", "warning"]),
        (3, frozenset[str](), ["debug", "information", "warning"]),
    ],
)
def test_verbosity(
    verbosity: int, tokens: frozenset[str], shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup(Options(verbosity=verbosity, debug_tokens=tokens, log_to_terminal=True))
    rtt = log.logger("rtt")
    rtt.debug("debug")
    rtt.info("information")
    rtt.warning("warning")
    assert [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()] == shown


def test_who_causes_lines_cannot_fill_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(Options(log_to_terminal=True))
    for _ in range(5000):
        log.logger("privsep").info("refused")
    assert len(capsys.readouterr().err.splitlines()) <= ORDINARY.burst + 60


def test_lines_that_a_peer_causes_hide_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(Options(log_to_terminal=True))
    for _ in range(5000):
        log.logger("protocol").info("adsl1 authenticated")
    capsys.readouterr()
    log.logger("config").info("configuration reloaded")
    log.logger("privsep").warning("network script")
    log.logger().error("an error")
    said = [line.split("] ")[1].partition(" (")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == ["configuration reloaded", "network script", "an error"]
