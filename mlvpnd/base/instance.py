"""A tunnel as systemd names it: `mlvpn@NAME.service` runs `/etc/mlvpn/NAME.conf`."""

from __future__ import annotations

import re

RUNTIME_DIRECTORY = "/run/mlvpn"
"""Has a directory for each tunnel that runs; it is the packaged home of upstream's user, and so its chroot."""
CONFIG_DIRECTORY = "/etc/mlvpn"
CONFIG_SUFFIX = ".conf"

_NAME = re.compile(r"[A-Za-z0-9:_.-]+")


def is_name(text: str) -> bool:
    """Whether it may be a unit's instance without any escapes, so that `%i` is the name."""
    return _NAME.fullmatch(text) is not None


def config_path(name: str) -> str:
    """The file of a tunnel whose name `is_name`."""
    return f"{CONFIG_DIRECTORY}/{name}{CONFIG_SUFFIX}"
