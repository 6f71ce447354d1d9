import os
import struct
from pathlib import Path

import pytest

from mlvpnd.helper.files import UnsafeFile, check_script, open_trusted_directory

from .descriptors import open_descriptors


@pytest.fixture
def script(trusted_directory: Path) -> Path:
    path = trusted_directory / "script"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


def test_a_safe_script(script: Path) -> None:
    check_script(str(script))


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (0o710, "is group/other accessible"),
        (0o702, "is group/other accessible"),
        (0o704, "is group/other accessible"),
        (0o600, "is not executable"),
    ],
)
def test_modes_in_upstreams_words(script: Path, mode: int, reason: str) -> None:
    script.chmod(mode)
    with pytest.raises(UnsafeFile) as refused:
        check_script(str(script))
    assert str(refused.value) == f"{script} {reason}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_owner(script: Path) -> None:
    os.chown(script, 65534, 0)
    with pytest.raises(UnsafeFile, match="is not owned by root"):
        check_script(str(script))


def test_a_missing_file(trusted_directory: Path) -> None:
    with pytest.raises(UnsafeFile, match=r"Unable to open file .*/nix: No such file"):
        check_script(str(trusted_directory / "nix"))


def test_a_missing_directory(trusted_directory: Path) -> None:
    with pytest.raises(UnsafeFile, match=r"Unable to open file .*/nix/script: No such file"):
        check_script(str(trusted_directory / "nix" / "script"))


def test_a_file_where_a_directory_should_be(script: Path) -> None:
    with pytest.raises(UnsafeFile, match="Not a directory"):
        check_script(str(script / "x"))


def test_a_symbolic_link_is_no_script(script: Path) -> None:
    link = script.with_name("link")
    link.symlink_to(script)
    with pytest.raises(UnsafeFile, match="Unable to open file"):
        check_script(str(link))


def test_a_fifo_does_not_hang(trusted_directory: Path) -> None:
    os.mkfifo(trusted_directory / "fifo", 0o700)
    with pytest.raises(UnsafeFile, match="is not a regular file"):
        check_script(str(trusted_directory / "fifo"))


@pytest.mark.parametrize("path", ["script", "", "./script", "/", "/etc/", "/etc/a\0b"])
def test_not_an_absolute_path_of_a_file(path: str) -> None:
    with pytest.raises(UnsafeFile, match="must be an absolute path"):
        check_script(path)


@pytest.mark.parametrize("mode", [0o757, 0o777, 0o775, 0o770])
def test_a_directory_that_others_can_change(trusted_directory: Path, mode: int) -> None:
    """No group may write there, not even root's: others may be members of it."""
    inner = trusted_directory / "open" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"directory {inner.parent} can be changed by others"):
        open_trusted_directory(str(inner / "file"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_sticky_directory_will_do_for_what_is_roots(trusted_directory: Path) -> None:
    shared = trusted_directory / "shared"
    (shared / "ours").mkdir(parents=True)
    (shared / "theirs").mkdir()
    (shared / "link").symlink_to("ours")
    (shared / "our link").symlink_to("ours")
    os.chown(shared / "theirs", 65534, 65534)
    os.chown(shared / "link", 65534, 65534, follow_symlinks=False)
    for mode in (0o1777, 0o1775):
        shared.chmod(mode)
        for path in (shared / "file", shared / "ours" / "file", shared / "our link" / "file"):
            os.close(open_trusted_directory(str(path)))
        for path in (shared / "theirs" / "file", shared / "link" / "file"):
            with pytest.raises(UnsafeFile):
                open_trusted_directory(str(path))
    os.chown(shared, 65534, 0)
    with pytest.raises(UnsafeFile, match="can be changed by others"):
        open_trusted_directory(str(shared / "file"))


def test_a_script_in_a_sticky_directory(trusted_directory: Path, script: Path) -> None:
    """Others cannot exchange the script. But if it has other names, they may have made this one."""
    shared = trusted_directory / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    script.rename(shared / "script")
    check_script(str(shared / "script"))
    os.link(shared / "script", script)
    with pytest.raises(UnsafeFile, match="has hard links"):
        check_script(str(shared / "script"))
    check_script(str(script))


ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER = 1, 2, 4, 8, 16, 32  # linux/posix_acl.h


@pytest.mark.parametrize(
    ("kind", "mask", "trusted"), [(ACL_USER, 7, False), (ACL_GROUP, 7, False), (ACL_USER, 5, True)]
)
def test_a_directory_that_an_access_list_opens(
    trusted_directory: Path, script: Path, kind: int, mask: int, trusted: bool
) -> None:
    """The access list has the form of linux/posix_acl_xattr.h.

    User or group 65534 has rwx, and the mask lets a part through.
    """
    entries = [
        (ACL_USER_OBJ, 7, -1),
        (kind, 7, 65534),
        (ACL_GROUP_OBJ, 5, -1),
        (ACL_MASK, mask, -1),
        (ACL_OTHER, 5, -1),
    ]
    text = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *one) for one in sorted(entries))
    os.setxattr(trusted_directory, "system.posix_acl_access", text)
    if trusted:
        check_script(str(script))
    else:
        with pytest.raises(UnsafeFile, match="can be changed by others"):
            check_script(str(script))


def test_links_to_directories_are_followed_and_checked(trusted_directory: Path) -> None:
    good, bad = trusted_directory / "good", trusted_directory / "bad"
    (good / "deep").mkdir(parents=True)
    (bad / "deep").mkdir(parents=True)
    bad.chmod(0o777)
    (trusted_directory / "absolute").symlink_to(good / "deep")
    (trusted_directory / "relative").symlink_to("good/deep/../deep")
    (trusted_directory / "through").symlink_to("bad/deep")
    (trusted_directory / "loop").symlink_to("loop")
    for name in ("absolute", "relative"):
        descriptor = open_trusted_directory(str(trusted_directory / name / "file"))
        assert os.path.samestat(os.fstat(descriptor), os.stat(good / "deep"))
        os.close(descriptor)
    with pytest.raises(UnsafeFile, match="bad can be changed by others"):
        open_trusted_directory(str(trusted_directory / "through" / "file"))
    with pytest.raises(UnsafeFile, match="too many symbolic links"):
        open_trusted_directory(str(trusted_directory / "loop" / "file"))


def test_nothing_stays_open(trusted_directory: Path, script: Path) -> None:
    before = open_descriptors()
    check_script(str(script))
    for path in ("/tmp/nix/x", "/nix/x", str(script / "x")):  # noqa: S108 - refused places
        with pytest.raises(UnsafeFile):
            check_script(path)
    assert open_descriptors() == before
