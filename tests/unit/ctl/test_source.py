from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mlvpnd.ctl.errors import CtlError, NotAllowed, NotFound, NotRunning, TunnelGone, Unreachable
from mlvpnd.ctl.model import ManagedObjects
from mlvpnd.ctl.source import Source
from mlvpnd.ctl.units import Unit

from .test_private_socket import served_socket


class FakeBus:
    """Stands for `source.Bus`; its tunnels are given by name."""

    def __init__(self, *tunnels: str, error: CtlError | None = None) -> None:
        self.tunnels = list(tunnels)
        self.error = error
        self.gone: set[str] = set()
        """Tunnels that are listed, but no longer there when asked."""
        self.loaded: dict[str, Unit] = {}
        """The units that systemd has loaded."""

    def instances(self) -> list[str]:
        if self.error is not None:
            raise self.error
        return [f"bus.{name}" for name in self.tunnels]

    def bus_name(self, tunnel: str) -> str:
        return f"bus.{tunnel}"

    def objects(self, bus_name: str) -> ManagedObjects:
        if self.error is not None:
            raise self.error
        name = bus_name.removeprefix("bus.")
        if name not in self.tunnels or name in self.gone:
            raise TunnelGone(name)
        return {"/t": {"org.mlvpn1.Tunnel": {"Name": name, "State": "up", "Links": []}}}

    def units(self) -> Mapping[str, Unit]:
        if self.error is not None:
            raise self.error
        return self.loaded

    def describe(self, tunnel: str) -> Mapping[str, object]:
        self.objects(f"bus.{tunnel}")
        return {"Name": tunnel, "Tier": "normal", "Links": [{"Name": "a", "Reason": "timeout"}]}


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    runtime, config = tmp_path / "run", tmp_path / "etc"
    runtime.mkdir()
    config.mkdir()
    (config / "stopped.conf").touch()
    return runtime, config


def source(bus: FakeBus, directories: tuple[Path, Path]) -> Source:
    return Source(bus, runtime=directories[0], config=directories[1])


DOWN = Unreachable("the system bus cannot be reached")


def test_all_by_the_bus(directories: tuple[Path, Path]) -> None:
    bus = FakeBus("b", "a", "c")
    bus.gone = {"c"}
    found = source(bus, directories).all()
    assert [view.name for view in found] == ["a", "b"]


def test_one_by_the_bus(directories: tuple[Path, Path]) -> None:
    tunnels = source(FakeBus("a"), directories)
    assert tunnels.one("a").text("State") == "up"
    assert tunnels.full("a").links[0].text("Reason") == "timeout"


@pytest.mark.parametrize("bus", [FakeBus("a"), FakeBus(error=DOWN)], ids=["bus", "no bus"])
def test_not_running_and_not_there(bus: FakeBus, directories: tuple[Path, Path]) -> None:
    tunnels = source(bus, directories)
    with pytest.raises(NotRunning, match="systemctl start mlvpn@stopped"):
        tunnels.one("stopped")
    with pytest.raises(NotFound, match="no such tunnel"):
        tunnels.full("absent")


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a b", "ü", "a\n"])
def test_what_is_no_name(name: str, directories: tuple[Path, Path]) -> None:
    with pytest.raises(NotFound, match="not a tunnel's name"):
        source(FakeBus(), directories).one(name)


def test_other_failures_are_told_as_they_are(directories: tuple[Path, Path]) -> None:
    with pytest.raises(NotAllowed, match="no"):
        source(FakeBus(error=NotAllowed("no")), directories).one("stopped")


def test_the_private_socket_where_the_bus_is_down(directories: tuple[Path, Path]) -> None:
    tunnels = source(FakeBus(error=DOWN), directories)
    with pytest.raises(Unreachable, match="the system bus cannot be reached"):
        tunnels.all()
    (directories[0] / "dead").mkdir()
    (directories[0] / "dead" / "private.sock").touch()
    with pytest.raises(Unreachable, match=r"dead/private\.sock: Connection refused"):
        tunnels.all()
    answer = '{"tunnel": "mlvpn0", "state": "up", "tunnels": [{"name": "a", "status": "connected"}]}\n'
    with served_socket(directories[0] / "mlvpn0", {"status": answer}):
        assert [view.name for view in tunnels.all()] == ["mlvpn0"]
        view = tunnels.one("mlvpn0")
        assert (view.text("State"), view.links[0].state) == ("up", "up")
        # The same where there is a bus, but the tunnel could not get its name.
        assert source(FakeBus("other"), directories).full("mlvpn0").name == "mlvpn0"


def test_what_does_not_run_is_listed_too(directories: tuple[Path, Path]) -> None:
    for name in ("loops.conf", "no name.conf", "not.a-file", ".conf"):
        (directories[1] / name).touch()
    bus = FakeBus("a")
    bus.loaded = {
        "a": Unit("active", "running"),
        "loops": Unit("activating", "auto-restart", 3, "exit-code"),
        "gone": Unit("inactive", "dead"),
        "broken": Unit("failed", "failed", 0, "exit-code"),
    }
    views, unseen = source(bus, directories).listed()
    assert [(view.name, view.text("State")) for view in views] == [
        ("a", "up"),
        ("broken", "failed"),
        ("loops", "restarting"),
        ("stopped", "stopped"),
    ]
    assert "3 times" in views[2].text("Reason")
    assert unseen == ""
    silent = source(bus, directories).silent("stopped")
    assert silent is not None
    assert silent.properties == {"Name": "stopped", "State": "stopped"}
    assert source(bus, directories).silent("absent") is None


def test_without_systemd_the_files_are_listed(directories: tuple[Path, Path]) -> None:
    views, _ = source(FakeBus(), directories).listed()
    assert [(view.name, view.text("State")) for view in views] == [("stopped", "stopped")]


def test_who_may_not_see_the_files_is_told_so(directories: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str) -> list[str]:
        raise PermissionError

    bus = FakeBus("a")
    bus.loaded = {"idle": Unit("inactive", "dead")}
    monkeypatch.setattr("mlvpnd.ctl.source.os.listdir", refuse)
    views, unseen = source(bus, directories).listed()
    assert [(view.name, view.text("State")) for view in views] == [("a", "up"), ("idle", "stopped")]
    assert "cannot be read as this user" in unseen
