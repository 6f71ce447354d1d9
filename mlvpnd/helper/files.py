"""Which files root may trust: the status command, and the directory of the control socket.

Checks are made on descriptors, never on names that could mean another file a moment later.
"""

from __future__ import annotations

import os
import stat
from collections import deque

from mlvpnd.errors import MlvpndError

_MAX_SYMLINKS = 40  # as the kernel's own limit
_WALK_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO must not hang the helper.
_SCRIPT_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class UnsafeFile(MlvpndError):
    """A file that is missing or that others could change; the text says why."""


def trusted_owners() -> frozenset[int]:
    """The users whose files the helper acts on: root, and whoever the helper runs as."""
    return frozenset((0, os.geteuid()))


def check_script(path: str) -> None:
    """Raises UnsafeFile unless root may run `path`, mostly in upstream's words.

    The file is afterwards run by its name and not through this descriptor: the kernel hands the name
    it was given to the interpreter of a `#!` script, and scripts look at `$0`. That is safe because
    every directory on the way was found to be changeable by root only, so nobody else can make the name
    mean another file.
    """
    directory = open_trusted_directory(path)
    try:
        descriptor = os.open(os.path.basename(path), _SCRIPT_FLAGS, dir_fd=directory)
    except OSError as error:
        raise UnsafeFile(f"Unable to open file {path}: {_reason(error)}") from None
    finally:
        os.close(directory)
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFile(f"{path} is not a regular file")
    if found.st_uid not in trusted_owners():
        raise UnsafeFile(f"{path} is not owned by root")
    if found.st_mode & 0o077:
        raise UnsafeFile(f"{path} is group/other accessible")
    if not found.st_mode & stat.S_IXUSR:
        raise UnsafeFile(f"{path} is not executable")


def open_trusted_directory(path: str, *, sticky: bool = False) -> int:
    """A descriptor (O_PATH) of the directory of `path`, reached through directories that only root can change.

    Symbolic links on the way are followed, and what they lead through is held to the same rule. With `sticky`,
    directories as /tmp will do as well, where others may make names but not change root's: enough for a file
    that is to be made, not for one that is found. Raises UnsafeFile.
    """
    if not path.startswith("/") or "\0" in path or not os.path.basename(path):
        raise UnsafeFile(f"{path}: must be an absolute path of a file")
    pending = deque(part for part in os.path.dirname(path).split("/") if part)
    current = os.open("/", _WALK_FLAGS)
    links = 0
    try:
        _check_directory(current, path, sticky=sticky)
        while pending:
            part = pending.popleft()
            following = os.open(part, _WALK_FLAGS, dir_fd=current)
            found = os.fstat(following)
            if stat.S_ISLNK(found.st_mode) and found.st_uid in trusted_owners():
                target = os.readlink("", dir_fd=following)
                os.close(following)
                links += 1
                if links > _MAX_SYMLINKS:
                    raise UnsafeFile(f"{path}: too many symbolic links")
                pending.extendleft(reversed([piece for piece in target.split("/") if piece]))
                if not target.startswith("/"):
                    continue
                following = os.open("/", _WALK_FLAGS)
            os.close(current)
            current = following
            _check_directory(current, path, sticky=sticky)
    except OSError as error:
        os.close(current)
        raise UnsafeFile(f"Unable to open file {path}: {_reason(error)}") from None
    except UnsafeFile:
        os.close(current)
        raise
    return current


def _check_directory(descriptor: int, path: str, *, sticky: bool) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFile(f"Unable to open file {path}: Not a directory")
    changeable = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0)
    if changeable and sticky and found.st_mode & stat.S_ISVTX:
        changeable = False
    if found.st_uid not in trusted_owners() or changeable:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        raise UnsafeFile(f"{path}: directory {name} can be changed by others than root")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
