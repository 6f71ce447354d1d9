"""The command line's options, for the privileged parent and the daemon."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_VERBOSITY = 2
"""Warnings and information; 3 adds debug lines."""


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `mlvpn` and `mlvpnd`, with upstream's defaults."""

    config_path: str = "mlvpn.conf"
    """Absolute by the time that a process uses it."""
    name: str = "mlvpn"
    """The tunnel's name in process titles and the system log."""
    user: str = "mlvpn"
    """The daemon becomes this user."""
    verbosity: int = DEFAULT_VERBOSITY
    log_to_terminal: bool = False
    """True: log to standard error instead of syslog (`--debug`, `-D`)."""
    debug_tokens: frozenset[str] = frozenset()
    """Subsystems whose debug lines are shown."""
    natural_title: bool = False
    """True: leave the process title alone."""
