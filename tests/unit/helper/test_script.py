"""The status command. Signals and descriptors of scripts are in tests/netns/test_byhand.py."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from mlvpnd.config.model import Config, Mode
from mlvpnd.helper import script
from mlvpnd.helper.files import Script, UnsafeFile
from mlvpnd.helper.requests import ScriptEvent
from mlvpnd.helper.script import ScriptError, ScriptRun, ScriptRunner
from tests.support.lab import wait_until


def _script(directory: Path, body: str) -> str:
    path = directory / "script"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


def _run(path: str, *arguments: str) -> ScriptRun:
    return ScriptRun(path, (path, *arguments), {"PATH": script.SEARCH_PATH, "MTU": "1400"}, "adsl1")


def _do(*runs: ScriptRun, time_limit: float = 10, kill_delay: float = 5) -> list[int]:
    async def scenario() -> list[int]:
        runner = ScriptRunner(time_limit=time_limit, kill_delay=kill_delay)
        statuses = await asyncio.gather(*(runner.run(run) for run in runs))
        await asyncio.sleep(0.05)  # for the last output
        await runner.close()
        return statuses

    return asyncio.run(scenario())


def test_upstreams_arguments_and_environment() -> None:
    config = Config(
        mode=Mode.CLIENT,
        password=b"secret",
        statuscommand="/etc/mlvpn/up",
        ip4="10.0.0.2/30",
        ip6="fd00::2/64",
        ip4_gateway="10.0.0.1",
        ip6_gateway="fd00::1",
        ip4_routes="10.1.0.0/16 10.2.0.0/16",
        ip6_routes="fd01::/64",
    )
    run = script.compose(config, ScriptEvent.RTUN_UP, "adsl1", "mlvpn3", 1428)
    assert run.arguments == ("/etc/mlvpn/up", "mlvpn3", "rtun_up", "adsl1")
    assert run.environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "IP4": "10.0.0.2/30",
        "IP6": "fd00::2/64",
        "IP4_GATEWAY": "10.0.0.1",
        "IP6_GATEWAY": "fd00::1",
        "IP4_ROUTES": "10.1.0.0/16 10.2.0.0/16",
        "IP6_ROUTES": "fd01::/64",
        "DEVICE": "mlvpn3",
        "MTU": "1428",
    }
    assert run.link == "adsl1"
    run = script.compose(config, ScriptEvent.TUNTAP_UP, None, "mlvpn3", 1428)
    assert (run.arguments[2:], run.link) == (("tuntap_up",), "")


def test_what_a_script_sees_and_prints(
    trusted_directory: Path, log_lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "inherited")
    path = _script(
        trusted_directory, 'echo "$0 $* $MTU ${SECRET-unset} $(pwd) $(umask)"; echo oops >&2; cat; printf end'
    )
    assert _do(_run(path, "mlvpn0", "rtun_up", "-rf $(x)")) == [0]
    called, *rest = log_lines.messages
    assert re.fullmatch(
        re.escape(path) + r": /proc/self/fd/\d+/script mlvpn0 rtun_up -rf \$\(x\) 1400 unset / 0022", called
    )
    assert rest == [f"{path}: oops", f"{path}: end"]


def test_a_script_finds_what_stands_beside_it(trusted_directory: Path) -> None:
    (trusted_directory / "library").write_text('beside() { readlink -f "$0" >"$0.name"; }\n')
    path = _script(trusted_directory, '. "$(dirname "$0")/library"; beside; sh -c \'echo again >"$1.more"\' x "$0"')
    assert _do(_run(path)) == [0]
    assert Path(f"{path}.name").read_text() == f"{path}\n"
    assert Path(f"{path}.more").read_text() == "again\n"


def test_a_program_has_its_own_name(trusted_directory: Path, log_lines: pytest.LogCaptureFixture) -> None:
    path = trusted_directory / "program"
    shutil.copyfile("/bin/dash", path)
    path.chmod(0o700)
    run = ScriptRun(str(path), (str(path), "-c", 'echo "$0"; ls /proc/$$/fd | wc -l'), {"PATH": script.SEARCH_PATH}, "")
    assert _do(run) == [0]
    assert log_lines.messages == [f"{path}: {path}", f"{path}: 4"]  # the three streams, and the program itself


@pytest.mark.parametrize("what", ["program", "script"])
def test_what_was_checked_is_what_is_run(
    what: str, trusted_directory: Path, monkeypatch: pytest.MonkeyPatch, log_lines: pytest.LogCaptureFixture
) -> None:
    """The directory, and a program itself, are held open, so it does not matter what the path means by then."""
    checked, other = trusted_directory / "checked", trusted_directory / "other"
    for directory in (checked, other):
        directory.mkdir()
        _script(directory, f"echo {directory.name}")
        if what == "program":
            shutil.copyfile("/bin/echo" if directory is checked else "/bin/false", directory / "script")
    start = ScriptRunner._start

    def exchange(self: ScriptRunner, run: ScriptRun, opened: Script) -> Any:
        checked.rename(trusted_directory / "moved")
        other.rename(checked)
        return start(self, run, opened)

    monkeypatch.setattr(ScriptRunner, "_start", exchange)
    path = str(checked / "script")
    assert _do(_run(path, "checked")) == [0]
    assert log_lines.messages == [f"{path}: checked"]


def test_exit_status_and_signal_in_upstreams_words(
    trusted_directory: Path, log_lines: pytest.LogCaptureFixture
) -> None:
    path = _script(trusted_directory, '[ "$1" = kill ] && kill -USR1 $$; exit 3')
    assert _do(_run(path), _run(path, "kill")) == [3, -10]
    assert log_lines.messages == [f"network script {path} exit status 3", f"network script {path} killed by signal 10"]
    told = [vars(record)["journal"] for record in log_lines.records]
    failed = {"EVENT": "script-failed", "LINK": "adsl1"}
    assert told == [failed | {"RC": 3}, failed | {"RC": -10}]


def test_one_at_a_time_in_order(trusted_directory: Path) -> None:
    path = _script(
        trusted_directory, f"cd {trusted_directory}; mkdir busy || exit 9; echo $1 >>order; sleep 0.02; rmdir busy"
    )
    assert _do(*(_run(path, str(number)) for number in range(6))) == [0] * 6
    assert (trusted_directory / "order").read_text().split() == list("012345")


def test_a_script_without_end_is_terminated(trusted_directory: Path, log_lines: pytest.LogCaptureFixture) -> None:
    path = _script(trusted_directory, "sleep 60 & wait")
    started = time.monotonic()
    assert _do(_run(path), time_limit=0.2) == [-15]
    assert time.monotonic() - started < 5
    assert log_lines.messages == [f"network script {path}: not done after 0.2 s, killed"]
    assert vars(log_lines.records[0])["journal"] == {"EVENT": "script-failed", "LINK": "adsl1", "RC": -15}


def test_a_script_that_ignores_sigterm_is_killed_with_its_children(trusted_directory: Path) -> None:
    marker = trusted_directory / "marker"
    path = _script(trusted_directory, f"trap '' TERM; (sleep 1; touch {marker}) & while :; do sleep 0.05; done")
    assert _do(_run(path), time_limit=0.1, kill_delay=0.1) == [-9]
    time.sleep(1)
    assert not marker.exists()


def test_what_a_script_leaves_behind_delays_nothing(
    trusted_directory: Path, log_lines: pytest.LogCaptureFixture
) -> None:
    go = trusted_directory / "go"
    path = _script(trusted_directory, f"(until [ -e {go} ]; do sleep 0.05; done; echo late) & echo now")

    async def scenario() -> None:
        runner = ScriptRunner()
        try:
            await asyncio.wait_for(runner.run(_run(path)), 10)
        finally:
            go.touch()
        await asyncio.to_thread(wait_until, lambda: f"{path}: late" in log_lines.messages, 10)
        await runner.close()

    asyncio.run(scenario())
    assert log_lines.messages == [f"{path}: now", f"{path}: late"]


def test_at_the_end_the_script_that_runs_is_waited_for_and_no_other_begins(trusted_directory: Path) -> None:
    """A daemon that is gone may have left any number of requests."""
    path = _script(trusted_directory, f"sleep 0.2; echo $1 >>{trusted_directory}/ran")

    async def scenario() -> list[int | BaseException]:
        runner = ScriptRunner()
        runs = asyncio.gather(*(runner.run(_run(path, str(number))) for number in range(20)), return_exceptions=True)
        await asyncio.sleep(0.1)
        await runner.close()
        return await runs

    first, *others = asyncio.run(scenario())
    assert first == 0
    assert {type(one) for one in others} == {ScriptError}
    assert (trusted_directory / "ran").read_text() == "0\n"


def test_output_is_bounded_and_printable(trusted_directory: Path, log_lines: pytest.LogCaptureFixture) -> None:
    path = _script(trusted_directory, r"printf 'a\033[2Jb\n'; head -c 5000 /dev/zero | tr '\0' x; echo; seq 5000")
    assert _do(_run(path)) == [0]
    lines = log_lines.messages
    assert lines[0] == f"{path}: a [2Jb"
    assert len(lines) == 201
    assert max(len(line) for line in lines) < 1100
    assert lines[-1] == f"network script {path}: further output is not logged"


def test_a_script_that_may_not_or_cannot_run(trusted_directory: Path) -> None:
    path = Path(_script(trusted_directory, "true"))
    path.chmod(0o755)
    with pytest.raises(UnsafeFile, match="is group/other accessible"):
        _do(_run(str(path)))
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o700)
    with pytest.raises(ScriptError, match="could not launch network script"):
        _do(_run(str(path)))
    with pytest.raises(ScriptError, match="could not launch network script"):
        _do(_run(str(path), "a\0b"))
