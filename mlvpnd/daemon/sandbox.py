"""The daemon gives up root for good: an empty root directory, another user, no capability, no way back.

After `enter` nothing can be imported any more: what the daemon needs later must be imported or opened before.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.abc
import importlib.machinery
import os
import pwd
import stat
import sys
import time
from collections.abc import Sequence
from types import ModuleType

from mlvpnd.errors import MlvpndError
from mlvpnd.logs.log import logger

EMPTY_DIRECTORY = "/run/mlvpn-empty"
"""Root directory of a daemon whose user has no home."""

# linux/prctl.h, linux/capability.h
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_WORDS = 6  # effective, permitted, inheritable: twice 32 bits each
_MAX_CAPABILITY = 63

# Used by name look-ups of sockets, by tracebacks with a position, and by asyncio's threads.
_LATE_MODULES = (
    "ast",
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "linecache",
    "stringprep",
    "tokenize",
    "traceback",
    "tracemalloc",
    "unicodedata",
    *({"_suggestions"} & set(sys.builtin_module_names)),  # Python 3.13 and later, for tracebacks of wrong names
)


class SandboxError(MlvpndError):
    """A privilege could not be given up; the process must not go on."""


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_CapabilitySets = ctypes.c_uint32 * _CAPABILITY_WORDS
_libc = ctypes.CDLL(None, use_errno=True)


def find_user(name: str) -> pwd.struct_passwd:
    """The unprivileged user. Raises SandboxError if it does not exist or is root."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise SandboxError(f"unknown user {name}: create it, or name another one with --user") from None
    if user.pw_uid == 0:
        raise SandboxError(f"user {name} is root: the daemon needs an unprivileged user")
    return user


def enter(user_name: str) -> None:
    """Gives up all privileges and verifies it. Raises SandboxError or OSError.

    If root did not start the process, it keeps its user and root directory, as upstream's does.
    """
    preload()
    _keep_timezone()
    if os.geteuid() == 0:
        user = find_user(user_name)
        os.chroot(_root_directory(user.pw_dir))
        os.chdir("/")
        _drop_bounding_set()
        os.setgroups([user.pw_gid])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        _drop_capabilities()
        _verify_user(user)
    else:
        _drop_capabilities()
    hide_memory()  # last: a change of user makes the kernel set this anew
    refuse_imports()


def hide_memory() -> None:
    """Protects this process's memory, which has the password, from the same user's processes and from core files."""
    _prctl(_PR_SET_DUMPABLE, 0)


def preload() -> None:
    """Imports modules that the standard library would import only at their first use."""
    for name in _LATE_MODULES:
        importlib.import_module(name)
    "a.b".encode("idna")


def refuse_imports() -> None:
    """From now on the import of a module that is not loaded fails with a log line: in the chroot it cannot work."""
    sys.meta_path.insert(0, _ImportRefuser())


class _ImportRefuser(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self._busy = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not self._busy:  # logging itself must not get here again
            self._busy = True
            try:
                logger().critical("import of %s refused: it must be loaded before the sandbox is entered", fullname)
            finally:
                self._busy = False
        raise ImportError(f"{fullname} is not loaded and the process is in its sandbox", name=fullname)


def _root_directory(home: str) -> str:
    """The user's home; an empty directory if the home does not exist or is `/`."""
    if os.path.isdir(home) and os.path.realpath(home) != "/":
        return home
    try:
        os.mkdir(EMPTY_DIRECTORY, 0o755)
    except FileExistsError:
        pass
    found = os.lstat(EMPTY_DIRECTORY)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022 or os.listdir(EMPTY_DIRECTORY):
        raise SandboxError(f"{EMPTY_DIRECTORY}: must be an empty directory of root that only root can change")
    return EMPTY_DIRECTORY


def _keep_timezone() -> None:
    # Without TZ the C library reads /etc/localtime at each use, and in the chroot falls back to UTC.
    os.environ.setdefault("TZ", ":/etc/localtime")
    time.tzset()


def _prctl(option: int, *arguments: int) -> int:
    words = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(ctypes.c_int(option), *words))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")
    return result


def _bounding_set() -> list[int]:
    """The capabilities that a program run by us could still get; the list ends at the first unknown to the kernel."""
    found = []
    for capability in range(_MAX_CAPABILITY + 1):
        try:
            if _prctl(_PR_CAPBSET_READ, capability):
                found.append(capability)
        except OSError:
            break
    return found


def _drop_bounding_set() -> None:
    for capability in _bounding_set():
        _prctl(_PR_CAPBSET_DROP, capability)


def _drop_capabilities() -> None:
    """Empties the process's own capability sets; no program that it runs can gain any."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _capabilities("capset", _CapabilitySets())
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if _prctl(_PR_GET_NO_NEW_PRIVS) != 1:
        raise SandboxError("no_new_privs is not set")


def _capabilities(call: str, sets: ctypes.Array[ctypes.c_uint32]) -> None:
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    if getattr(_libc, call)(ctypes.byref(header), sets) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _verify_user(user: pwd.struct_passwd) -> None:
    """Raises SandboxError if any of root's privileges are left or can be regained."""
    sets = _CapabilitySets()
    _capabilities("capget", sets)
    if any(sets) or _bounding_set():
        raise SandboxError("the process still has capabilities")
    if os.getresuid() != (user.pw_uid,) * 3 or os.getresgid() != (user.pw_gid,) * 3:
        raise SandboxError("the user or group did not change")
    if os.getgroups() != [user.pw_gid]:
        raise SandboxError("the process still has other groups")
    for regain in (os.setuid, os.setgid):
        try:
            regain(0)
        except PermissionError:
            continue
        raise SandboxError("the process can become root again")
