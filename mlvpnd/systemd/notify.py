"""What the daemon and systemd tell each other: readiness, status, watchdog, and descriptors kept over a restart.

Nothing here waits. libsystemd's own call waits while the manager's queue is full, and would stop the packet loop. A
notification that cannot be sent now is sent a little later. Without systemd everything works and does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping

from mlvpnd.logs.log import logger

TUN = "tun"
"""Name of the interface's descriptor in the store."""
SESSION = "session"
"""Name of the memory that keeps the session over a restart (`resume.py`)."""
LINK_PREFIX = "link."
"""A link's socket is stored under this prefix and the link's name."""
CONTROL = "control"
"""Name of the control socket that `mlvpn-control@.socket` opened."""
ACTIVATED = "link"
"""Name of all sockets that `mlvpn@.socket` opened; their addresses tell them apart."""
MAX_NAME_SIZE = 255  # systemd.socket(5), FileDescriptorName=
RETRY = 0.1
"""Seconds until a notification is tried again that the manager did not take."""

Send = Callable[[str, tuple[int, ...]], None]
"""Sends one notification with descriptors. Raises OSError; BlockingIOError: it may be sent later."""

_log = logger()


def link_name(link: str) -> str | None:
    """The store's name for a link's socket; None: the store does not allow the name, and the socket is not kept."""
    name = LINK_PREFIX + link
    fit = name.isascii() and name.isprintable() and ":" not in name and len(name) <= MAX_NAME_SIZE
    return name if fit else None


def send(text: str, descriptors: tuple[int, ...] = ()) -> None:
    """Sends one notification, see sd_notify(3), without waiting; see `Send`."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        sock.connect(address)  # socket.send_fds has no use for its address
        socket.send_fds(sock, [text.encode(errors="replace")], descriptors)


def inherited() -> Mapping[int, str]:
    """The descriptors that systemd handed over, with their names. May be called once."""
    from systemd import daemon  # by hand it is not needed

    return daemon.listen_fds_with_names(unset_environment=True)


class Notifier:
    """Speaks to the service manager by `send`; None: there is no manager."""

    def __init__(self, send: Send | None) -> None:
        self._send = send
        self._status = ""
        self._waiting: dict[tuple[str, str], tuple[str, int | None]] = {}
        """What the manager has not taken yet, in order: the newest of each kind, with a duplicate of its descriptor."""
        self._retry: asyncio.TimerHandle | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._failed = False

    @property
    def active(self) -> bool:
        """Whether there is a service manager."""
        return self._send is not None

    def ready(self, status: str = "") -> None:
        """The interface is open and the sockets are bound, or a reload has ended."""
        self._status = status
        self._say(f"READY=1\nSTATUS={status}" if status else "READY=1")

    def status(self, status: str) -> None:
        """Sets the text that `systemctl status` shows: the links and their states."""
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
        """Stores a descriptor over a restart.

        Without FDPOLL=0 systemd would drop a UDP socket after one ICMP error.
        """
        self._say(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", name, descriptor)

    def forget(self, name: str) -> None:
        """Removes a descriptor from the store."""
        self._drop(("FDSTORE", name))
        self._say(f"FDSTOREREMOVE=1\nFDNAME={name}", name)

    def start_watchdog(self) -> None:
        """Has the packet loop itself tell systemd twice in each period that it turns."""
        usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
            return
        loop = asyncio.get_running_loop()
        period = int(usec) / 2_000_000

        def ping() -> None:
            self._say("WATCHDOG=1")
            self._watchdog = loop.call_later(period, ping)

        ping()

    def _say(self, text: str, name: str = "", descriptor: int | None = None) -> None:
        key = text.partition("=")[0], name
        self._drop(key)
        if self._waiting or not self._sent(text, descriptor):
            self._waiting[key] = text, None if descriptor is None else os.dup(descriptor)
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(RETRY, self._say_waiting)

    def _say_waiting(self) -> None:
        self._retry = None
        for key, (text, descriptor) in list(self._waiting.items()):
            if not self._sent(text, descriptor):
                self._retry = asyncio.get_running_loop().call_later(RETRY, self._say_waiting)
                return
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        _text, descriptor = self._waiting.pop(key, ("", None))
        if descriptor is not None:
            os.close(descriptor)

    def _sent(self, text: str, descriptor: int | None) -> bool:
        """Whether no retry is needed: it was sent, or never can be, which only a debug line tells."""
        if self._send is None:
            return True
        try:
            self._send(text, () if descriptor is None else (descriptor,))
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._failed:
                _log.debug("the service manager cannot be reached: %s", error.strerror or error)
            self._failed = True
        return True
