"""Splits bytes into sections and entries with line numbers, by upstream's rules as far as they make sense.

Each line is read in one pass:

1. CR is dropped everywhere; `#` outside double quotes starts a comment.
2. `[name]` outside quotes and before any `=` opens a section.
3. `key = value`, or `key value`. The meaning of a value's quotes and spaces depends on the key. So the text is kept as
   written and read by `compact`, `spaced` or `exact`. The text before the `=` is kept too, for `words`.

This module does not know what keys mean. It raises nothing: problems go to the report.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

from .problems import HIDDEN, Report, shown, shown_key

_BLANKS = " \t"
_WORD = re.compile(r'(?:[^ \t"]|"[^"]*(?:"|$))+')


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key = value` line."""

    line: int
    key: str
    raw: str = field(repr=False)
    """The value as written, without a comment; ASCII without NUL. May be a secret."""
    upstream_reads: bool
    """False: upstream ignores the line. It has no `=`, or upstream takes TABs around the key for a part of the key."""
    equals_in_value: bool
    """Whether there is a second `=` outside quotes."""
    head: str = field(default="", repr=False)
    """The text before the `=` as written; empty: the line has no `=`. May be a piece of a secret."""

    @property
    def label(self) -> str:
        """The key as a message may show it.

        The text may be a piece of a value that goes on in a second line, and no key. This is so if the line has no `=`
        or a second one, if nothing follows it, or if the key has spaces or quotes.
        """
        plain = self.head.strip(_BLANKS) == self.key and not self.equals_in_value and bool(compact(self.raw))
        return shown_key(self.key, certain=plain)

    def say(self, text: str) -> str:
        """A piece of the value as a message may show it.

        Without a `=` it may be a piece of another value. Two lines that became one may have a password in the value.
        """
        return shown(text) if self.head and "password" not in self.raw else HIDDEN


@dataclass(frozen=True, slots=True)
class Section:
    """The lines from one `[name]` to the next; the same name may come again."""

    name: str
    """As written, with its spaces. Bytes that are not UTF-8 are surrogates."""
    line: int
    entries: list[Entry]
    label: str = ""
    """The name as a message may show it: brackets amid other text may hold a piece of a password."""


def compact(raw: str) -> str:
    """The value without spaces outside quotes, and without spaces or TABs around it."""
    return exact(raw).strip(_BLANKS)


def spaced(raw: str) -> str:
    """The value with the spaces between its words, quoted or not; for filters and lists."""
    return raw.replace('"', "").strip(_BLANKS)


def exact(raw: str) -> str:
    """The value byte for byte as from upstream's parser: TABs stay, even around it. A password becomes a key."""
    pieces = raw.split('"')
    pieces[::2] = [outside.replace(" ", "") for outside in pieces[::2]]
    return "".join(pieces).strip(" ")


def words(head: str) -> list[str]:
    """The words of a text: spaces and TABs separate them outside quotes, and belong to them inside."""
    return [word.replace('"', "") for word in _WORD.findall(head)]


def read_sections(text: bytes, report: Report) -> list[Section]:
    """All sections in the file's order. Time and memory grow with the size of `text` only."""
    sections: list[Section] = []
    if text.startswith(codecs.BOM_UTF8):
        text = text.removeprefix(codecs.BOM_UTF8)
        report.lax(1, "", "the file begins with a byte order mark: save it as UTF-8 without one")
    for number, line in enumerate(text.replace(b"\r", b"").decode("latin-1").split("\n"), start=1):
        content = _without_comment(line)
        if not content.strip(_BLANKS):
            continue
        found = _section_name(content, number, report)
        if found is not None:
            name = found[0].encode("latin-1").decode(errors="surrogateescape")
            sections.append(Section(name, number, [], shown(name) if found[1] and "=" not in name else HIDDEN))
            continue
        entry = _entry(content, number, report)
        if entry is None:
            continue
        if sections:
            sections[-1].entries.append(entry)
        elif compact(entry.raw):
            report.lax(number, entry.label, "variables should always been defined in a section: line ignored")
    return sections


def _find_outside_quotes(text: str, characters: str) -> int:
    """The index of the first of `characters` outside quotes; -1: there is none."""
    start = 0
    for index, piece in enumerate(text.split('"')):
        if index % 2 == 0:
            found = [at for at in map(piece.find, characters) if at >= 0]
            if found:
                return start + min(found)
        start += len(piece) + 1
    return -1


def _without_comment(line: str) -> str:
    at = _find_outside_quotes(line, "#")
    return line if at < 0 else line[:at]


def _section_name(content: str, number: int, report: Report) -> tuple[str, bool] | None:
    """The name as latin-1, and whether it is alone in its line; None: the line opens no section."""
    equals = _find_outside_quotes(content, "=")
    head = content if equals < 0 else content[:equals]
    opening = _find_outside_quotes(head, "[")
    if opening < 0:
        if _find_outside_quotes(head, "]") >= 0:
            report.lax(number, "", "']' found, without '['")
        return None
    closing = content.find("]", opening)
    if closing < 0:
        report.lax(number, "", "ending ']' not found")
        return None
    alone = not (content[:opening] + content[closing + 1 :]).strip(_BLANKS)
    if not alone:
        report.lax(number, "", f"text beside the section [{HIDDEN}] is ignored")
    return content[opening + 1 : closing], alone


def _entry(content: str, number: int, report: Report) -> Entry | None:
    if not content.isascii() or "\0" in content:
        report.lax(number, "", "variable/value must be ASCII: line ignored")
        return None
    equals = _find_outside_quotes(content, "=")
    if equals >= 0:
        written, raw = content[:equals], content[equals + 1 :]
    else:
        content = content.strip(_BLANKS)
        blank = _find_outside_quotes(content, _BLANKS)
        written, raw = (content, "") if blank < 0 else (content[:blank], content[blank:])
    upstream_key = exact(written)
    key = upstream_key.strip(_BLANKS)
    if not key:
        report.lax(number, "", "line should not start with '=': line ignored" if equals >= 0 else "line without a key")
        return None
    return Entry(
        number,
        key,
        raw,
        upstream_reads=equals >= 0 and key == upstream_key,
        equals_in_value=_find_outside_quotes(raw, "=") >= 0,
        head=written if equals >= 0 else "",
    )
