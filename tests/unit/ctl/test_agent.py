from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mlvpnd.ctl import agent
from mlvpnd.ctl.agent import password_agent

AGENT = """#!/bin/bash
# Says that it is ready, and stays; as pkttyagent does.
[ "$1 $3 $4 $5" = "--notify-fd --fallback --process $PPID" ] || exit 1
echo started >{log}
trap 'echo ended >>{log}; exit 0' TERM
eval "exec $2>&-"
while :; do sleep 0.05; done
"""


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a stand-in for polkit's program wrote."""
    program, log = tmp_path / "agent", tmp_path / "log"
    program.touch(mode=0o700)
    program.write_text(AGENT.format(log=log))
    monkeypatch.setattr(agent, "AGENT", program)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return log


def test_it_is_there_inside(log: Path) -> None:
    with password_agent(wanted=True):
        assert log.read_text() == "started\n"
    assert log.read_text() == "started\nended\n"


def test_it_goes_when_the_call_fails(log: Path) -> None:
    with pytest.raises(ValueError, match="refused"), password_agent(wanted=True):
        raise ValueError("refused")
    assert log.read_text().endswith("ended\n")


@pytest.mark.parametrize("why", ["not wanted", "root", "no terminal", "no program"])
def test_when_there_is_none(why: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "root":
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    elif why == "no terminal":
        monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    elif why == "no program":
        monkeypatch.setattr(agent, "AGENT", log.with_name("none"))
    with password_agent(wanted=why != "not wanted"):
        pass
    assert not log.exists()
