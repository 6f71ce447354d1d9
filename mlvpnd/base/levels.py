"""The levels of a log, in the words of syslog(3) and systemd."""

from __future__ import annotations

LOG_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""The most urgent first."""
