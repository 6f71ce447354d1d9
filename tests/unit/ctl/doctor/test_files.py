from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvpnd.ctl.doctor.files import check_config_file, check_credential, check_links_of_file, check_status_command

from .facts import CLIENT, bad, config_of, only


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "t.conf"
    path.touch(mode=0o600)
    path.write_text(CLIENT)
    return path


def findings(path: Path) -> list[tuple[str, str, str]]:
    return bad([*check_config_file(path).findings])


def test_a_good_file(path: Path) -> None:
    result = check_config_file(path)
    assert result.config is not None
    assert bad([*result.findings]) == []


def test_mode_and_owner(path: Path) -> None:
    path.chmod(0o640)
    (found,) = check_config_file(path).findings
    assert found.commands == (f"chmod 600 {path}",)
    assert "mode 0640" in found.text
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 65534, 0)
        (found,) = check_config_file(path).findings
        assert found.commands == (f"chown root:root {path}",)


def test_what_is_no_file(tmp_path: Path) -> None:
    (missing,) = check_config_file(tmp_path / "no.conf").findings
    assert (missing.severity.value, missing.commands) == ("problem", (f"install -m 600 FILE {tmp_path}/no.conf",))
    assert "/usr/share/doc/mlvpnd/examples/client.conf" in missing.note
    (folder,) = check_config_file(tmp_path).findings
    assert "not a regular file" in folder.text
    (through_a_file,) = check_config_file(Path("/etc/passwd/x.conf")).findings
    assert through_a_file.severity.value == "problem"


def test_wrong_lines(path: Path) -> None:
    path.write_text(CLIENT.replace("password = secret\n", "").replace("remoteport = 5081\n", ""))
    result = check_config_file(path)
    assert result.config is None
    assert [one.severity.value for one in result.findings] == ["problem"] * len(result.findings)
    assert len(result.findings) > 1
    assert result.findings[-1].commands == (f"mlvpnctl check-config {path}",)


def test_odd_lines(path: Path) -> None:
    path.write_text(CLIENT + "".join(f"odd{number} = 1\n" for number in range(7)))
    result = check_config_file(path)
    assert result.config is not None
    assert [one.severity.value for one in result.findings] == ["warning"] * 6
    assert "there are 2 more remarks" in result.findings[-1].text


def test_a_filter_that_libpcap_refuses(path: Path) -> None:
    path.write_text(CLIENT + "[filters]\nadsl1 = udp prt 5\n")
    (found,) = check_config_file(path).findings
    assert "invalid filter" in found.text


def test_passwords(path: Path, tmp_path: Path) -> None:
    path.write_text(CLIENT.replace("password = secret\n", ""))
    assert check_config_file(path).config is None
    config = check_config_file(path, credential=True).config
    assert config is not None
    store = tmp_path / "store"
    store.mkdir()
    (found,) = check_credential("t", config, [store])
    assert f"--name=mlvpn.t.password - {store}/mlvpn.t.password" in found.commands[1]
    (store / "mlvpn.t.password").touch()
    assert [*check_credential("t", config, [store])] == []
    assert [*check_credential("u", config_of(), [store])] == []


def test_status_commands(tmp_path: Path) -> None:
    script = tmp_path / "updown"
    script.touch(mode=0o755)
    with_script = CLIENT.replace("[adsl1]", f"statuscommand = {script}\n[adsl1]")
    (found,) = check_status_command(config_of(with_script))
    assert found.severity.value == "problem"
    assert found.commands == (f"chown root:root {script}", f"chmod 700 {script}")
    script.unlink()
    (found,) = check_status_command(config_of(with_script))
    assert found.commands == ()
    assert [*check_status_command(config_of())] == []
    (found,) = check_status_command(config_of(CLIENT.replace("configure_interface = 1\n", "")))
    assert "nobody configures the interface" in found.text


def test_links_together() -> None:
    assert [*check_links_of_file(config_of())] == []
    one_link = CLIENT[: CLIENT.index("[adsl2]")]
    assert "there is only one link" in only([*check_links_of_file(config_of(one_link))], "links").text
    no_weights = "\n".join(line for line in CLIENT.splitlines() if "bandwidth" not in line)
    assert bad([*check_links_of_file(config_of(no_weights))]) == [("warning", "weights", "")]
    no_reorder = CLIENT.replace("reorder_buffer_size = 512", "reorder_buffer_size = 0")
    assert bad([*check_links_of_file(config_of(no_reorder))]) == [("warning", "reorder", "")]
    fallback = CLIENT.replace("remoteport", "fallback_only = 1\nremoteport")
    assert bad([*check_links_of_file(config_of(fallback))]) == [("warning", "fallback", "")]
    unbound = CLIENT.replace("bindhost = 192.0.2.2\n", "")
    assert only([*check_links_of_file(config_of(unbound))], "source").text.startswith("adsl1: without bindhost")
    nothing = CLIENT[: CLIENT.index("[adsl1]")]
    assert bad([*check_links_of_file(config_of(nothing))]) == [("problem", "links", "")]
