"""Sends log lines to syslog, or to standard error in upstream's format.

A logger's name ends in upstream's token (`logger("protocol")`); `-D TOKEN` lets a token's debug lines through.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import socket
import sys
import time
from collections.abc import Callable

from mlvpnd.base.options import DEFAULT_VERBOSITY, Options

from .limit import ASKED, LineLimit

__all__ = [
    "ASKED",
    "ROOT",
    "TOKENS",
    "SyslogHandler",
    "TerminalFormatter",
    "connect_syslog",
    "logger",
    "set_levels",
    "setup",
]

ROOT = "mlvpnd"
TOKENS = frozenset("buffer config control dns net privsep protocol reorder rtt systemd tuntap wrr".split())
"""Upstream's debug tokens."""

SYSLOG_PATH = "/dev/log"
_FACILITY_DAEMON = 3 << 3
# From logging's levels to syslog's severities and upstream's tags.
_SEVERITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_TAG = {
    logging.DEBUG: " DBG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: " ERR",
    logging.CRITICAL: "CRIT",
}
_COLOUR = {logging.DEBUG: "34", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31;1"}


def logger(token: str = "") -> logging.Logger:
    """The logger of an upstream token; without a token, of lines that upstream logs without one."""
    return logging.getLogger(f"{ROOT}.{token}" if token else ROOT)


def _token(record: logging.LogRecord) -> str:
    return record.name.removeprefix(ROOT).removeprefix(".")


class TerminalFormatter(logging.Formatter):
    """`2026-11-22T07:35:40 [INFO/protocol] adsl1 authenticated`, in local time as with upstream."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        token = _token(record)
        tag = _TAG.get(record.levelno, record.levelname)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        line = f"{stamp} [{tag}/{token}] " if token else f"{stamp} [{tag}] "
        line += record.getMessage()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        code = _COLOUR.get(record.levelno)
        return f"\033[{code}m{line}\033[0m" if self._colour and code else line


class SyslogHandler(logging.Handler):
    """Sends to an open syslog socket. Never blocks, and asks for a new socket after the syslog daemon's restart.

    `reopen` gives a connected datagram socket, or None if that is impossible now. In a chrooted process it asks the
    helper, because the process cannot reach /dev/log.
    """

    def __init__(self, ident: str, reopen: Callable[[], socket.socket | None]) -> None:
        super().__init__()
        self._ident = ident
        self.reopen = reopen
        self._socket = reopen()

    @property
    def connected(self) -> bool:
        """Whether there was a system log at the last look."""
        return self._socket is not None

    def descriptors(self) -> set[int]:
        """The descriptors that it holds open."""
        return set() if self._socket is None else {self._socket.fileno()}

    def attach(self, sock: socket.socket | None) -> None:
        """Uses `sock` from now on."""
        if self._socket is not None:
            self._socket.close()
        self._socket = sock

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        priority = _FACILITY_DAEMON | _SEVERITY.get(record.levelno, 6)
        for line in text.splitlines() or [""]:
            stamp = time.strftime("%b %e %H:%M:%S", time.localtime(record.created))
            self._send(f"<{priority}>{stamp} {self._ident}[{os.getpid()}]: {line}".encode(errors="replace"))

    def _send(self, line: bytes) -> None:
        for attempt in range(2):
            try:
                if self._socket is not None:
                    self._socket.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                    return
            except BlockingIOError:
                break  # a full log must not stop the tunnel
            except OSError:
                pass
            if attempt == 0:
                self.attach(self.reopen())

    def close(self) -> None:
        self.attach(None)
        super().close()


def connect_syslog() -> socket.socket | None:
    """A socket connected to the system log; None: there is no system log."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.connect(SYSLOG_PATH)
    except OSError:
        sock.close()
        return None
    return sock


def setup(options: Options) -> SyslogHandler | None:
    """Directs mlvpnd's lines as the options say; returns the syslog handler if they go to syslog.

    Without a system log they go to standard error, which is better than nowhere. asyncio's lines go the same way: an
    exception that nobody waited for is a fault of ours, which an operator should see.
    """
    syslog = None if options.log_to_terminal else SyslogHandler(options.name, connect_syslog)
    handler: logging.Handler
    if syslog is not None and syslog.connected:
        handler = syslog
    else:
        syslog = None
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(TerminalFormatter(colour=sys.stderr.isatty()))
    handler.addFilter(LineLimit())
    for name in (ROOT, "asyncio"):
        one = logging.getLogger(name)
        one.propagate = False
        one.handlers[:] = [handler]
    set_levels(options)
    logging.raiseExceptions = False  # if the log is gone, no tracebacks are printed
    return syslog


def descriptors() -> set[int]:
    """The descriptors that the log holds open besides the standard streams."""
    handlers = logging.getLogger(ROOT).handlers
    return {number for one in handlers if isinstance(one, SyslogHandler) for number in one.descriptors()}


def set_levels(options: Options) -> None:
    """Upstream's rule: warnings always, information from 2, debug from 3, or at exactly 2 for the given tokens."""
    if options.verbosity > DEFAULT_VERBOSITY:
        base = logging.DEBUG
    elif options.verbosity == DEFAULT_VERBOSITY:
        base = logging.INFO
    else:
        base = logging.WARNING
    logging.getLogger(ROOT).setLevel(base)
    for token in TOKENS:
        chosen = options.verbosity == DEFAULT_VERBOSITY and token in options.debug_tokens
        logger(token).setLevel(logging.DEBUG if chosen else logging.NOTSET)
