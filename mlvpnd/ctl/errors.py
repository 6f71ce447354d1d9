"""The errors that may end a run of `mlvpnctl`; the class gives the exit code."""

from __future__ import annotations

from mlvpnd.errors import MlvpndError

DONE = 0
FAILED = 1
WRONG_USAGE = 2
NOT_RUNNING = 3
NOT_FOUND = 4
NOT_ALLOWED = 5


class CtlError(MlvpndError):
    """The run failed; the text is for the operator and may have several lines."""

    exit_code = FAILED


class UsageError(CtlError):
    """The arguments make no sense."""

    exit_code = WRONG_USAGE


class NotRunning(CtlError):
    """The tunnel exists but does not run."""

    exit_code = NOT_RUNNING


class TunnelGone(NotRunning):
    """Nobody owns the tunnel's name on the bus."""


class NotFound(CtlError):
    """There is no such tunnel or link."""

    exit_code = NOT_FOUND


class Unsupported(CtlError):
    """The daemon is of an older version, which does not know the call."""


class NotAllowed(CtlError):
    """The caller may not do this."""

    exit_code = NOT_ALLOWED


class ConfigRefused(CtlError):
    """A reload failed and changed nothing; the text has a line for each problem, `file:line: …`."""


class Unreachable(CtlError):
    """Nobody can be asked: no bus, or nobody at the socket."""
