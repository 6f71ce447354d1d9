"""The file of what outlasts a stop: whole or not there, one for each tunnel, and never more than it may be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mlvpnd.base.instance import STATE_DIRECTORY, is_name
from mlvpnd.helper import state_file
from mlvpnd.helper.state_file import BY_HAND, MAX_SIZE, in_memory, path_by_hand, read, read_descriptor, write

from .descriptors import open_descriptors


def test_what_was_written_is_read_and_nobody_else_may(tmp_path: Path) -> None:
    path = tmp_path / "mlvpn" / "one" / "state.json"
    before = open_descriptors()
    assert read(str(path)) is None
    for text in (b"{}", b"[" * MAX_SIZE, b""):
        write(str(path), text)
        assert read(str(path)) == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["state.json"]
    assert open_descriptors() == before


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "state.json"
    write(str(path), b"old")
    before = open_descriptors()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            write(str(path), b"new")
    assert os.listdir(tmp_path) == ["state.json"]
    assert read(str(path)) == b"old"
    assert open_descriptors() == before


def test_the_new_file_is_on_the_disk_before_it_takes_the_olds_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []
    fsync, rename = os.fsync, os.rename

    def fsync_noted(descriptor: int) -> None:
        did.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def rename_noted(before: str, after: str) -> None:
        did.append("rename")
        rename(before, after)

    monkeypatch.setattr(os, "fsync", fsync_noted)
    monkeypatch.setattr(os, "rename", rename_noted)
    write(str(tmp_path / "state.json"), b"{}")
    assert did == ["file", "rename", "directory"]


def test_what_a_crash_has_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "state.json.new").write_text("half of a longer tex")
    write(str(tmp_path / "state.json"), b"{}")
    assert read(str(tmp_path / "state.json")) == b"{}"
    assert os.listdir(tmp_path) == ["state.json"]


def test_too_much_is_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with pytest.raises(OSError, match="too large"):
        write(str(path), bytes(MAX_SIZE + 1))
    assert not path.exists()
    path.write_bytes(bytes(2 * MAX_SIZE))
    found = read(str(path))
    assert found is not None
    assert len(found) == MAX_SIZE + 1  # whoever parses it sees that it is too long


def test_nothing_but_a_file_is_read_or_written_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "other").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in ("fifo", "link"):
        with pytest.raises(OSError, match=r"regular|symbolic"):
            read(str(tmp_path / name))
    (tmp_path / "state.json.new").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        write(str(tmp_path / "state.json"), b"{}")
    assert (tmp_path / "other").read_text() == "x"


def test_a_descriptor_is_read_from_its_begin(tmp_path: Path) -> None:
    descriptor = in_memory(b"text")
    assert read_descriptor(descriptor) == read_descriptor(descriptor) == b"text"
    os.close(descriptor)
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="not a regular file"):
        read_descriptor(reader)
    os.close(reader)
    os.close(writer)


def test_by_hand_each_configuration_file_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    one, other = path_by_hand("/etc/mlvpn.conf"), path_by_hand("/srv/mlvpn.conf")
    assert one != other
    assert one == path_by_hand("/etc/mlvpn.conf")
    assert os.path.dirname(one) == f"{STATE_DIRECTORY}/{BY_HAND}"
    assert os.path.basename(one).startswith("mlvpn.conf-")
    assert not is_name(BY_HAND)
    assert len(os.path.basename(path_by_hand("/" + 250 * "x"))) < 100
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/mine:/var/lib/other")
    assert os.path.dirname(path_by_hand("/etc/mlvpn.conf")) == "/var/lib/mine"


def test_the_largest_file_fits(tmp_path: Path) -> None:
    assert state_file.MAX_SIZE > 128 * (16 * 64 + 400)
