"""The operations that need a TUN interface, with a fake one; the others are tested through the client."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from mlvpnd.config.model import Config, DeviceKind
from mlvpnd.errors import MlvpndError
from mlvpnd.helper import interface, kill_switch, network, requests, state_file
from mlvpnd.helper.operations import _HANDLERS, Answer, Operations
from mlvpnd.helper.requests import ConfigureTun, OpenTun, ScriptEvent

from .descriptors import open_descriptors


class FakeTun:
    """One interface whose MTU can be looked at."""

    def __init__(self) -> None:
        self.name = "mlvtest7"
        self.mtu = 1500
        self.asked: list[tuple[str, DeviceKind]] = []
        self.fixed = False
        self.gso: list[int] = []

    def open_tun(self, name: str, kind: DeviceKind) -> interface.TunDevice:
        self.asked.append((name, kind))
        return interface.TunDevice(os.open("/dev/null", os.O_RDWR), name.replace("%d", "7"))

    def get_mtu(self, name: str) -> int:
        if name != "mlvtest7":
            raise interface.InterfaceError(f"cannot read the MTU of {name}: No such device")
        return self.mtu

    def attached(self, descriptor: int) -> str:
        assert os.fstat(descriptor).st_rdev == os.stat("/dev/null").st_rdev
        return self.name

    def set_mtu(self, name: str, mtu: int) -> None:
        if self.fixed:
            raise interface.InterfaceError(f"cannot set the MTU of {name} to {mtu}: Operation not permitted")
        self.mtu = mtu

    def limit_gso(self, name: str, size: int) -> None:
        if self.fixed:
            raise interface.InterfaceError(f"cannot set gso_max_size of {name}: Operation not permitted")
        self.gso.append(size)


@pytest.fixture
def tun(monkeypatch: pytest.MonkeyPatch) -> FakeTun:
    fake = FakeTun()
    for name in ("open_tun", "attached", "get_mtu", "set_mtu", "limit_gso"):
        monkeypatch.setattr(interface, name, getattr(fake, name))
    return fake


def _do(config_path: Path, *asked: requests.Request) -> list[Answer]:
    async def scenario() -> list[Answer]:
        operations = Operations(str(config_path), os.geteuid(), os.getegid())
        answers = [await operations.perform(request, _descriptor(request)) for request in asked]
        await operations.close()
        return answers

    answers = asyncio.run(scenario())
    for answer in answers:
        if answer.descriptor is not None:
            os.close(answer.descriptor)
    return answers


def _descriptor(request: requests.Request) -> int | None:
    if isinstance(request, requests.WriteState):
        return state_file.in_memory(b"{}")
    return os.open("/dev/null", os.O_RDWR) if request.DESCRIPTORS else None


def _edit(config_path: Path, old: str, new: str) -> None:
    config_path.write_text(config_path.read_text().replace(old, new))


def test_every_request_has_its_handler() -> None:
    assert set(_HANDLERS) == set(requests.TABLE.values())


def test_the_interface_is_the_files(config_path: Path, tun: FakeTun) -> None:
    (answer,) = _do(config_path, OpenTun())
    assert tun.asked == [("mlvtest%d", DeviceKind.TUN)]
    assert answer.members == {"name": "mlvtest7", "mtu": 1428}


def test_an_ipv6_literal_decides_the_mtu_at_once(config_path: Path, tun: FakeTun) -> None:
    _edit(config_path, "localhost", "2001:db8::1")
    assert _do(config_path, OpenTun())[0].members["mtu"] == 1408


def test_a_tap_interface(config_path: Path, tun: FakeTun) -> None:
    _edit(config_path, "[general]", '[general]\ntuntap = "tap"')
    assert _do(config_path, OpenTun())[0].members["mtu"] == 1414
    assert tun.asked == [("mlvtest%d", DeviceKind.TAP)]


def test_the_mtu_follows_the_path(config_path: Path, tun: FakeTun) -> None:
    answers = _do(config_path, OpenTun(), ConfigureTun(ipv6_path=True), ConfigureTun(ipv6_path=False))
    assert [answer.members["mtu"] for answer in answers] == [1428, 1408, 1428]


def test_what_we_are_left_to_cut_follows_the_mtu(config_path: Path, tun: FakeTun) -> None:
    _do(config_path, OpenTun(), ConfigureTun(ipv6_path=True), ConfigureTun(ipv6_path=False))
    assert tun.gso == [network.gso_limit(1408), network.gso_limit(1428)]
    tun.fixed = True
    assert _do(config_path, ConfigureTun(ipv6_path=False))[0].members["mtu"] == 1428


def test_an_ipv6_literal_goes_on_deciding_the_mtu(config_path: Path, tun: FakeTun) -> None:
    _edit(config_path, "localhost", "2001:db8::1")
    answers = _do(config_path, OpenTun(), ConfigureTun(ipv6_path=False))
    assert [answer.members["mtu"] for answer in answers] == [1408, 1408]


def test_an_mtu_that_is_given_stays(config_path: Path, tun: FakeTun) -> None:
    _edit(config_path, "[general]", "[general]\nmtu = 1300")
    answers = _do(config_path, OpenTun(), ConfigureTun(ipv6_path=True))
    assert [answer.members["mtu"] for answer in answers] == [1300, 1300]


def test_an_mtu_that_can_not_be_set_is_told_as_it_is(
    config_path: Path, tun: FakeTun, log_lines: pytest.LogCaptureFixture
) -> None:
    tun.fixed = True
    assert _do(config_path, OpenTun())[0].members["mtu"] == 1500
    assert log_lines.messages == ["cannot set the MTU of mlvtest7 to 1428: Operation not permitted"]


def test_a_wrong_descriptor_is_closed(config_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(MlvpndError, match="not a tun or tap interface"):
        _do(config_path, ConfigureTun(ipv6_path=True))
    with pytest.raises(MlvpndError, match="no link 'nix'"):
        _do(config_path, requests.TuneSocket("nix"))
    assert open_descriptors() == before


def test_an_interface_that_is_gone_has_the_files_name(config_path: Path, tun: FakeTun) -> None:
    tun.name = ""
    _edit(config_path, "mlvtest%d", "mlvtest7")
    assert _do(config_path, ConfigureTun(ipv6_path=True))[0].members["mtu"] == 1408


def test_the_last_right_file_counts_while_the_file_is_wrong(config_path: Path, tun: FakeTun) -> None:
    async def scenario() -> None:
        operations = Operations(str(config_path), os.geteuid(), os.getegid())
        answer = await operations.perform(requests.OpenConfig(), None)
        assert answer.descriptor is not None
        os.close(answer.descriptor)
        _edit(config_path, "[general]", "[general]\nmtu = 1300\nbad = [\n[adsl9]\nremoteport = 99999")
        answer = await operations.perform(OpenTun(), None)
        assert answer.members["mtu"] == 1428
        assert answer.descriptor is not None
        os.close(answer.descriptor)
        await operations.close()

    asyncio.run(scenario())


def test_a_wrong_file_at_the_start_is_an_error(config_path: Path, tun: FakeTun) -> None:
    _edit(config_path, "client", "")
    with pytest.raises(MlvpndError, match="mlvpn.conf"):
        _do(config_path, OpenTun())
    assert tun.asked == []


def test_the_script_gets_the_real_name_and_mtu(config_path: Path, tun: FakeTun, trusted_directory: Path) -> None:
    script = trusted_directory / "script"
    script.write_text(f'#!/bin/sh\necho "$DEVICE $MTU $*" >{trusted_directory}/call\n')
    script.chmod(0o700)
    _edit(config_path, "[general]", f'[general]\nstatuscommand = "{script}"')
    tun.fixed = True
    answers = _do(config_path, OpenTun(), requests.RunScript(ScriptEvent.TUNTAP_UP))
    assert answers[-1].members == {"rc": 0}
    assert (trusted_directory / "call").read_text() == "mlvtest7 1500 mlvtest7 tuntap_up\n"


def test_the_state_is_kept_for_the_configuration_file(
    config_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    before = open_descriptors()

    async def scenario() -> None:
        operations = Operations(str(config_path), os.geteuid(), os.getegid())
        assert (await operations.perform(requests.ReadState(), None)).descriptor is None
        await operations.perform(requests.WriteState(), state_file.in_memory(b"kept"))
        answer = await operations.perform(requests.ReadState(), None)
        assert answer.descriptor is not None
        assert state_file.read_descriptor(answer.descriptor) == b"kept"
        os.close(answer.descriptor)
        for refused in (os.open("/dev/zero", os.O_RDONLY), state_file.in_memory(bytes(state_file.MAX_SIZE + 1))):
            with pytest.raises(MlvpndError, match=r"regular file|too large"):
                await operations.perform(requests.WriteState(), refused)
        await operations.close()

    asyncio.run(scenario())
    assert open_descriptors() == before
    assert state_file.read(state_file.path_by_hand(str(config_path))) == b"kept"


def test_a_state_that_cannot_be_kept_is_an_error(config_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/proc/nowhere")
    with pytest.raises(MlvpndError, match="/proc/nowhere"):
        _do(config_path, requests.WriteState())


def test_what_was_set_and_what_was_refused_is_told(
    config_path: Path, tun: FakeTun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def apply(name: str, _config: Config, *, default_routes: bool) -> list[str]:
        asked.append(default_routes)
        if default_routes:
            raise network.NetworkError(f"{name}: route 0.0.0.0/0: another one exists already", ["link up"])
        return []

    monkeypatch.setattr(network, "apply", apply)
    monkeypatch.setattr(kill_switch, "apply", lambda *_arguments, **_more: ["IPv4 kill switch"])
    monkeypatch.setattr(socket, "if_nametoindex", lambda _name: 7)
    _edit(config_path, "[general]", "[general]\nconfigure_interface = 1")
    both, neither = _do(config_path, ConfigureTun(ipv6_path=False), ConfigureTun(ipv6_path=False, default_routes=False))
    assert asked == [True, False]
    assert both.members == {
        "mtu": 1428,
        "done": ["mtu 1428", "link up", "IPv4 kill switch"],
        "refused": "mlvtest7: route 0.0.0.0/0: another one exists already",
    }
    assert neither.members == {"mtu": 1428, "done": ["IPv4 kill switch"], "refused": ""}


def test_a_kill_switch_goes_with_all_else_and_without_the_interface(
    config_path: Path, tun: FakeTun, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdrawn: list[str] = []
    released: list[int] = []

    def withdraw(name: str) -> bool:
        withdrawn.append(name)
        return name == "mlvtest7" and len(withdrawn) > 1

    monkeypatch.setattr(network, "withdraw", withdraw)
    monkeypatch.setattr(kill_switch, "release", released.append)
    _do(config_path, ConfigureTun(ipv6_path=False))  # a file that sets nothing, and never did
    assert released == []
    _do(config_path, requests.UnconfigureTun())
    tun.name = ""
    _do(config_path, requests.UnconfigureTun())
    assert withdrawn == ["mlvtest7", "mlvtest7"]
    assert released == [kill_switch.table_of(str(config_path))] * 2
