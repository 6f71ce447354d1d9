"""What is wrong with a file, collected: all of it up to a limit, each with its place."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mlvpnd.base.printable import printable
from mlvpnd.errors import MlvpndError

from .schema import GENERAL_KEYS, LINK_KEYS, RETIRED_KEYS, spellings

MAX_PROBLEMS = 100
"""Kept of each kind; a file of garbage must not fill the log. The rest is counted."""
MAX_SHOWN_KEY = 24
"""Characters of an unknown key that a message shows; a longer one may be a piece of a password."""
HIDDEN = "…"
"""Stands in a message for text of the file that may be a piece of a password; the line's number tells where it is."""
_SHOWN_LENGTH = 60
_KNOWN_KEYS = frozenset((*spellings(GENERAL_KEYS), *spellings(LINK_KEYS), *RETIRED_KEYS))


@dataclass(frozen=True, slots=True)
class Problem:
    """One line for the operator: `file:line: key: what is wrong and what is allowed`."""

    filename: str
    line: int
    """Counted from 1; 0: the file as a whole."""
    key: str
    """Empty: no key in particular."""
    message: str

    def __str__(self) -> str:
        place = f"{printable(self.filename)}:{self.line}" if self.line else printable(self.filename)
        return f"{place}: {printable(self.key)}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(MlvpndError):
    """A file that cannot be used; its text is all `problems`, one per line."""

    def __init__(self, problems: tuple[Problem, ...], warnings: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
        self.warnings = warnings
        """What would have been warned of had the file been usable; often the cause of `problems`."""


class Severity(enum.Enum):
    """What a problem does to a start, and to `check-config`, which is strict."""

    ERROR = "refused by both"
    LAX = "a warning at start, as upstream lets it pass; refused by check-config"
    ADVICE = "a warning in both"


class Report:
    """Problems of one file while it is read. Bounded: what does not fit is counted."""

    def __init__(self, filename: str, *, strict: bool) -> None:
        self._filename = filename
        self._strict = strict
        self._found: dict[bool, list[Problem]] = {True: [], False: []}
        self._omitted = {True: 0, False: 0}

    def _fatal(self, severity: Severity) -> bool:
        return severity is Severity.ERROR or (self._strict and severity is Severity.LAX)

    def has_room(self, severity: Severity) -> bool:
        """Whether one more will be kept: else its text need not be worked out."""
        return len(self._found[self._fatal(severity)]) < MAX_PROBLEMS

    def add(self, severity: Severity, line: int, key: str, message: str) -> None:
        """Notes a problem; `key` and `line` as in `Problem`."""
        fatal = self._fatal(severity)
        if self.has_room(severity):
            self._found[fatal].append(Problem(self._filename, line, shown_key(key), message))
        else:
            self._omitted[fatal] += 1

    def error(self, line: int, key: str, message: str) -> None:
        """The file cannot be used."""
        self.add(Severity.ERROR, line, key, message)

    def lax(self, line: int, key: str, message: str) -> None:
        """Upstream lets it pass: a warning, or an error when strict."""
        self.add(Severity.LAX, line, key, message)

    def advise(self, line: int, key: str, message: str) -> None:
        """Works, but probably not as meant."""
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
        """In the file's order, at most `MAX_PROBLEMS` and a line that counts the others."""
        return self._sorted(fatal=True)

    def warnings(self) -> tuple[Problem, ...]:
        """As `errors`."""
        return self._sorted(fatal=False)


def shown_key(key: str, *, certain: bool = True) -> str:
    """A key fit for a message: `HIDDEN` where it may be a piece of a secret, which does not belong in a log.

    `password my=secret` makes the key `passwordmy`. A password that goes on in a second line makes any key there, and
    is the longer the better. Without `certain` only words that are known are shown.
    """
    if key in _KNOWN_KEYS:
        return key
    if key.startswith("password"):
        return f"password{HIDDEN}"
    return shown(key) if certain and len(key) <= MAX_SHOWN_KEY else HIDDEN


def shown(text: str) -> str:
    """`text` fit for a message: printable and not too long."""
    return printable(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…")
