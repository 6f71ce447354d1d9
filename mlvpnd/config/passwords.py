"""Finds a host's files with the same password: a recording of one tunnel brings up another's links with the same key.

Passwords are compared in memory and never leave it.
"""

from __future__ import annotations

import hmac
import os
import time

from mlvpnd.base.instance import CONFIG_SUFFIX
from mlvpnd.base.printable import printable

from . import file
from .model import Config, Mode
from .parser import parse
from .problems import ConfigError

MAX_COMPARED = 64
"""Files of the directory that are compared, in the order of their names."""
MAX_COMPARED_SIZE = 16384
"""Bytes. Larger files are left out."""
EXAMPLES = frozenset({b"pleasechangeme!", b"secret", b"password", b"changeme", b"mlvpn", b"a-long-random-text"})
"""Passwords of our examples and of guides to MLVPN."""
LEAST_LENGTH = 12
"""Characters of a password that is not called short."""
_BETTER = "make one: head -c 24 /dev/urandom | base64"
TIME_LIMIT = 0.5
"""Seconds after which no further file is read: the start waits for this."""


def files_with_password_of(config: Config, path: str) -> tuple[str, ...]:
    """The other files in the directory of `path` that have the password of `config`, which is in `path`.

    Files that are wrong or cannot be read are left out, and so is the same tunnel's other end, as in a lab.
    """
    if not config.password:
        return ()
    directory = os.path.dirname(path) or "."
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(CONFIG_SUFFIX))
    except OSError:
        return ()
    others = [other for name in names if not _is_one(other := os.path.join(directory, name), path)]
    until = time.monotonic() + TIME_LIMIT
    return tuple(other for other in others[:MAX_COMPARED] if time.monotonic() < until and _shares(config, other))


def weakness_of(password: bytes) -> str:
    """Why a password is easily guessed; empty: it is not known why. Nothing of it is said.

    Whoever has recorded a tunnel can try passwords without being noticed: the key is a plain hash of the password.
    """
    if password in EXAMPLES:
        return f"the password is that of an example; {_BETTER}"
    if len(password) < LEAST_LENGTH:
        return f"the password is short, and a recording of the tunnel is enough to guess it; {_BETTER}"
    return ""


def warning_of(other: str) -> str:
    """The warning for a file with the same password."""
    return (
        f"{printable(other)} has the same password: a recording of one tunnel brings up the links of the other;"
        " give each tunnel a password of its own"
    )


def _is_one(other: str, path: str) -> bool:
    try:
        return os.path.samefile(other, path)
    except OSError:
        return False


def _shares(config: Config, path: str) -> bool:
    try:
        if os.stat(path).st_size > MAX_COMPARED_SIZE:
            return False
        text = file.read(path)
        if _bare(config.password) not in _bare(text):
            return False  # true of most files: to parse one takes a few milliseconds
        other = parse(text, path, require_password=False).config
    except (OSError, ConfigError):
        return False
    return hmac.compare_digest(config.password, other.password) and not _are_ends_of_one(config, other)


def _bare(text: bytes) -> bytes:
    """The text without the spaces and quotes with which a password may be written."""
    return text.translate(None, b' "\r')


def _are_ends_of_one(one: Config, other: Config) -> bool:
    if one.mode is other.mode:
        return False
    server, client = (one, other) if one.mode is Mode.SERVER else (other, one)
    return {link.bindport for link in server.links} == {link.remoteport for link in client.links}
