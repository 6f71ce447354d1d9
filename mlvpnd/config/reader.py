"""Reads one section's entries by key: upstream's rules for repeated and unknown keys, and values with their limits."""

from __future__ import annotations

import difflib
import enum
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlvpnd.base.bandwidth import parse_rate, remark

from . import values
from .problems import Report, Severity, shown
from .schema import GENERAL_KEYS, LINK_KEYS, MAX_TEXT_LENGTH, RETIRED_KEYS, Key, Kind, spellings
from .syntax import Entry, compact, exact, spaced

_LONGEST_SUGGESTED_FOR = 40
_OTHERS_COMMENTS = (";", "//")
"""Beginnings of comments in other programs' files."""

Choice = TypeVar("Choice", bound=enum.Enum)


@dataclass(frozen=True, slots=True)
class Value:
    """An entry's value."""

    line: int
    spelling: str
    text: str = field(repr=False)
    say: Callable[[str], str] = shown
    """Returns what a message may show of a piece of the value."""


class SectionReader:
    """`[general]` or a link. Each getter gives a value or its default, and reports what is wrong with it."""

    def __init__(
        self, name: str, line: int, entries: list[Entry], keys: tuple[Key, ...], report: Report, label: str = ""
    ) -> None:
        self.name = name
        self.label = label or shown(name)
        """The name as a message may show it."""
        self.line = line
        """Where the section starts."""
        self._report = report
        self._keys = {key.name: key for key in keys}
        self._spellings = spellings(keys)
        self._values: dict[str, Value] = {}
        self.exists = False
        """Whether the section has any value, also of an unknown key: upstream ignores a section without values."""
        # Entries that upstream reads come first: a file that works with upstream must mean the same here.
        for entry in sorted(entries, key=lambda entry: not entry.upstream_reads):
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        if entry.equals_in_value:
            self._report.lax(entry.line, entry.label, "two '=' are not permitted outside quotes: line ignored")
            return
        self.exists = self.exists or bool(compact(entry.raw))
        key = self._spellings.get(entry.key)
        if key is None:
            self._report_unknown(entry)
            return
        value = Value(entry.line, entry.key, self._read(entry, key), entry.say)
        if not value.text:
            return
        if len(value.text) > MAX_TEXT_LENGTH:
            self._report.error(
                entry.line, entry.key, f"the value is too long: {len(value.text)} characters, at most {MAX_TEXT_LENGTH}"
            )
            return
        first = self._values.setdefault(key.name, value)
        if first is value or (first.spelling != value.spelling and first.text == value.text):
            return
        self._report.lax(
            value.line,
            value.spelling,
            f"already set as {first.spelling} in line {first.line}: line {first.line} counts; give the key once",
        )

    def _read(self, entry: Entry, key: Key) -> str:
        if key.kind is Kind.SECRET:
            return self._read_secret(entry)
        return spaced(entry.raw) if key.kind is Kind.LIST else compact(entry.raw)

    def _read_secret(self, entry: Entry) -> str:
        """If upstream reads the entry, exactly upstream's bytes: both ends must have the same."""
        text = exact(entry.raw)
        if not entry.upstream_reads:
            return compact(entry.raw)
        if text != text.strip("\t"):
            self._report.advise(entry.line, entry.key, "the TAB before or after the text counts as part of it")
        return text

    def _report_unknown(self, entry: Entry) -> None:
        if not self._report.has_room(Severity.LAX):
            self._report.lax(entry.line, "", "")
            return
        if entry.key.startswith(_OTHERS_COMMENTS):
            self._report.lax(entry.line, "", "a comment begins with '#': line ignored")
            return
        if entry.key in RETIRED_KEYS:
            message = "retired with MLVPN 1.x, has no effect: remove it"
        elif entry.key in spellings(GENERAL_KEYS):
            message = "unknown in a link's section, has no effect: it belongs in [general]"
        elif entry.key in spellings(LINK_KEYS):
            message = "unknown in [general], has no effect: it belongs in a link's section"
        else:
            message = "unknown key, has no effect"
            known = [*self._keys]
            near = difflib.get_close_matches(entry.key[:_LONGEST_SUGGESTED_FOR], known, n=1)
            message += f": did you mean {near[0]}?" if near else f"; allowed here: {', '.join(known)}"
        if not entry.head:
            message += (
                "; write '=' in the place of ':'"
                if ":" in entry.key
                else "; there is no '=', and a value must end in the line where it begins"
            )
        self._report.lax(entry.line, entry.label, message)

    def line_of(self, name: str) -> int:
        """The line where the key is set, else where the section starts."""
        value = self._values.get(name)
        return value.line if value else self.line

    def error(self, name: str, message: str) -> None:
        """Reports an error of the key or of its absence, and what is allowed."""
        value = self._values.get(name)
        spelling = value.spelling if value else name
        separator = " " if message.endswith(".") else "; "
        self._report.error(self.line_of(name), spelling, f"{message}{separator}allowed: {self._keys[name].allowed}")

    def lax(self, name: str, message: str) -> None:
        """As `error`, for something that upstream lets pass."""
        value = self._values.get(name)
        self._report.lax(self.line_of(name), value.spelling if value else name, message)

    def lax_value(self, name: str, effect: str) -> None:
        """Reports a value whose effect is probably not what was meant."""
        self.lax(name, f"'{self.say(name, self.text(name))}' {effect}; allowed: {self._keys[name].allowed}")

    def advise(self, name: str, message: str) -> None:
        """As `error`, for something that works but is hardly meant."""
        self._report.advise(self.line_of(name), name, message)

    def text(self, name: str) -> str:
        """The value as text; when unset, the key's default, or empty."""
        value = self._values.get(name)
        return value.text if value else self._keys[name].default

    def say(self, name: str, text: str) -> str:
        """A piece of the key's value as a message may show it."""
        value = self._values.get(name)
        return value.say(text) if value else shown(text)

    def sayer(self, name: str) -> Callable[[str], str]:
        """`say` for one key."""
        return functools.partial(self.say, name)

    def plain_text(self, name: str) -> str:
        """As `text`, for values that go into environments, paths and log lines: no control characters."""
        text = self.text(name)
        if not text.replace("\t", " ").isprintable():
            self.error(name, f"'{self.say(name, text)}' has control characters")
        return text

    def number(self, name: str) -> int | None:
        """An unsigned 32-bit number as upstream reads it; None when unset without a default."""
        text = self.text(name)
        if not text:
            return None
        number, remark = values.read_number(text, say=self.sayer(name))
        if remark:
            self.lax(name, f"{remark}; allowed: {self._keys[name].allowed}")
        return number

    def value(self, key: Key) -> Any:
        """A key's value for its field; None: an unset number without a default."""
        return _READ[key.kind](self, key)

    def _limited(self, key: Key) -> int | None:
        if not key.upstream:
            return self._strict(key)
        number = self.number(key.name)
        if number is None:
            return None
        limit = min(max(number, key.least), key.most)
        if number != limit:
            self.lax(key.name, key.capped.format(name=key.name, limit=limit))
        return limit

    def _strict(self, key: Key) -> int:
        text = self.text(key.name)
        number, _ = values.read_number(text)
        if not text.isdigit() or not key.least <= number <= key.most:
            self.error(key.name, f"'{self.say(key.name, text)}' is not a valid {key.name}")
            return key.least
        return number

    def _rate(self, key: Key) -> int | None:
        """A rate with a unit, else a number as upstream reads it."""
        text = self.text(key.name)
        rate = None if text.isdigit() else parse_rate(text)
        if rate is None:
            rate = self._limited(key)
        elif rate > key.most:
            self.lax(key.name, key.capped.format(name=key.name, limit=key.most))
            rate = key.most
        if rate is not None and (odd := remark(rate, text)):
            self.advise(key.name, odd)
        return rate

    def flag(self, name: str) -> bool:
        """Any number but 0 is true."""
        return bool(self.number(name))

    def choice(self, name: str, words: type[Choice]) -> Choice:
        """The member of `words` with the key's value; after an error the first one. For keys unknown to upstream."""
        text = self.text(name)
        for word in words:
            if word.value == text:
                return word
        self.error(name, f"'{self.say(name, text)}' is not known")
        return next(iter(words))

    def optional_choice(self, name: str, words: type[Choice]) -> Choice | None:
        """As `choice`, for a key without a default; None: unset."""
        return self.choice(name, words) if self.text(name) else None

    def checked(self, name: str, problem: str) -> str:
        """Reports `problem`, unless it is empty; returns the key's text."""
        if problem:
            self.error(name, problem)
        return self.text(name)

    def host(self, name: str) -> str:
        """A host name or address; empty when unset."""
        text = self.text(name)
        return self.checked(name, values.host_problem(text, say=self.sayer(name)) if text else "")

    def port(self, name: str) -> str:
        """A port number or service name; empty when unset."""
        text = self.text(name)
        return self.checked(name, values.port_problem(text, say=self.sayer(name)) if text else "")

    def device(self, name: str, *, pattern: bool = False) -> str:
        """An interface's name; with `pattern`, `%d` is allowed in it. Empty when unset."""
        text = self.text(name)
        return self.checked(name, values.device_problem(text, pattern=pattern, say=self.sayer(name)) if text else "")


_READ: Mapping[Kind, Callable[[SectionReader, Key], Any]] = {
    Kind.TEXT: lambda section, key: section.plain_text(key.name),
    Kind.PATH: lambda section, key: section.plain_text(key.name),
    Kind.LIST: lambda section, key: section.plain_text(key.name),
    Kind.NUMBER: SectionReader._limited,
    Kind.RATE: SectionReader._rate,
    Kind.FLAG: lambda section, key: section.flag(key.name),
    Kind.HOST: lambda section, key: section.host(key.name),
    Kind.PORT: lambda section, key: section.port(key.name),
    Kind.DEVICE: lambda section, key: section.device(key.name),
}
"""The readers of kinds. Other kinds are read differently for each key: see `general.py`."""
