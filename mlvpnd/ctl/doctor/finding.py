"""What a check found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Works, but not as well as it could; or could not be looked at."""
    PROBLEM = "problem"
    """Something does not work, or will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing."""

    severity: Severity
    check: str
    """The check's name, for programs."""
    text: str
    commands: tuple[str, ...] = ()
    """What to type."""
    link: str = ""
    """The link that it is about; empty: the tunnel or the host."""

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
    """All is well."""
    return Finding(Severity.OK, check, text, (), link)


def warning(check: str, text: str, *commands: str, link: str = "") -> Finding:
    """See `Severity.WARNING`."""
    return Finding(Severity.WARNING, check, text, commands, link)


def problem(check: str, text: str, *commands: str, link: str = "") -> Finding:
    """See `Severity.PROBLEM`."""
    return Finding(Severity.PROBLEM, check, text, commands, link)
