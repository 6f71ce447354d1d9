from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from mlvpnd import __version__
from mlvpnd.base.options import Options
from mlvpnd.cli import mlvpn
from mlvpnd.errors import MlvpndError
from mlvpnd.helper import byhand
from mlvpnd.logs import log


def _parsed(line: str) -> Options:
    options, remarks = mlvpn.parse(line.split())
    assert remarks == []
    return options


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlvpnd", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def test_upstreams_defaults() -> None:
    assert _parsed("") == Options(config_path=os.path.abspath("mlvpn.conf"))


@pytest.mark.parametrize(
    "line",
    [
        "-c /etc/mlvpn/home.conf -u _mlvpn -n home -v",
        "-c/etc/mlvpn/home.conf -u_mlvpn -nhome -v",
        "--config /etc/mlvpn/home.conf --user _mlvpn --name home --verbose",
        "--config=/etc/mlvpn/home.conf --user=_mlvpn --name=home --verbose",
        "--conf /etc/mlvpn/home.conf --us _mlvpn --nam home --verb",
        "-config /etc/mlvpn/home.conf -user _mlvpn -name home -verbose",
        "-vvqc /etc/mlvpn/home.conf -u _mlvpn -n home --yes-run-as-root",
        "-q -v --quiet -vv -c /etc/mlvpn/home.conf -u _mlvpn -n home",
    ],
)
def test_spellings_of_the_same(line: str) -> None:
    assert _parsed(line) == Options(config_path="/etc/mlvpn/home.conf", user="_mlvpn", name="home", verbosity=3)


def test_the_guides_line() -> None:
    assert _parsed("-user _mlvpn -c mlvpn0.conf -debug -Dprotocol -v") == Options(
        config_path=os.path.abspath("mlvpn0.conf"),
        user="_mlvpn",
        verbosity=3,
        log_to_terminal=True,
        debug_tokens=frozenset({"protocol"}),
    )


def test_a_token_sends_the_log_to_the_terminal() -> None:
    options = _parsed("-D protocol -Drtt -D protocol")
    assert options.log_to_terminal
    assert options.debug_tokens == {"protocol", "rtt"}
    assert not _parsed("").log_to_terminal
    assert _parsed("--debug").log_to_terminal
    assert not _parsed("--debug").debug_tokens


def test_natural_title() -> None:
    assert _parsed("--natural-title").natural_title
    assert _parsed("-natural-title").natural_title


def test_an_empty_name() -> None:
    assert mlvpn.parse(["--name", ""])[0].name == ""


def test_the_value_of_an_option_may_look_like_the_guides_forms() -> None:
    assert mlvpn.parse(["--name=-debug"])[0].name == "-debug"
    assert not mlvpn.parse(["--name=-debug"])[0].log_to_terminal


def test_what_is_ignored_is_said() -> None:
    options, remarks = mlvpn.parse(["home", "-v", "--", "-x"])
    assert options.verbosity == 3
    assert remarks == ["argument home ignored", "argument -x ignored"]


def test_an_unknown_token_is_said() -> None:
    options, remarks = mlvpn.parse(["-D", "protocoll"])
    assert options.log_to_terminal
    assert options.debug_tokens == frozenset()
    assert len(remarks) == 1
    assert remarks[0].startswith("-D: unknown token protocoll; allowed: buffer config")


def test_forty_tokens_at_most() -> None:
    assert mlvpn.parse(["-Drtt"] * 40)[1] == []
    options, remarks = mlvpn.parse(["-Drtt"] * 40 + ["-Dwrr"])
    assert options.debug_tokens == {"rtt"}
    assert remarks == ["-D: 41 tokens are given: only the first 40 are used"]


@pytest.mark.parametrize("option", ["--version", "-V", "-version"])
def test_the_version_also_into_a_pipe(option: str) -> None:
    result = _run(option)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"mlvpn version {__version__}.\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    result = _run(option)
    assert (result.returncode, result.stderr) == (0, "")
    for word in (
        "--config --debug -D --natural-title --name --user --verbose --quiet --version --help --yes-run-as-root"
    ).split():
        assert word in result.stdout


@pytest.mark.parametrize("line", ["-x", "--nix", "-c", "--na", "-D", "--debug=x", "home --nix"])
def test_wrong_usage(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        mlvpn.parse(line.split())
    assert exited.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: mlvpn")


def test_check_config_is_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    fake: Any = ModuleType("mlvpnd.ctl.check_config")

    def main(arguments: list[str]) -> int:
        called.append(arguments)
        return 3

    fake.main = main
    monkeypatch.setitem(sys.modules, "mlvpnd.ctl.check_config", fake)
    monkeypatch.setattr("mlvpnd.ctl.check_config", fake, raising=False)
    assert mlvpn.main(["check-config", "-x", "a.conf"]) == 3
    assert called == [["-x", "a.conf"]]


@pytest.fixture
def own_log() -> Iterator[None]:
    """Restores the logging and the signal mask that main sets up."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    loggers = [logging.getLogger(name) for name in (log.ROOT, "asyncio")]
    before = [(one, list(one.handlers), one.propagate, one.level) for one in loggers]
    raising = logging.raiseExceptions
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for one, handlers, propagate, level in before:
        one.handlers[:] = handlers
        one.propagate = propagate
        one.setLevel(level)
    logging.raiseExceptions = raising


@pytest.mark.usefixtures("own_log")
def test_exit_code_of_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Options] = []

    def run(options: Options, _child: byhand.Child) -> int:
        started.append(options)
        return 5

    monkeypatch.setattr(byhand, "run", run)
    assert mlvpn.main(["--debug", "-n", "home"]) == 5
    assert started[0].name == "home"


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize("error", [MlvpndError("no good"), PermissionError(1, "no good")])
def test_a_fatal_error_is_logged(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_options: Options, _child: byhand.Child) -> int:
        raise error

    monkeypatch.setattr(byhand, "run", run)
    assert mlvpn.main(["--debug"]) == 1
    err = capsys.readouterr().err
    assert "[CRIT] " in err
    assert err.endswith("no good\n")


@pytest.mark.usefixtures("own_log")
def test_a_fatal_error_is_shown_though_the_log_goes_to_syslog(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    def run(_options: Options, _child: byhand.Child) -> int:
        log.logger().warning("not for the terminal")
        raise MlvpndError("no good")

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        monkeypatch.setattr(log, "connect_syslog", ours.dup)
        monkeypatch.setattr(byhand, "run", run)
        assert mlvpn.main(["-n", "home"]) == 1
        assert b"home[" in theirs.recv(1000)
        assert theirs.recv(1000).endswith(b": no good")
        for handler in logging.getLogger(log.ROOT).handlers:
            if isinstance(handler, log.SyslogHandler):
                handler.attach(None)
    assert capsys.readouterr().err == "mlvpn: no good\n"


def test_closed_standard_streams_do_no_harm() -> None:
    command = f"exec {sys.executable} -m mlvpnd -c /nonexistent/mlvpn.conf --debug <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], timeout=30).returncode == 1


def test_a_missing_file_is_fatal() -> None:
    result = _run("-c", "/nonexistent/mlvpn.conf", "--debug")
    assert result.returncode == 1
    assert "unable to open file" in result.stderr


def test_a_service_that_cannot_start_is_not_started_again_and_again_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert mlvpn.main(["--instance", "no/name"]) == 1
    assert pauses == [mlvpn.FAILURE_PAUSE]
