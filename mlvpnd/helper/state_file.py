"""The file of what outlasts a stop, as bytes: read whole, replaced whole. A crash leaves the old file or the new one.

As a service the daemon has a directory of its own, which systemd makes (`StateDirectory=`). By hand the daemon is
locked in, and the parent does it for each configuration file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from mlvpnd.base.instance import STATE_DIRECTORY, given_state_directory

BY_HAND = "@by-hand"
"""Directory of all tunnels by hand, unless what starts them got one of systemd. No instance has an `@` in its name."""
SERVICE_FILE = "state.json"
MAX_SIZE = 1 << 20
"""Bytes of a file. 128 links with 16 addresses each take some 200 KB."""
_SHOWN_NAME = 64
"""Characters of a configuration file's name in the name of its state file."""


def path_by_hand(config_path: str) -> str:
    """The state file of a tunnel by hand: one for each configuration file, which must be named absolutely."""
    directory = given_state_directory() or f"{STATE_DIRECTORY}/{BY_HAND}"
    tag = hashlib.blake2b(os.fsencode(config_path), digest_size=8).hexdigest()
    return f"{directory}/{os.path.basename(config_path)[:_SHOWN_NAME]}-{tag}.json"


def read(path: str) -> bytes | None:
    """The file's bytes, at most one more than it may have; None: there is no file. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        return read_descriptor(descriptor)
    finally:
        os.close(descriptor)


def read_descriptor(descriptor: int) -> bytes:
    """The bytes of a regular file from its begin, at most one more than it may have. Raises OSError."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(0, "not a regular file")
    pieces, at = [], 0
    while at <= MAX_SIZE and (piece := os.pread(descriptor, MAX_SIZE + 1 - at, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def in_memory(data: bytes) -> int:
    """A descriptor from which `read_descriptor` reads the data; the caller closes it. Raises OSError."""
    descriptor = os.memfd_create("mlvpn-state", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write(path: str, data: bytes) -> None:
    """Replaces the file, and makes its directory if it is missing. Raises OSError; then the old file is still there.

    It takes as long as the disk takes.
    """
    if len(data) > MAX_SIZE:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    directory, fresh = os.path.dirname(path), f"{path}.new"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(fresh, path)
    except OSError:
        _remove(fresh)
        raise
    _sync_directory(directory)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # it is not there, or the next write replaces it


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
