"""What the daemon and systemd say to each other: readiness, status, watchdog, and descriptors kept over a restart.

python3-systemd does the talking; this module knows the words. Everything works, and does nothing, without systemd.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping

TUN = "tun"
"""Name of the interface's descriptor in the store."""
SESSION = "session"
"""Name of the memory that keeps the session over a restart (`resume.py`)."""
LINK_PREFIX = "link."
"""A link's socket is stored under this and the link's name."""
CONTROL = "control"
"""Name of the control socket that `mlvpn-control@.socket` opened."""
ACTIVATED = "link"
"""Name of all sockets that `mlvpn@.socket` opened; told apart by their addresses."""
MAX_NAME_SIZE = 255  # systemd.socket(5), FileDescriptorName=

Send = Callable[[str, tuple[int, ...]], None]
"""Sends one notification with descriptors."""


def link_name(link: str) -> str | None:
    """The store's name for a link's socket; None if the store cannot have such a name, and the link does without."""
    name = LINK_PREFIX + link
    fit = name.isascii() and name.isprintable() and ":" not in name and len(name) <= MAX_NAME_SIZE
    return name if fit else None


def send(text: str, descriptors: tuple[int, ...] = ()) -> None:
    """sd_notify(3); nothing where nobody listens."""
    from systemd import daemon  # by hand there is no need for it

    daemon.notify(text, fds=list(descriptors))


def inherited() -> Mapping[int, str]:
    """Descriptors that systemd handed over, with their names; each may be taken once."""
    from systemd import daemon

    return daemon.listen_fds_with_names(unset_environment=True)


class Notifier:
    """Speaks to the service manager. `send` does it; None: there is none."""

    def __init__(self, send: Send | None) -> None:
        self._send = send
        self._status = ""
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return self._send is not None

    def ready(self, status: str) -> None:
        """The interface is open and the sockets are bound; also after a reload."""
        self._status = status
        self._say(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """The links and their states, as `systemctl status` shows them."""
        if status != self._status:
            self._status = status
            self._say(f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service is about to end."""
        self._say("STOPPING=1")

    def store(self, name: str, descriptor: int) -> None:
        """Keeps a descriptor over a restart.

        Without FDPOLL=0 one ICMP error on a UDP socket would make systemd drop it.
        """
        self._say(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", (descriptor,))

    def forget(self, name: str) -> None:
        """Gives a stored descriptor up."""
        self._say(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def start_watchdog(self) -> None:
        """Tells systemd twice in each period that the packet loop turns; it is the loop itself that does."""
        usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
            return
        loop = asyncio.get_running_loop()
        period = int(usec) / 2_000_000

        def ping() -> None:
            self._say("WATCHDOG=1")
            self._watchdog = loop.call_later(period, ping)

        ping()

    def _say(self, text: str, descriptors: tuple[int, ...] = ()) -> None:
        if self._send is not None:
            self._send(text, descriptors)
