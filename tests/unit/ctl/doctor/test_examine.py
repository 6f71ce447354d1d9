from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mlvpnd.ctl.doctor.advice import Networkd
from mlvpnd.ctl.doctor.ends import Ends, Resolver
from mlvpnd.ctl.doctor.examine import Patient, Tools, examine, examine_host
from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.limits import Limits
from mlvpnd.ctl.model import TunnelView
from tests.unit.ctl.views import link_view, tunnel_view

from .facts import CLIENT, ETH0, SERVER, FakeNetwork, bad, only, system_of


class FakeHost:
    """The host that `Tools` look at: healthy, unless a test changes it."""

    def __init__(self) -> None:
        self.network = FakeNetwork()
        self.probed: list[str] = []
        self.errors: Mapping[str, int] = {}
        self.taken: set[int] = set()
        self.holders: list[str] = []
        self.unit: Mapping[str, str] | None = {"ActiveState": "inactive", "LoadState": "loaded"}

    def probe(self, links: Sequence[Ends]) -> Mapping[str, int]:
        self.probed = [one.link.name for one in links]
        return {name: self.errors.get(name, 0) for name in self.probed}

    @property
    def tools(self) -> Tools:
        return Tools(
            network=self.network,
            resolver=Resolver(),
            probe=self.probe,
            port_taken=lambda ends: ends.local_port in self.taken,
            port_holders=lambda port: self.holders,
            ruleset=lambda: [],
            unit_state=lambda name: self.unit if name.endswith(".service") else {"ActiveState": "active"},
            system=system_of(Path("/nowhere")),
            networkd=Networkd(Path("/nowhere"), Path("/nowhere")),
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "t.conf"
    path.touch(mode=0o600)
    path.write_text(CLIENT)
    return path


def run(host: FakeHost, path: Path, tunnel: TunnelView | None, *, is_instance: bool = True) -> list[Finding]:
    return [*examine(Patient("t", path, tunnel, is_instance), host.tools, Limits())]


def test_a_tunnel_that_does_not_run(path: Path) -> None:
    host = FakeHost()
    assert bad(run(host, path, None)) == [("warning", "service", "")]
    assert host.probed == ["adsl1", "adsl2"]
    assert only(run(host, path, None, is_instance=False), "service").commands == (f"mlvpn -c {path}",)


def test_a_tunnel_that_runs(path: Path) -> None:
    host = FakeHost()
    host.network.devices.append(host.network.devices[1])
    tunnel = tunnel_view(link_view("adsl1"), link_view("adsl2", State="down"), Interface="eth0")
    assert bad(run(host, path, tunnel)) == [("problem", "peer", "adsl2")]
    assert host.probed == ["adsl2"]


def test_a_link_that_is_new_in_the_file(path: Path) -> None:
    tunnel = tunnel_view(link_view("adsl1"), name="t", Interface="eth0")
    found = only(run(FakeHost(), path, tunnel), "peer")
    assert (found.link, found.commands) == ("adsl2", ("mlvpnctl reload t",))


def test_a_way_that_is_wrong_is_not_tried(path: Path) -> None:
    host = FakeHost()
    host.network.by_source = {"192.0.2.2": ETH0}
    host.errors = {"adsl1": 111}
    assert bad(run(host, path, None)) == [
        ("warning", "service", ""),
        ("problem", "route", "adsl2"),
        ("problem", "peer", "adsl1"),
    ]
    assert host.probed == ["adsl1"]


def test_a_dead_router(path: Path) -> None:
    host = FakeHost()
    host.network.dead = {"203.0.113.1"}
    assert "the router 203.0.113.1 on eth1 does not answer" in only(run(host, path, None), "peer").text


def test_ports(path: Path) -> None:
    path.write_text(SERVER)
    host = FakeHost()
    host.taken = {5081}
    host.holders = ["named (pid 5)"]
    found = only(run(host, path, None), "port")
    assert found.text == "adsl2: UDP port 5081 is taken by named (pid 5)"
    host.taken = {5080, 5081}
    host.holders = ["mlvpn (pid 7)"]
    host.network.devices.append(dataclasses.replace(ETH0, name="mlvpn0"))
    checks = [check for _, check, _ in bad(run(host, path, None)) if check != "config"]
    assert checks == ["service", "port"]  # that the interface is in use has the same cause
    assert only(run(host, path, None), "port").text == (
        "adsl1 and adsl2: UDP ports 5080, 5081 are taken by mlvpn (pid 7)"
    )
    host.taken, host.holders = {5081}, ["named (pid 5)"]
    running = tunnel_view(link_view("adsl1"), link_view("adsl2"), Interface="eth0")
    assert only(run(host, path, running), "port").link == "adsl2"
    for own in (["mlvpn (pid 7)"], []):
        host.holders = own
        assert "port" not in [check for _, check, _ in bad(run(host, path, running))]


def test_a_tunnel_that_runs_and_cannot_be_asked(path: Path) -> None:
    """Its ports and its interface are its own."""
    path.write_text(SERVER.replace("bandwidth_upload = 1\n", "bandwidth_upload = 125000\n"))
    host = FakeHost()
    host.taken, host.unit = {5080, 5081}, {"ActiveState": "active"}
    host.network.devices.append(dataclasses.replace(ETH0, name="mlvpn0"))
    assert bad(run(host, path, None)) == [("warning", "service", "")]
    silent = Patient("t", path, None, is_instance=True, silence="not finished within 3 s")
    findings = [*examine(silent, host.tools, Limits())]
    assert bad(findings) == [("warning", "service", "")]
    assert only(findings, "service").text == "the tunnel t does not answer: not finished within 3 s"


def test_what_hangs_is_left_behind(path: Path) -> None:
    """The other checks are made, and what needs the hanging one has nothing to say."""
    host, ended = FakeHost(), threading.Event()
    tools = dataclasses.replace(host.tools, probe=lambda links: {} if ended.wait(30) else {})
    try:
        findings = [*examine(Patient("t", path, None, is_instance=True), tools, Limits(check=0.5))]
    finally:
        ended.set()
    assert only(findings, "peer").text == "the peers' answers: not finished within 0.5 s"
    assert "route" in {one.check for one in findings}


def test_one_password_in_two_files(path: Path) -> None:
    def found() -> list[str]:
        return [finding.text for finding in run(FakeHost(), path, None) if finding.check == "password"]

    assert found() == []
    other = path.with_name("other.conf")
    other.touch(mode=0o600)
    other.write_text(path.read_text())
    (text,) = found()
    assert text.startswith(f"{other} has the same password")


def test_a_file_that_cannot_be_used(path: Path) -> None:
    path.write_text("nonsense")
    checks = {finding.check for finding in run(FakeHost(), path, None)}
    assert checks == {"config"}  # that the service does not run has the same cause
    running = tunnel_view(link_view("adsl1"), name="t")
    assert {finding.check for finding in run(FakeHost(), path, running)} == {"config", "service"}


def test_the_host() -> None:
    assert {finding.check for finding in examine_host(Limits())} == {"tun-device", "user", "clock"}


def test_only_root_reads_the_firewall(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "firewall" in [finding.check for finding in run(FakeHost(), path, None)]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "firewall" not in [finding.check for finding in run(FakeHost(), path, None)]
