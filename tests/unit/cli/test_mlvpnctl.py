from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlvpnd.cli import mlvpnctl
from mlvpnd.ctl import output

PROJECT = Path(__file__).resolve().parents[3]


def test_options_stand_before_and_after_the_verb() -> None:
    before = mlvpnctl.parse(["--json=short", "-q", "--no-legend", "links", "a"])
    after = mlvpnctl.parse(["links", "--no-legend", "a", "--json", "short", "--quiet"])
    assert before == after
    assert (before.json, before.quiet, before.legend, before.pager, before.ask_password) == (
        "short",
        True,
        False,
        True,
        True,
    )
    both = mlvpnctl.parse(["--json=short", "links", "--no-pager"])
    assert (both.json, both.pager) == ("short", False)


def test_without_a_verb() -> None:
    assert mlvpnctl.parse([]).verb == mlvpnctl.parse(["--no-legend"]).verb == "list"


@pytest.mark.parametrize(
    "argv",
    [
        ["explode"],
        ["--json=xml"],
        ["--js=short"],
        ["reload"],
        ["link", "a", "b"],
        ["link", "a", "b", "c"],
        ["log-level", "a", "loud"],
        ["top", "-n", "0"],
        ["top", "-d", "0"],
        ["show"],
        ["check-config"],
        ["list", "a"],
    ],
)
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert mlvpnctl.main(argv) == 2
    assert "usage: mlvpnctl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "verb"),
    [
        (["links", "status"], "links"),
        (["--json", "short", "-q", "top"], "top"),
        (["--json=short", "--no-pager", "link", "a"], "link"),
        (["explode", "status"], ""),
        (["--json", "list"], ""),
        (["-h", "list"], ""),
        (["list", "--help"], "list"),
        (["--", "list"], ""),
        ([], ""),
    ],
)
def test_the_verb_is_known_before_its_arguments(argv: list[str], verb: str) -> None:
    """So only the arguments of this verb are made."""
    assert mlvpnctl._named_verb(argv) == verb


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["top", "-n", "x"], "argument -n/--samples: 'x' is not a whole number of 1 or more"),
        (["log", "a", "-n", "0"], "argument -n/--lines: '0' is not a whole number of 1 or more"),
        (["top", "-d", "nan"], "argument -d/--delay: 'nan' is not a number of seconds from 0.1 to 3600"),
        (["top", "-d", "soon"], "argument -d/--delay: 'soon' is not a number of seconds from 0.1 to 3600"),
    ],
)
def test_wrong_numbers(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mlvpnctl.main(argv) == 2
    assert capsys.readouterr().err.endswith(f": error: {words}\n")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert mlvpnctl.main(["--version"]) == 0
    assert mlvpnctl.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mlvpnctl ")
    assert all(f"    {verb} " in out for verb in mlvpnctl._VERBS)


def test_top_in_print() -> None:
    assert mlvpnctl.parse(["top"]).samples is None
    assert mlvpnctl.parse(["top", "--once"]).samples == 1
    assert mlvpnctl.parse(["top", "-n", "5"]).samples == 5
    assert mlvpnctl.parse(["top", "--json=short"]).samples == 1


def test_check_config_needs_no_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    path = tmp_path / "-t.conf"
    path.touch(mode=0o600)
    path.write_text("[general]\nmode = server\npassword = x\n[a]\nbindport = 1\n")
    monkeypatch.chdir(tmp_path)
    assert mlvpnctl.main(["check-config", "--", "-t.conf"]) == 0
    assert "-t.conf: ok, 1 link" in capsys.readouterr().out
    path.write_text("[general]\n")
    assert mlvpnctl.main(["check-config", str(path)]) == 1
    assert f"{path}:1:" in capsys.readouterr().err


def test_words_that_stand_twice() -> None:
    """The command line has a copy, so that it need not import the modules that use the words."""
    assert mlvpnctl._JSON_MODES == output.JSON_MODES


def test_completion_and_manual_name_every_verb_and_option() -> None:
    parser = mlvpnctl._parser()
    (actions,) = [action for action in parser._actions if action.dest == "verb"]
    choices = actions.choices
    assert isinstance(choices, dict)
    completion = (PROJECT / "debian" / "mlvpnctl.bash-completion").read_text()
    manual = (PROJECT / "man" / "mlvpnctl.1.scd").read_text()
    listed = re.search(r"verbs='([^']*)'", completion)
    assert listed is not None
    assert set(listed[1].split()) == set(choices)
    for verb, of_verb in choices.items():
        assert f"\n*{verb}*" in manual
        for action in of_verb._actions:
            for option in action.option_strings:
                assert re.search(rf"{option}\b", completion), option
                assert f"*{option}" in manual, option


def test_only_what_is_needed_is_imported() -> None:
    code = (
        "import sys; from mlvpnd.cli import mlvpnctl; mlvpnctl.main(['list']);"
        "print([name for name in ('urwid', 'pyroute2', 'nacl', 'gi', 'asyncio', 'logging', 'dataclasses', 'json',"
        " 'mlvpnd.config', 'mlvpnd.operator.status', 'mlvpnd.protocol', 'mlvpnd.ctl.doctor')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
    assert "the system bus cannot be reached" in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("--help >/dev/full", 1, "mlvpnctl: [Errno 28] No space left on device\n"),
        ("--help >&-", 0, ""),
        ("list >&- <&-", 1, "mlvpnctl: the system bus cannot be reached: No such file or directory\n"),
        ("status 2>&-", 1, ""),
    ],
)
def test_streams_that_take_nothing(command: str, code: int, err: str) -> None:
    """A stream is a full disk, or closed. Nothing is written to a file that has got the number of the closed stream."""
    script = f"{sys.executable} -m mlvpnd.cli.mlvpnctl {command}"
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", err)


def test_a_reader_that_has_seen_enough() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mlvpnd.cli.mlvpnctl", "--help"]
    done = subprocess.run(command, cwd=PROJECT, env={}, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


_COMPLETE = """
_init_completion() {
	words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	cur=${words[cword]} prev=${words[cword - 1]}
}
_filedir() { COMPREPLY=(a-file); }
compopt() { :; }
mlvpnctl() {
	case $1 in
	list) printf '%s up\\n' mlvpn0 mlvpn1 ;;
	links) printf '%s up\\n' adsl1 adsl2 wifi ;;
	esac
}
source debian/mlvpnctl.bash-completion
COMP_WORDS=(mlvpnctl "$@") COMP_CWORD=$#
_mlvpnctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["re"], ["reload"]),
        (["-q", "reload", "--no-pager", "mlvpn"], ["mlvpn0", "mlvpn1"]),
        (["link", "mlvpn0", "ad"], ["adsl1", "adsl2"]),
        (["link", "mlvpn0", "adsl1", "en"], ["enable"]),
        (["show", "mlvpn0/w"], ["mlvpn0/wifi"]),
        (["log-level", "mlvpn0", "d"], ["debug"]),
        (["top", "-d", "2", "mlvpn1"], ["mlvpn1"]),
        (["--json=s"], ["short"]),
        (["--json", "p"], ["pretty"]),
        (["top", "--on"], ["--once"]),
        (["check-config", "x"], ["a-file"]),
        (["doctor", "./x"], ["a-file"]),
        (["doctor", "mlvpn1"], ["mlvpn1"]),
        (["bandwidth", "mlvpn0", "adsl1", ""], [""]),
    ],
)
def test_completion(words: list[str], completed: list[str]) -> None:
    done = subprocess.run(
        ["bash", "-c", _COMPLETE, "bash", *words], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert (done.stdout.splitlines(), done.stderr) == (completed, "")
