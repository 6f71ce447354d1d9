from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from mlvpnd.ctl.doctor import host

from .facts import bad


def test_the_tun_device(tmp_path: Path) -> None:
    assert bad([*host.check_tun(Path("/dev/null"))]) == []
    (tmp_path / "misc").write_text("236 device-mapper\n")
    (missing,) = host.check_tun(tmp_path / "tun", tmp_path / "misc")
    assert missing.commands[0] == "modprobe tun"
    (tmp_path / "misc").write_text(" 10 other\n200 tun\n")
    (missing,) = host.check_tun(tmp_path / "tun", tmp_path / "misc")
    assert missing.commands[1] == f"mknod -m 666 {tmp_path / 'tun'} c 10 200"
    assert "modprobe" in next(host.check_tun(tmp_path / "tun", tmp_path / "none")).commands[0]
    assert "No such file" in missing.text
    (tmp_path / "tun").touch()
    (no_device,) = host.check_tun(tmp_path / "tun")
    assert "is not a device" in no_device.text


def test_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bad([*host.check_user("nobody")]) == []
    assert bad([*host.check_user("mlvpnd-test-nobody")]) == [("problem", "user", "")]
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.getpwuid(0))
    (found,) = host.check_user("mlvpn")
    assert "is root" in found.text


@pytest.mark.parametrize(
    ("now", "synchronised", "severity"),
    [(1_000_000.0, True, "problem"), (1_790_000_000.0, False, "warning"), (1_790_000_000.0, True, "ok")],
)
def test_the_clock(now: float, *, synchronised: bool, severity: str) -> None:
    (found,) = host.check_clock(now, synchronised=synchronised)
    assert found.severity.value == severity


def test_the_kernel_is_asked() -> None:
    assert host.clock_synchronised() in (True, False)
