from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mlvpnd.config import ConfigError, file
from mlvpnd.config.schema import MAX_FILE_SIZE


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "mlvpn.conf"
    path.write_bytes(b"content\n")
    path.chmod(0o600)
    return path


def refusal(path: Path | str, *, follow_symlinks: bool = True) -> str:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ConfigError) as caught:
        file.read(str(path), follow_symlinks=follow_symlinks)
    assert os.listdir("/proc/self/fd") == before
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_private_file_is_read(conf: Path, mode: int) -> None:
    conf.chmod(mode)
    assert file.read(str(conf)) == b"content\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o602, 0o644])
def test_group_or_others_have_access(conf: Path, mode: int) -> None:
    conf.chmod(mode)
    assert refusal(conf) == f"{conf}: file is group/other accessible: mode {mode:04o}; allowed: 0600 or less"


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "x") == f"{tmp_path}/x: unable to open file: No such file or directory"


def test_name_that_is_none() -> None:
    assert "a\\x00b: unable to open file: " in refusal("a\0b")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_root_takes_files_of_root_only(conf: Path) -> None:
    os.chown(conf, 65534, 0)
    assert refusal(conf) == f"{conf}: file belongs to user 65534; allowed: root"


def test_somebody_takes_own_files(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = conf.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert file.read(str(conf)) == b"content\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_somebody_takes_no_files_of_others(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(conf, 65534, 0)
    monkeypatch.setattr(os, "geteuid", lambda: 65533)
    assert refusal(conf) == f"{conf}: file belongs to user 65534; allowed: root, or yourself"


def test_what_is_no_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert refusal(tmp_path / "socket").endswith("unable to open file: No such device or address")
    for path in (fifo, tmp_path, Path("/dev/null")):
        assert refusal(path) == f"{path}: unable to open file: not a regular file"


def test_symbolic_link(conf: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(conf)
    assert file.read(str(link)) == b"content\n"
    assert "unable to open file: Too many levels of symbolic links" in refusal(link, follow_symlinks=False)
    conf.chmod(0o644)
    assert "group/other accessible" in refusal(link)


def test_descriptor_is_not_inherited(conf: Path) -> None:
    descriptor = file.open_file(str(conf))
    try:
        assert not os.get_inheritable(descriptor)
        assert file.read_descriptor(descriptor, "f") == b"content\n"
    finally:
        os.close(descriptor)


def test_large_file_is_read_just_too_far(conf: Path) -> None:
    conf.write_bytes(b"x" * (MAX_FILE_SIZE + 5))
    assert len(file.read(str(conf))) == MAX_FILE_SIZE + 1


def test_read_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ConfigError, match=r"^f: unable to read config file: Is a directory$"):
            file.read_descriptor(descriptor, "f")
    finally:
        os.close(descriptor)
