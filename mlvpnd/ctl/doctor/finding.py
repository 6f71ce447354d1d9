"""The result of a check."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

EXAMPLES = "/usr/share/doc/mlvpnd/examples"
WHICH_FILE = f"FILE is your own, or an example: {EXAMPLES}/client.conf or server.conf."
UNTIL_REBOOT = "These commands last until the next reboot."
"""The note of commands that change the kernel alone."""
_LOG = "mlvpnctl log "
_OF_SERVICES = ("mlvpnctl link ", "mlvpnctl reload ", "systemctl ")
"""Beginnings of commands that change a tunnel under systemd."""
_START_AGAIN = "The tunnel was started by hand. Start it again: this does the same."


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
    """The finding's link; empty: it is about the tunnel, the host, or several links."""
    note: str = ""
    """What else there is to know of the commands, as how long their effect lasts."""

    def noted(self, note: str) -> Finding:
        """The same with a note."""
        return replace(self, note=note)

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "Severity": self.severity.value,
            "Check": self.check,
            "Link": self.link,
            "Text": self.text,
            "Commands": list(self.commands),
            "Note": self.note,
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


def by_hand(finding: Finding) -> Finding:
    """A finding about a tunnel that was started by hand: without the commands that only services understand."""
    left = tuple(one for one in finding.commands if not one.startswith((_LOG, *_OF_SERVICES)))
    if left == finding.commands:
        return finding
    changes = any(one.startswith(_OF_SERVICES) for one in finding.commands)
    return replace(finding, commands=left, note=_START_AGAIN if changes else finding.note)


def sysctl(name: str, value: int) -> tuple[str, str]:
    """Commands that set a parameter of the kernel now and at each boot."""
    return f"sysctl -w {name}={value}", f"echo {name}={value} >>/etc/sysctl.d/90-mlvpn.conf"


def listed(names: list[str]) -> str:
    """`link1`, `link1 and link2`, `link1, link2 and link3`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
