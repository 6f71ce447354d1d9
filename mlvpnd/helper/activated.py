"""The helper under systemd: `mlvpn-helper@NAME.service` and `mlvpn-script@NAME.service`, started by their sockets.

Both are this program. The socket's name says which part of the table is served: `FileDescriptorName=helper` or
`script`. Only the daemon of the same tunnel may connect: the daemon's user, in the daemon's control group.
After half a minute without a request the process ends; systemd keeps the socket and starts it again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import pwd
import select
import signal
import socket
import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass

from mlvpnd.base.credentials import credentials_of
from mlvpnd.base.instance import config_path, is_name
from mlvpnd.errors import MlvpndError
from mlvpnd.logs import journal, log
from mlvpnd.logs.limit import LineLimit
from mlvpnd.systemd import notify

from . import address, requests
from .operations import Operations
from .server import refuse, serve_connection

USER = "mlvpn"
IDLE_TIME = 30.0
"""Seconds after the last request until the process ends."""
MAX_CONNECTIONS = 64
STOP_PATIENCE = 3.0
"""Seconds that a daemon may take from one request to the next while the service is being stopped."""

ROLES: dict[str, Set[type[requests.Request]]] = {"helper": requests.HELPER, "script": requests.SCRIPT}

_STOP_CHECK_INTERVAL = 0.05
_SO_PEERPIDFD = 77  # asm-generic/socket.h, Linux 6.5; not in Python's socket
_CGROUP_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd")
"""Roots of the control group trees: version 2 and version 1."""

_log = log.logger("privsep")


class ServiceError(MlvpndError):
    """The service was started in a wrong way; the text is for the journal."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may ask."""

    uid: int
    unit: str
    """Its systemd unit."""

    def check(self, sock: socket.socket) -> list[str]:
        """Returns the control groups of the process at the other end; raises `requests.Refused` if it may not ask."""
        pid, uid, _gid = credentials_of(sock)
        if uid != self.uid:
            raise requests.Refused(f"process {pid} of user {uid} is not the daemon")
        try:
            process = _peer_process(sock, pid)
        except OSError:
            raise requests.Refused(f"process {pid} is gone") from None
        try:
            groups = control_groups(pid)
            if select.select([process], [], [], 0)[0]:
                groups = []  # it has ended: its number may be another's by now
        finally:
            os.close(process)
        if not any(is_unit(group, self.unit, own) for own in own_groups() for group in groups):
            raise requests.Refused(f"process {pid} is not in {self.unit}")
        return groups


def _peer_process(sock: socket.socket, pid: int) -> int:
    """A descriptor of the process at the other end, readable once the process has ended. Raises OSError."""
    try:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return os.pidfd_open(pid)


def control_groups(pid: int) -> list[str]:
    """The control groups in which systemd has put a process: of version 2, and on older hosts also of version 1."""
    try:
        with open(f"/proc/{pid}/cgroup", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = [line.split(":", 2) for line in lines]
    return [path for number, controllers, path in found if number == "0" or controllers == "name=systemd"]


def own_groups() -> list[str]:
    """The control groups in which systemd has put us."""
    return control_groups(os.getpid())


def is_unit(group: str, unit: str, own: str) -> bool:
    """Whether a control group is the one of `unit`, under the same manager that has put us into the group `own`.

    The whole path must fit: from the root of the manager's tree only slices, and then the unit. The last name proves
    nothing: whoever owns a part of the tree, like a user's own manager, can make any name there. But such a part is
    below a service or a scope, because only root makes groups in a slice.
    """
    *above, _ours = own.split("/")
    begin = next((at for at, part in enumerate(above) if part.endswith(".slice")), len(above))
    parts = group.split("/")
    *slices, last = parts[begin:] or [""]
    return parts[:begin] == above[:begin] and last == unit and all(part.endswith(".slice") for part in slices)


def has_company() -> bool:
    """Whether a script has left processes in our control group, which would not outlive us."""
    mine = os.getpid()
    # A group without us has only the same name in the other tree.
    return any(mine in processes and len(processes) > 1 for processes in members(own_groups()))


def members(groups: list[str]) -> Iterator[set[int]]:
    """The processes of each control group, in both trees."""
    for group in groups:
        for root in _CGROUP_ROOTS:
            try:
                with open(f"{root}{group}/cgroup.procs") as file:
                    yield {int(line) for line in file}
            except OSError:
                continue


class Service:
    """Serves the connections of one listening socket."""

    def __init__(
        self,
        listening: socket.socket,
        operations: Operations,
        allowed: Set[type[requests.Request]],
        caller: Caller,
        *,
        idle_time: float = IDLE_TIME,
    ) -> None:
        self._listening = listening
        self._operations = operations
        self._allowed = allowed
        self._caller = caller
        self._idle_time = idle_time
        self._last_active = 0.0
        self._connections: set[asyncio.Task[None]] = set()
        self._daemon: list[str] = []
        """The daemon's control groups, once it has asked."""

    async def run(self) -> None:
        """Serves until it is idle, or until SIGTERM has come and the daemon has ended. Begun requests are answered."""
        loop = asyncio.get_running_loop()
        self._listening.settimeout(0)
        self._last_active = loop.time()
        waiting = asyncio.create_task(self._until_idle())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, waiting.cancel)
        loop.add_reader(self._listening, self._accept)
        notifier = notify.Notifier(notify.send if os.environ.get("NOTIFY_SOCKET") else None)
        notifier.ready()
        await asyncio.wait([waiting])
        notifier.stopping()
        if waiting.cancelled():
            await self._until_released()
        loop.remove_reader(self._listening)
        await asyncio.gather(*self._connections)
        await self._operations.close()

    async def _until_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            rest = self._last_active + self._idle_time - loop.time()
            if rest <= 0:
                if not self._connections and not self._is_needed():
                    return
                rest = self._idle_time
            await asyncio.sleep(rest)

    def _is_needed(self) -> bool:
        """Whether the script role must stay for the stop: a socket that is about to be stopped starts nothing."""
        return requests.RunScript in self._allowed and (self._operations.owes_an_end or has_company())

    async def _until_released(self) -> None:
        """Waits for the daemon's end: systemd stops us at the same time, and the daemon has scripts to run before."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        while any(members(self._daemon)):
            if not self._connections and loop.time() > max(asked_at, self._last_active) + STOP_PATIENCE:
                return
            await asyncio.sleep(_STOP_CHECK_INTERVAL)

    def _accept(self) -> None:
        try:
            sock, _address = self._listening.accept()
        except OSError:
            return  # the caller has already gone
        try:
            if len(self._connections) >= MAX_CONNECTIONS:
                raise requests.Refused(f"{MAX_CONNECTIONS} requests are being served already")
            groups = self._caller.check(sock)
        except requests.Refused as error:
            with sock:
                if not _has_left(sock):
                    refuse(sock, error)
            return
        self._daemon = groups
        task = asyncio.create_task(serve_connection(sock, self._operations, self._allowed))
        self._connections.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._last_active = asyncio.get_running_loop().time()


def _has_left(sock: socket.socket) -> bool:
    """Whether the caller has hung up without a request: it only wanted to wake us, and may have ended."""
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return False


def main(argv: list[str] | None = None) -> int:
    """Runs `mlvpn-helper ARGUMENTS`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="mlvpn-helper", description="Answers the requests of a tunnel's daemon. Started by systemd only."
    )
    parser.add_argument("--instance", metavar="NAME", required=True, help="the tunnel")
    instance: str = parser.parse_args(argv).instance
    _log_to_journal()
    try:
        asyncio.run(_serve(instance))
    except MlvpndError as error:
        _log.critical("%s", error)
        return 1
    return 0


async def _serve(instance: str) -> None:
    if not is_name(instance):
        raise ServiceError(f"{instance!a} is not the name of a tunnel; allowed: letters, digits and :_.-")
    listening, role = _inherited_socket()
    with listening:
        try:
            user = pwd.getpwnam(USER)
        except KeyError:
            raise ServiceError(f"user {USER} does not exist") from None
        operations = Operations(
            config_path(instance),
            user.pw_uid,
            user.pw_gid,
            follow_symlinks=False,
            up_links_path=f"{address.DIRECTORY}/{instance}.links" if role == "script" else "",
        )
        caller = Caller(user.pw_uid, f"mlvpn@{instance}.service")
        await Service(listening, operations, ROLES[role], caller).run()


def _inherited_socket() -> tuple[socket.socket, str]:
    """The listening socket and the role that its name says. Raises ServiceError."""
    found = dict(notify.inherited())
    if len(found) != 1:
        raise ServiceError(
            f"{len(found)} sockets were passed instead of one: only a socket unit of systemd starts this program"
        )
    ((descriptor, role),) = found.items()
    if role not in ROLES:
        raise ServiceError(f"the socket is named {role!a} instead of one of {', '.join(ROLES)}")
    sock = socket.socket(fileno=descriptor)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_SEQPACKET:
        sock.close()
        raise ServiceError("the socket is not a seqpacket socket")
    return sock, role


def _log_to_journal() -> None:
    handler: logging.Handler
    if "JOURNAL_STREAM" in os.environ:
        # From the environment, before the socket is checked: errors of the socket are logged here, too.
        role = "script" if os.environ.get("LISTEN_FDNAMES") == "script" else "helper"
        handler = journal.JournalHandler(identifier=f"mlvpn-{role}")
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(log.TerminalFormatter(colour=False))
    handler.addFilter(LineLimit())
    root = logging.getLogger(log.ROOT)
    root.propagate = False
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.raiseExceptions = False


if __name__ == "__main__":
    raise SystemExit(main())
