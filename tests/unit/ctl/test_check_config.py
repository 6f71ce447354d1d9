from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlvpnd.ctl import check_config
from mlvpnd.ctl.check_config import TAKEN, main
from mlvpnd.dataplane import choice
from tests.support import configs
from tests.support.linkemu import PROJECT

CLIENT, DOCUMENTED_CLIENT, SERVER = (
    text.replace("pleasechangeme!", "a long one that is not guessed")
    for text in (configs.CLIENT, configs.DOCUMENTED_CLIENT, configs.SERVER)
)


EXAMPLES = PROJECT / "examples"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_good_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documented = DOCUMENTED_CLIENT.replace("bindport = 5080\n", "", 1)
    one, two = write(tmp_path / "one", CLIENT), write(tmp_path / "two", documented)
    assert main([one, two]) == 0
    assert capsys.readouterr() == (f"{one}: ok, 1 link\n{two}: ok, 2 links\n", "")


def test_what_upstream_lets_pass_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "f", CLIENT + "timeout = 30s\nx = 1\n")
    assert main([path]) == 1
    out, err = capsys.readouterr()
    assert out == f"{path}: a start takes this file, and only warns of this\n"
    assert [line.split(": ")[:2] for line in err.splitlines()] == [[f"{path}:8", "timeout"], [f"{path}:9", "x"]]


def test_one_bad_file_of_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write(tmp_path / "good", CLIENT), write(tmp_path / "bad", "")
    assert main([bad, good]) == 1
    out, err = capsys.readouterr()
    assert out == f"{bad}: a start refuses this file\n{good}: ok, 1 link\n"
    assert err == f"{bad}: there is no [general] section with mode and password\n"


def test_advice_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "f", CLIENT.replace("adsl1", "a" * 30))
    assert main([path]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: ok, 1 link\n"
    assert err.startswith(f"warning: {path}:5: the link's name")


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_permissions(tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    path = write(tmp_path / "f", CLIENT)
    Path(path).chmod(mode)
    assert main([path]) == 1
    assert "file is group/other accessible" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("expression", "tun", "tap"),
    [("udp port 5060", 0, 0), ("ether multicast", 1, 0), ("udp pot 5060", 1, 1), ("ip[8] == 1", 0, 0)],
)
def test_filters_are_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str, tun: int, tap: int
) -> None:
    for kind, expected in (("tun", tun), ("tap", tap)):
        text = CLIENT.replace("[adsl1]", f"tuntap = {kind}\n[adsl1]") + f"[filters]\nadsl1 = {expression}\n"
        path = write(tmp_path / "f", text)
        assert main([path]) == expected
        out, err = capsys.readouterr()
        assert out == f"{path}: {TAKEN if expected else 'ok, 1 link'}\n"
        assert err.startswith(f"{path}:10: adsl1: invalid filter adsl1 = {expression}: " if expected else "")
        assert err.count("\n") == expected


def test_text_without_a_sign_of_equality_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "f", CLIENT + "[filters]\nadsl1 secret words\n")
    assert main([path]) == 1
    assert capsys.readouterr().err == f"{path}:9: adsl1: invalid filter adsl1 = …: the line has no '='\n"


def test_rules_are_compiled_after_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "[rules]\nprefer adsl1 = udp pot 1\ndrop = udp port 1900\npin = ether multicast\n[filters]\nadsl1 = x y\n"
    path = write(tmp_path / "f", CLIENT + lines)
    assert main([path]) == 1
    starts = [": ".join(line.split(": ")[:3]) for line in capsys.readouterr().err.splitlines()]
    assert starts == [
        f"{path}:13: adsl1: invalid filter adsl1 = x y",
        f"{path}:9: prefer: invalid rule prefer adsl1 = udp pot 1",
        f"{path}:11: pin: invalid rule pin = ether multicast",
    ]
    assert main([write(tmp_path / "g", CLIENT + "[rules]\npin adsl1 = tcp port 22\n")]) == 0


def test_filters_are_compiled_also_when_other_lines_are_odd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "f", CLIENT + "x = 1\n[filters]\nadsl1 = nonsense here\n")
    assert main([path]) == 1
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == ["x", "adsl1"]


def test_without_libpcap_filters_cannot_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlvpnd.net.bpf", None)
    monkeypatch.delattr("mlvpnd.net.bpf", raising=False)
    path = write(tmp_path / "f", CLIENT + "[filters]\nadsl1 = udp\n")
    assert main([path]) == 1
    assert "filters and rules cannot be checked" in capsys.readouterr().err
    assert main([write(tmp_path / "g", CLIENT)]) == 0


def test_a_data_plane_that_cannot_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_native", None)
    monkeypatch.setattr(choice, "_missing", "no such file")
    path = write(tmp_path / "f", CLIENT.replace("[adsl1]", "data_plane = native\n[adsl1]"))
    assert main([path]) == 1
    said = "the native data plane cannot run: its extension cannot be loaded: no such file"
    assert capsys.readouterr() == (f"{path}: a start refuses this file\n", f"{path}: data_plane: {said}\n")
    assert main([write(tmp_path / "g", CLIENT.replace("[adsl1]", "data_plane = reference\n[adsl1]"))]) == 0


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["--nonsense", "f"]) == 2
    assert "usage: mlvpnd check-config" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "usage: mlvpnd check-config" in capsys.readouterr().out


@pytest.mark.parametrize(("ports", "code"), [((5080, 5080), 1), ((5080, 5081), 0)])
def test_one_interface_by_two_names(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ports: tuple[int, int],
    code: int,
) -> None:
    monkeypatch.setattr("mlvpnd.ctl.check_config.index_of", {"eth0": 2, "enp1s0": 2}.get)
    links = [
        f'[l{port}{name}]\nbindport = {port}\nbinddevice = "{name}"\n'
        for port, name in zip(ports, ("eth0", "enp1s0"), strict=True)
    ]
    text = SERVER.partition("[adsl1]")[0] + "".join(links)
    assert main([write(tmp_path / "f", text)]) == code
    assert ("enp1s0 and eth0 are one interface" in capsys.readouterr().err) is bool(code)


def test_a_password_may_be_a_credential(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the service whose file it is, and of no other."""
    monkeypatch.setattr(check_config, "CONFIG_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(check_config, "has_credential", lambda name: name == "home")
    text = configs.CLIENT.replace('password = "pleasechangeme!"\n', "")
    home, other = write(tmp_path / "home.conf", text), write(tmp_path / "other.conf", text)
    assert main([home]) == 0
    assert main([other]) == 1
    assert "Password is mandatory" in capsys.readouterr().err


def test_credentials_are_where_systemd_looks(tmp_path: Path) -> None:
    assert not check_config.has_credential("home", [tmp_path])
    (tmp_path / "mlvpn.home.password").touch()
    assert check_config.has_credential("home", [tmp_path / "none", tmp_path])


def test_a_weak_password_is_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "f", configs.CLIENT)
    assert main([path]) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}: ok, 1 link\n"
    assert err.startswith(f"warning: {path}: password: the password is that of an example")


def test_the_rates_of_an_example_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (EXAMPLES / "two-adsl/client.conf").read_text()
    path = write(tmp_path / "f", text)
    assert main([path]) == 0
    line = text.splitlines().index("[adsl1]") + 1
    assert f"warning: {path}:{line}: bandwidth_upload: the rates are those of an example" in capsys.readouterr().err
    write(tmp_path / "f", text.replace("125000", "130000"))
    assert main([path]) == 0
    assert "bandwidth_upload" not in capsys.readouterr().err


def test_a_bindhost_that_is_an_interface_is_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = CONFIG.format(bindhost="lo")
    assert main([write(tmp_path / "a.conf", text)]) == 0
    assert 'bindhost: [adsl1] lo is an interface: the link is bound to lo; write binddevice = "lo"' in (
        capsys.readouterr().err
    )
    assert main([write(tmp_path / "a.conf", CONFIG.format(bindhost="localhost"))]) == 0
    assert "interface" not in capsys.readouterr().err


CONFIG = """[general]
mode = client
password = "dJ0tYv6Bq2n8Hs4XwZ1rKcQm"
[adsl1]
bindhost = {bindhost}
remotehost = 192.0.2.1
remoteport = 5080
"""
