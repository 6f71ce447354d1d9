"""Checks of the host itself: TUN device, user, clock."""

from __future__ import annotations

import ctypes
import pwd
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from .finding import Finding, ok, problem, warning

TUN_DEVICE = Path("/dev/net/tun")
MISC_DEVICES = Path("/proc/misc")
"""Drivers that the kernel has now."""
USER = "mlvpn"
OLDEST_YEAR = 2020
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_SIZE = 512
"""Bytes; struct timex has 208."""


def check_tun(path: Path = TUN_DEVICE, misc: Path = MISC_DEVICES) -> Iterator[Finding]:
    """The device by which interfaces are made."""
    try:
        found = path.stat()
    except OSError as error:
        text = f"{path} cannot be used ({error.strerror}): without it no tunnel has an interface"
        if _has_driver(misc):
            # As in a container whose host has the driver: only the node is missing.
            yield problem("tun-device", text, f"mkdir -p {path.parent}", f"mknod -m 666 {path} c 10 200")
        else:
            yield problem("tun-device", text, "modprobe tun", "echo tun >/etc/modules-load.d/tun.conf")
        return
    if stat.S_ISCHR(found.st_mode):
        yield ok("tun-device", f"{path} is there")
    else:
        yield problem("tun-device", f"{path} is not a device", f"rm {path}", f"mknod -m 666 {path} c 10 200")


def _has_driver(misc: Path) -> bool:
    try:
        return any(line.split()[1:] == ["tun"] for line in misc.read_text().splitlines())
    except OSError:
        return False


def check_user(name: str = USER) -> Iterator[Finding]:
    """The user that daemons run as."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        text = f"there is no user {name}: tunnels run as this user by default"
        yield problem("user", text, f"adduser --system --group --no-create-home {name}")
        return
    if entry.pw_uid == 0:
        yield problem("user", f"the user {name} is root: the daemon would give up no privilege", f"deluser {name}")
    else:
        yield ok("user", f"the user {name} exists")


def check_clock(now: float, *, synchronised: bool) -> Iterator[Finding]:
    """The clock, from which packet numbers start; `now` is the Unix time."""
    year = time.gmtime(now).tm_year
    if year < OLDEST_YEAR:
        text = (
            f"the clock says {year}: packet numbers start from the clock, and the peer refuses packets whose numbers"
            " are lower than before"
        )
        yield problem("clock", text, "timedatectl set-ntp true", "date -s 'YYYY-MM-DD HH:MM:SS'")
    elif not synchronised:
        text = (
            "the clock is not synchronised: if it is set back while a tunnel is stopped, the peer may refuse packets"
            " for the same time"
        )
        yield warning("clock", text, "timedatectl set-ntp true")
    else:
        yield ok("clock", "the clock is synchronised")


def clock_synchronised() -> bool:
    """Whether the kernel holds its clock for right, as time services tell it."""
    buffer = ctypes.create_string_buffer(_TIMEX_SIZE)
    return int(ctypes.CDLL(None).adjtimex(buffer)) != _TIME_ERROR
