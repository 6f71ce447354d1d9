from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlvpnd.config import parse, passwords
from mlvpnd.config.passwords import (
    EXAMPLES,
    LEAST_LENGTH,
    MAX_COMPARED,
    MAX_COMPARED_SIZE,
    files_with_password_of,
    weakness_of,
)
from tests.support.configs import CLIENT, SERVER

OTHER = CLIENT.replace("pleasechangeme!", "of its own")


def _write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)
    return path


def _found(path: Path) -> list[str]:
    config = parse(path.read_bytes(), str(path), require_password=False).config
    return [os.path.basename(name) for name in files_with_password_of(config, str(path))]


def test_files_of_one_directory_that_have_one_password(tmp_path: Path) -> None:
    mine = _write(tmp_path / "mine.conf", CLIENT)
    assert _found(mine) == []
    _write(tmp_path / "same.conf", CLIENT.replace("adsl1", "wifi"))
    _write(tmp_path / "other.conf", OTHER)
    _write(tmp_path / "same.conf.old", CLIENT)
    (tmp_path / "link.conf").symlink_to("mine.conf")
    _write(tmp_path / "spaced.conf", CLIENT.replace('"pleasechangeme!"', ' please "change" me!\r'))
    assert _found(mine) == ["same.conf", "spaced.conf"]
    assert _found(tmp_path / "other.conf") == []


def test_what_a_start_would_not_take_is_left_out(tmp_path: Path) -> None:
    mine = _write(tmp_path / "mine.conf", CLIENT)
    _write(tmp_path / "open.conf", CLIENT, 0o644)
    _write(tmp_path / "wrong.conf", CLIENT.replace('mode = "client"', ""))
    _write(tmp_path / "none.conf", CLIENT.replace("password", "#"))
    _write(tmp_path / "large.conf", CLIENT + "#" * MAX_COMPARED_SIZE)
    os.mkfifo(tmp_path / "fifo.conf", 0o600)
    (tmp_path / "lost.conf").symlink_to("nowhere")
    assert _found(mine) == []
    assert _found(tmp_path / "none.conf") == []


def test_the_two_ends_of_one_tunnel_have_one(tmp_path: Path) -> None:
    """Both ends may be on one host, as in a lab. A server and a client of different tunnels are in danger as well."""
    server = _write(tmp_path / "server.conf", SERVER)
    password = parse(SERVER.encode(), "f").config.password.decode()
    ports = [link.bindport for link in parse(SERVER.encode(), "f").config.links]
    links = "".join(f"[l{n}]\nremotehost = h\nremoteport = {port}\n" for n, port in enumerate(ports))
    general = f'[general]\nmode = client\npassword = "{password}"\n'
    client = _write(tmp_path / "client.conf", general + links)
    assert _found(server) == []
    client.write_text(general + links + "[more]\nremotehost = h\nremoteport = 9\n")
    assert _found(server) == ["client.conf"]
    assert _found(client) == ["server.conf"]


def test_a_start_does_not_wait_for_a_directory_full_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = _write(tmp_path / "mine.conf", CLIENT)
    for number in range(MAX_COMPARED + 5):
        _write(tmp_path / f"{number:03}.conf", CLIENT)
    assert len(_found(mine)) == MAX_COMPARED
    monkeypatch.setattr(passwords, "TIME_LIMIT", 0.0)
    assert _found(mine) == []


def test_nothing_of_the_password_is_said(tmp_path: Path) -> None:
    said = passwords.warning_of(str(tmp_path / "a\nb.conf"))
    assert "\n" not in said
    assert said.startswith(f"{tmp_path}/a\\x0ab.conf has the same password: ")


@pytest.mark.parametrize("password", [b"x", b"elevenchars", *sorted(EXAMPLES)])
def test_a_weak_password_is_told_without_it(password: bytes) -> None:
    said = weakness_of(password)
    assert "make one: head" in said
    assert repr(password.decode()) not in said


def test_a_long_password_is_not_judged() -> None:
    assert weakness_of(b"x" * LEAST_LENGTH) == ""
