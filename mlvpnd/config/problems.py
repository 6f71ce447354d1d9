"""Collects what is wrong with a file: all problems up to a limit, each with its place."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mlvpnd.base.printable import printable
from mlvpnd.errors import MlvpndError

from .schema import GENERAL_KEYS, LINK_KEYS, RETIRED_KEYS, spellings

MAX_PROBLEMS = 100
"""Problems kept of each kind: a file of garbage must not fill the log. The rest is counted."""
MAX_SHOWN_KEY = 24
"""Characters. A message shows an unknown key up to this length; a longer one may be a piece of a password."""
HIDDEN = "…"
"""Replaces text in a message that may be a piece of a password; the line's number tells where it is."""
_SHOWN_LENGTH = 60
_KNOWN_KEYS = frozenset((*spellings(GENERAL_KEYS), *spellings(LINK_KEYS), *RETIRED_KEYS))


@dataclass(frozen=True, slots=True)
class Problem:
    """One line for the operator: `file:line: key: what is wrong and what is allowed`."""

    filename: str
    line: int
    """Counted from 1; 0: the whole file."""
    key: str
    """Empty: no particular key."""
    message: str

    def __str__(self) -> str:
        place = f"{printable(self.filename)}:{self.line}" if self.line else printable(self.filename)
        return f"{place}: {printable(self.key)}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(MlvpndError):
    """The file cannot be used. The error's text is all `problems`, one per line."""

    def __init__(self, problems: tuple[Problem, ...], warnings: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
        self.warnings = warnings
        """The warnings that a usable file would have given; often the cause of `problems`."""


class Severity(enum.Enum):
    """A problem's effect on a start, and on `check-config`, which is strict."""

    ERROR = "refused by both"
    LAX = "a warning at start, as upstream lets it pass; refused by check-config"
    ADVICE = "a warning in both"


class Report:
    """One file's problems while it is read. Bounded: problems that do not fit are counted."""

    def __init__(self, filename: str, *, strict: bool) -> None:
        self._filename = filename
        self._strict = strict
        self._found: dict[bool, list[Problem]] = {True: [], False: []}
        self._omitted = {True: 0, False: 0}

    def _fatal(self, severity: Severity) -> bool:
        return severity is Severity.ERROR or (self._strict and severity is Severity.LAX)

    def has_room(self, severity: Severity) -> bool:
        """Whether one more problem will be kept; else its text need not be made."""
        return len(self._found[self._fatal(severity)]) < MAX_PROBLEMS

    def add(self, severity: Severity, line: int, key: str, message: str) -> None:
        """Notes a problem; `key` and `line` as in `Problem`."""
        fatal = self._fatal(severity)
        if self.has_room(severity):
            self._found[fatal].append(Problem(self._filename, line, shown_key(key), message))
        else:
            self._omitted[fatal] += 1

    def error(self, line: int, key: str, message: str) -> None:
        """Notes an error: the file cannot be used."""
        self.add(Severity.ERROR, line, key, message)

    def lax(self, line: int, key: str, message: str) -> None:
        """Notes what upstream lets pass: a warning, or an error when strict."""
        self.add(Severity.LAX, line, key, message)

    def advise(self, line: int, key: str, message: str) -> None:
        """Notes a warning: it works, but probably not as meant."""
        self.add(Severity.ADVICE, line, key, message)

    def _sorted(self, *, fatal: bool) -> tuple[Problem, ...]:
        problems = sorted(self._found[fatal], key=lambda problem: problem.line)
        if self._omitted[fatal]:
            problems.append(Problem(self._filename, 0, "", f"and {self._omitted[fatal]} more"))
        return tuple(problems)

    @property
    def failed(self) -> bool:
        """Whether there was an error."""
        return bool(self._found[True])

    def errors(self) -> tuple[Problem, ...]:
        """The errors in the file's order, at most `MAX_PROBLEMS`, and a line that counts the others."""
        return self._sorted(fatal=True)

    def warnings(self) -> tuple[Problem, ...]:
        """The warnings, as `errors`."""
        return self._sorted(fatal=False)


def shown_key(key: str, *, certain: bool = True) -> str:
    """The key as a message may show it: `HIDDEN` if it may be a piece of a secret, which does not belong in a log.

    `password my=secret` makes the key `passwordmy`. A password's second line may look like any key, and good passwords
    are long. Without `certain`, only known words are shown.
    """
    if key in _KNOWN_KEYS:
        return key
    if key.startswith("password"):
        return f"password{HIDDEN}"
    return shown(key) if certain and len(key) <= MAX_SHOWN_KEY else HIDDEN


def shown(text: str) -> str:
    """`text` as a message may show it: printable and not too long."""
    return printable(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…")
