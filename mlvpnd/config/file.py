"""Opens a configuration file, but only if nobody else can read it or has written it: it holds the key.

Everything is checked on the descriptor: a name could mean another file a moment later. So a symbolic link as the path's
last part is harmless. By hand it is followed, as upstream does, because people keep their files elsewhere. The systemd
helper has a fixed path and refuses it with `follow_symlinks=False`.
"""

from __future__ import annotations

import os
import stat

from .problems import ConfigError, Problem
from .schema import MAX_FILE_SIZE

# O_NONBLOCK: a FIFO must not hang the caller.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


def open_file(path: str, *, follow_symlinks: bool = True) -> int:
    """A descriptor of the file, which the caller must close.

    The file is a regular file of root or of the process's user; neither group nor others have any access.
    Raises ConfigError, in upstream's words.
    """
    try:
        descriptor = os.open(path, _FLAGS if follow_symlinks else _FLAGS | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        raise _refused(path, f"unable to open file: {_reason(error)}") from None
    try:
        problem = _status_problem(os.fstat(descriptor))
    except OSError as error:
        problem = f"unable to open file: {_reason(error)}"
    if problem:
        os.close(descriptor)
        raise _refused(path, problem)
    return descriptor


def read_descriptor(descriptor: int, path: str) -> bytes:
    """The rest of an open file, at most one byte more than `parse` takes; `path` is for messages.

    Raises ConfigError.
    """
    chunks = []
    room = MAX_FILE_SIZE + 1
    try:
        while room and (chunk := os.read(descriptor, room)):
            chunks.append(chunk)
            room -= len(chunk)
    except OSError as error:
        raise _refused(path, f"unable to read config file: {_reason(error)}") from None
    return b"".join(chunks)


def read(path: str, *, follow_symlinks: bool = True) -> bytes:
    """Opens as `open_file` and reads as `read_descriptor`. Raises ConfigError."""
    descriptor = open_file(path, follow_symlinks=follow_symlinks)
    try:
        return read_descriptor(descriptor, path)
    finally:
        os.close(descriptor)


def _status_problem(status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "unable to open file: not a regular file"
    if status.st_mode & 0o077:
        return f"file is group/other accessible: mode {stat.S_IMODE(status.st_mode):04o}; allowed: 0600 or less"
    if status.st_uid not in (0, os.geteuid()):
        return f"file belongs to user {status.st_uid}; allowed: root" + (", or yourself" if os.geteuid() else "")
    return ""


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _refused(path: str, message: str) -> ConfigError:
    return ConfigError((Problem(path, 0, "", message),))
