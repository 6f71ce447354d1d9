"""Which files root may trust: the status command, and the control socket's directory.

Checks are made on descriptors: a name could mean another file a moment later.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mlvpnd.errors import MlvpndError

_MAX_SYMLINKS = 40  # as the kernel's own limit
_WALK_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO must not hang the helper.
_SCRIPT_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class UnsafeFile(MlvpndError):
    """A file is missing, or others could change it; the text says why."""


def trusted_owners() -> frozenset[int]:
    """The users whose files the helper trusts: root, and the user that the helper runs as."""
    return frozenset((0, os.geteuid()))


@dataclass(frozen=True, slots=True)
class Script:
    """A status command that root may run. It is held open, so that the checked file is run."""

    executable: str
    """A path through a descriptor: for a program, the checked file's; for a script, its name in the checked directory.
    A script's interpreter opens the name that it gets, and scripts look for files beside `$0`."""
    descriptor: int
    """Must be open in the program that is run."""


@contextlib.contextmanager
def open_script(path: str) -> Iterator[Script]:
    """The program at `path`, if root may run it. Raises UnsafeFile, mostly in upstream's words."""
    with contextlib.ExitStack() as held:
        directory = open_trusted_directory(path)
        held.callback(os.close, directory)
        name = os.path.basename(path)
        try:
            descriptor = os.open(name, _SCRIPT_FLAGS, dir_fd=directory)
        except OSError as error:
            raise UnsafeFile(f"Unable to open file {path}: {_reason(error)}") from None
        held.callback(os.close, descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(f"{path} is not a regular file")
        if found.st_uid not in trusted_owners():
            raise UnsafeFile(f"{path} is not owned by root")
        if found.st_mode & 0o077:
            raise UnsafeFile(f"{path} is group/other accessible")
        if not found.st_mode & stat.S_IXUSR:
            raise UnsafeFile(f"{path} is not executable")
        _check_links(found, directory, path)
        if os.pread(descriptor, 2, 0) == b"#!":
            yield Script(f"/proc/self/fd/{directory}/{name}", directory)
        else:
            yield Script(f"/proc/self/fd/{descriptor}", descriptor)


def check_script(path: str) -> None:
    """Raises UnsafeFile unless root may run `path`."""
    with open_script(path):
        pass


def open_trusted_directory(path: str) -> int:
    """A descriptor (O_PATH) of the directory of `path`; on the way there only root can change what is root's.

    The rule is OpenSSH's: root owns each directory, and neither the group (any group) nor others may write to it. With
    an access list, the group's bits are the most that it gives to anybody, so they cover the list too. Directories with
    the sticky bit, like /tmp, are allowed: there others may make names, but not change root's. Symbolic links are
    followed, and the same rule holds for where they lead. Raises UnsafeFile.
    """
    if not path.startswith("/") or "\0" in path or not os.path.basename(path):
        raise UnsafeFile(f"{path}: must be an absolute path of a file")
    pending = deque(part for part in os.path.dirname(path).split("/") if part)
    current = os.open("/", _WALK_FLAGS)
    links = 0
    try:
        _check_directory(current, path)
        while pending:
            part = pending.popleft()
            following = os.open(part, _WALK_FLAGS, dir_fd=current)
            try:
                found = os.fstat(following)
                if not stat.S_ISLNK(found.st_mode):
                    _check_directory(following, path)
                    current, following = following, current
                    continue
                target = _checked_target(following, found, current, path)
            finally:
                os.close(following)
            links += 1
            if links > _MAX_SYMLINKS:
                raise UnsafeFile(f"{path}: too many symbolic links")
            pending.extendleft(reversed([piece for piece in target.split("/") if piece]))
            if target.startswith("/"):
                root = os.open("/", _WALK_FLAGS)
                os.close(current)
                current = root
    except OSError as error:
        os.close(current)
        raise UnsafeFile(f"Unable to open file {path}: {_reason(error)}") from None
    except UnsafeFile:
        os.close(current)
        raise
    return current


def _checked_target(link: int, found: os.stat_result, directory: int, path: str) -> str:
    """Where a symbolic link leads to. Raises UnsafeFile unless the link is root's."""
    if found.st_uid not in trusted_owners():
        raise UnsafeFile(f"{path}: a symbolic link on the way belongs to user {found.st_uid} instead of root")
    _check_links(found, directory, path)
    return os.readlink("", dir_fd=link)


def _check_directory(descriptor: int, path: str) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFile(f"Unable to open file {path}: Not a directory")
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    if found.st_uid not in trusted_owners() or shared:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        raise UnsafeFile(f"{path}: directory {name} can be changed by others than root")


def _check_links(found: os.stat_result, directory: int, path: str) -> None:
    """Raises UnsafeFile if others may have put the file there: who may make names may also make hard links.

    Unless fs.protected_hardlinks is set, the kernel allows hard links to root's files.
    """
    if found.st_nlink > 1 and os.fstat(directory).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeFile(f"{path}: has hard links, and others than root can make names in its directory")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
