"""The result of a check."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could; or it could not be checked."""
    PROBLEM = "problem"
    """Something does not work, or will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found about one thing, and what to do about it."""

    severity: Severity
    check: str
    """The check's name, for programs."""
    text: str
    commands: tuple[str, ...] = ()
    """Commands to type."""
    link: str = ""
    """The finding's link; empty: it is about the tunnel or the host."""

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "Severity": self.severity.value,
            "Check": self.check,
            "Link": self.link,
            "Text": self.text,
            "Commands": list(self.commands),
        }


def ok(check: str, text: str, *, link: str = "") -> Finding:
    """Everything is well."""
    return Finding(Severity.OK, check, text, (), link)


def warning(check: str, text: str, *commands: str, link: str = "") -> Finding:
    """See `Severity.WARNING`."""
    return Finding(Severity.WARNING, check, text, commands, link)


def problem(check: str, text: str, *commands: str, link: str = "") -> Finding:
    """See `Severity.PROBLEM`."""
    return Finding(Severity.PROBLEM, check, text, commands, link)
