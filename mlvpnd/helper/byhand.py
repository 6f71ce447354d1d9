"""`mlvpn -c FILE` without systemd: a parent that keeps root as `[priv]` and a forked child that is the daemon.

1. While there is one process and a terminal, the parent checks what may fail: file, user, /dev/net/tun.
2. It forks before anything is parsed and before asyncio starts. Both processes share a SEQPACKET channel.
3. For each request the child makes a socket pair and passes one end over the channel. The parent serves it like an
   accepted connection, so a slow request delays no other.
4. The channel's end tells either side that the other is gone: the daemon stops; the parent undoes what it set.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlvpnd.base import proctitle
from mlvpnd.base.options import Options
from mlvpnd.config import file as config_file
from mlvpnd.config.schema import MAX_LINKS
from mlvpnd.daemon import sandbox
from mlvpnd.errors import MlvpndError
from mlvpnd.logs.log import descriptors as log_descriptors
from mlvpnd.logs.log import logger

from . import channel
from .client import HelperClient

if TYPE_CHECKING:
    from .operations import Operations

STOP_LIMIT = 70.0
"""Seconds that the daemon has to end after SIGTERM: its last script's time limit and some more."""
TUN_DEVICE = "/dev/net/tun"

_FORWARDED = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_STOP = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
# By default they end the process; none means anything to us.
_IGNORED = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
)
_MAX_CONNECTIONS = 2 * MAX_LINKS  # each link has at most one request under way, the rest of the daemon a few
_CONNECTION_WORD = b"c"

_log = logger("privsep")

Child = Callable[[Options, HelperClient], int]
"""Runs the daemon from its imports to its exit code; enters the sandbox by itself."""


class StartError(MlvpndError):
    """The process cannot start; the text is for the operator."""


def run(options: Options, child: Child) -> int:
    """Starts the daemon and serves it until it ends; returns the exit code. Raises MlvpndError before the fork."""
    user = _check(options)
    _detach()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        mine.close()
        _run_child(options, child, theirs)
    theirs.close()
    title = f"mlvpn: {options.name} [priv]" if options.name else "mlvpn: [priv]"
    proctitle.set_title(title, natural=options.natural_title)
    with mine:
        return asyncio.run(_Parent(options, user, pid, mine).serve())


def _check(options: Options) -> pwd.struct_passwd:
    """Returns the daemon's user. Raises MlvpndError for what would fail later with a less clear message."""
    os.close(config_file.open_file(options.config_path))
    user = sandbox.find_user(options.user)
    if not os.access(TUN_DEVICE, os.R_OK | os.W_OK):
        raise StartError(f"unable to open {TUN_DEVICE}")
    return user


def _detach() -> None:
    """Makes a clean environment for the programs that the process will start; gives up the terminal's input."""
    os.chdir("/")
    os.umask(0o022)
    _close_inherited()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    _only_write_errors()
    sandbox.hide_memory()
    # A signal between the fork and the handlers would kill one of the two processes.
    signal.pthread_sigmask(signal.SIG_SETMASK, (*_FORWARDED, *_IGNORED))
    # Our starter may have ignored them, and scripts would inherit this.
    for number in (*_FORWARDED, *_IGNORED, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _close_inherited() -> None:
    """Closes inherited descriptors: our starter may have opened what only root can open.

    Standard error stays, and so does the system log, the only descriptor that we have opened ourselves until now.
    """
    kept = log_descriptors()
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and int(entry) not in kept:
            try:
                os.close(int(entry))
            except OSError:
                pass  # it was the listing's own


def _only_write_errors() -> None:
    """Makes standard error write-only.

    A shell hands over its terminal for reading and writing: a daemon that was taken over could type into the shell
    (TIOCSTI) and read what is typed. Or it may be a file open for reading, which the daemon's user could not open.
    """
    mode = fcntl.fcntl(2, fcntl.F_GETFL) & os.O_ACCMODE
    if mode == os.O_WRONLY or stat.S_ISSOCK(os.fstat(2).st_mode):
        return  # a socket has no other mode
    path, flags = ("/proc/self/fd/2", os.O_APPEND) if mode == os.O_RDWR else (os.devnull, 0)
    try:
        errors = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | flags)
    except PermissionError:
        return  # not started by root: a terminal or a file of another user
    os.dup2(errors, 2)
    os.close(errors)


def _run_child(options: Options, child: Child, link: socket.socket) -> None:
    """Becomes the daemon; never returns."""
    code = 1
    try:
        # Until the daemon has its handlers, SIGHUP has nothing to reload, and stop signals keep their default.
        for number in (signal.SIGHUP, *_IGNORED):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setsid()  # the child must not keep root's terminal
        proctitle.set_title(f"mlvpn: {options.name}".rstrip(": "), natural=options.natural_title)
        code = child(options, HelperClient(ByHandConnector(link), link))
    except MlvpndError as error:
        logger().critical("%s", error)
    except BaseException:
        logger().critical("the daemon failed:\n%s", traceback.format_exc())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class ByHandConnector:
    """Makes fresh connections to the parent over the shared channel."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def __call__(self) -> socket.socket:
        """A connection. Raises OSError if the parent is gone or overloaded."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                channel.send(self._link, _CONNECTION_WORD, theirs.fileno())
            except OSError:
                mine.close()
                raise
        return mine


class _Parent:
    """The privileged process after the fork."""

    def __init__(self, options: Options, user: pwd.struct_passwd, pid: int, link: socket.socket) -> None:
        self._options = options
        self._user = user
        self._pid = pid
        self._link = link
        self._stop_signals: list[int] = []
        self._kill_timer: asyncio.TimerHandle | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self) -> int:
        """Serves until the child is gone, undoes what was set, and returns the exit code."""
        # Imported after the fork: the child does not need it.
        from .operations import Operations

        loop = asyncio.get_running_loop()
        for number in _FORWARDED:
            loop.add_signal_handler(number, self._forward, number)
        for number in _IGNORED:
            # A handler that does nothing: scripts would inherit SIG_IGN.
            loop.add_signal_handler(number, int)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_FORWARDED, *_IGNORED))
        operations = Operations(self._options.config_path, self._user.pw_uid, self._user.pw_gid)
        accepting = asyncio.create_task(self._accept(operations))
        status = await self._child_end()
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        await operations.close()
        await operations.undo()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        return self._exit_code(status)

    async def _accept(self, operations: Operations) -> None:
        from .server import serve_connection

        while True:
            await asyncio.sleep(0)  # a channel that is never empty must not keep signals and requests waiting
            try:
                data, descriptor = await channel.next_message(self._link, len(_CONNECTION_WORD))
            except channel.MessageError as error:
                _log.warning("connection refused: %s", error)
                continue
            except OSError:
                break
            if descriptor is None:
                if data:
                    _log.warning("connection refused: no descriptor")
                    continue
                break
            connection = _seqpacket_socket(descriptor)
            if connection is None:
                _log.warning("connection refused: not a seqpacket socket")
            elif len(self._connections) >= _MAX_CONNECTIONS:
                _log.warning("connection refused: %d requests are being served already", len(self._connections))
                connection.close()
            else:
                task = asyncio.create_task(serve_connection(connection, operations))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)
        # The child is ending, or has gone wrong.
        self._stop_child()

    def _forward(self, number: int) -> None:
        if number in _STOP:
            self._stop_signals.append(number)
            if len(self._stop_signals) > 1:
                self._signal_child(signal.SIGKILL)
                return
            self._arm_kill()
        self._signal_child(number)

    def _stop_child(self) -> None:
        self._signal_child(signal.SIGTERM)
        self._arm_kill()

    def _arm_kill(self) -> None:
        if self._kill_timer is None:
            loop = asyncio.get_running_loop()
            self._kill_timer = loop.call_later(STOP_LIMIT, self._signal_child, signal.SIGKILL)

    def _signal_child(self, number: int) -> None:
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            pass

    async def _child_end(self) -> int:
        """Waits for the child's end and reaps it. Returns its exit code, or minus the signal that killed it."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(self._pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        _pid, status = os.waitpid(self._pid, 0)  # noqa: ASYNC222 - it has ended
        return os.waitstatus_to_exitcode(status)

    def _exit_code(self, status: int) -> int:
        if status >= 0:
            return status
        if -status in self._stop_signals and -status in _STOP:
            return 0  # stopped before it had started
        _log.error("the daemon was killed by signal %d", -status)
        return 1


def _seqpacket_socket(descriptor: int) -> socket.socket | None:
    """The seqpacket socket of a descriptor; None: it is something else and is closed."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_SEQPACKET:
        sock.close()
        return None
    return sock
