from __future__ import annotations

import argparse
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from mlvpnd.base import instance
from mlvpnd.ctl.doctor import verb
from mlvpnd.ctl.doctor.examine import Patient
from mlvpnd.ctl.doctor.finding import Finding, ok, problem, warning
from mlvpnd.ctl.doctor.limits import Limits
from mlvpnd.ctl.errors import NotFound
from mlvpnd.ctl.output import Output, OutputOptions
from mlvpnd.ctl.source import Source
from mlvpnd.ctl.verbs import Context
from tests.unit.ctl.test_private_socket import served_socket
from tests.unit.ctl.test_source import FakeBus

from .facts import CLIENT


class Clinic:
    """`doctor` with checks that find what they are told."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.patients: list[Patient] = []
        self.findings: list[Finding] = [ok("a", "fine")]
        self.stream = io.StringIO()
        monkeypatch.setattr(verb, "CONFIG_DIRECTORY", directory)
        monkeypatch.setattr(instance, "CONFIG_DIRECTORY", str(directory))
        monkeypatch.setattr(verb, "examine_host", lambda limits: [ok("host", "there")])
        monkeypatch.setattr(verb, "examine", self._examine)

    def _examine(self, patient: Patient, tools: object, limits: Limits) -> list[Finding]:
        self.patients.append(patient)
        return self.findings

    def run(self, tunnel: str | None = None, **options: Any) -> int:
        bus = FakeBus("running")
        source = Source(bus, runtime=self.directory / "run", config=self.directory)
        context = Context(cast(Any, bus), source, Output(OutputOptions(**options), self.stream))
        return verb.doctor(context, argparse.Namespace(tunnel=tunnel))


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    return Clinic(tmp_path, monkeypatch)


def test_all_tunnels(clinic: Clinic) -> None:
    for name in ("stopped.conf", "running.conf", "no"):
        (clinic.directory / name).touch()
    assert clinic.run() == 0
    assert [(one.name, one.tunnel is not None, one.is_instance) for one in clinic.patients] == [
        ("running", True, True),
        ("stopped", False, True),
    ]
    assert clinic.stream.getvalue().splitlines() == [
        "this host",
        "  ok       there",
        "tunnel running",
        "  ok       fine",
        "tunnel stopped",
        "  ok       fine",
    ]


def test_one_tunnel_and_a_file(clinic: Clinic, tmp_path: Path) -> None:
    clinic.run("running")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    clinic.run(str(folder / "mine.conf"))
    assert [(one.name, one.path, one.is_instance) for one in clinic.patients] == [
        ("running", tmp_path / "running.conf", True),
        ("mine", folder / "mine.conf", False),
    ]
    with pytest.raises(NotFound):
        clinic.run("a b")


def test_no_tunnels(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clinic.run() == 1
    assert "there is no tunnel" in clinic.stream.getvalue()
    monkeypatch.setattr(verb, "CONFIG_DIRECTORY", clinic.directory / "none")
    assert clinic.run() == 1
    assert "No such file" in clinic.stream.getvalue()


def test_exit_code_and_what_is_written(clinic: Clinic) -> None:
    long = "a sentence of many words " * 10
    clinic.findings = [warning("w", "could be better", "type --this", link="x")]
    assert clinic.run("t") == 0
    clinic.findings = [ok("a", "fine"), problem("p", long, "ip " + "x" * 200)]
    clinic.stream.truncate(0)
    assert clinic.run("t", quiet=True) == 1
    lines = clinic.stream.getvalue().splitlines()
    assert "fine" not in " ".join(lines)
    assert max(len(line) for line in lines[:-1]) <= 120
    assert lines[-1].strip() == "ip " + "x" * 200


def test_for_programs(clinic: Clinic) -> None:
    clinic.findings = [problem("p", "bad", "do", link="x").noted("for a while")]
    assert clinic.run("t", json="short") == 1
    assert json.loads(clinic.stream.getvalue()) == [
        {"Tunnel": "", "Severity": "ok", "Check": "host", "Link": "", "Text": "there", "Commands": [], "Note": ""},
        {
            "Tunnel": "t",
            "Severity": "problem",
            "Check": "p",
            "Link": "x",
            "Text": "bad",
            "Commands": ["do"],
            "Note": "for a while",
        },
    ]


def test_a_daemon_by_hand_is_asked_at_its_control_socket(clinic: Clinic, tmp_path: Path) -> None:
    path = tmp_path / "hand" / "t.conf"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(CLIENT.replace("[adsl1]", f"control_unix_path = {tmp_path}/control\n[adsl1]"))
    clinic.run(str(path))

    with served_socket(tmp_path, {"status": '{"tunnel": "by hand"}\n'}, "control"):
        clinic.run(str(path))
    first, second = clinic.patients
    assert first.tunnel is None
    assert second.tunnel is not None
    assert second.tunnel.name == "by hand"


def test_a_daemon_that_does_not_answer(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(verb, "_running", lambda *_: ended.wait(30) and None)
    monkeypatch.setattr(verb, "Limits", lambda: Limits(check=0.3))
    try:
        assert clinic.run("t") == 0
    finally:
        ended.set()
    assert clinic.patients[0].silence == "not finished within 0.3 s"


def test_findings_are_written_as_they_come(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def examine(*_: object) -> Iterator[Finding]:
        yield ok("a", "first")
        written.append(clinic.stream.getvalue())
        yield problem("b", "second").noted("It lasts.")

    monkeypatch.setattr(verb, "examine", examine)
    assert clinic.run("t") == 1
    assert written[0].endswith("  ok       first\n")
    assert clinic.stream.getvalue().endswith("  problem  second\n           It lasts.\n")
