"""A tunnel's names under systemd: `mlvpn@NAME.service` runs `/etc/mlvpn/NAME.conf`."""

from __future__ import annotations

import os
import re

RUNTIME_DIRECTORY = "/run/mlvpn"
"""Has a directory for each running tunnel. In packages it is the home of upstream's user, and so its chroot."""
STATE_DIRECTORY = "/var/lib/mlvpn"
"""Has a directory for each tunnel, of what outlasts a stop."""
CONFIG_DIRECTORY = "/etc/mlvpn"
CONFIG_SUFFIX = ".conf"

_NAME = re.compile(r"[A-Za-z0-9:_.-]+")


def is_name(text: str) -> bool:
    """Whether `text` may be a unit's instance without escapes, so that `%i` is the name."""
    return _NAME.fullmatch(text) is not None


def config_path(name: str) -> str:
    """The file of a tunnel; `name` must be one by `is_name`."""
    return f"{CONFIG_DIRECTORY}/{name}{CONFIG_SUFFIX}"


def credential_of(name: str) -> str:
    """The systemd credential that may hold a tunnel's password."""
    return f"mlvpn.{name}.password"


def given_state_directory() -> str:
    """The directory that systemd made for this process by `StateDirectory=`; empty: none."""
    return os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
