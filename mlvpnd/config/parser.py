"""Turns a file's text into a `Config`, in this order:

1. `syntax` splits it into sections and entries.
2. Sections of one name are joined, and told apart: `[general]`, links, filters, rules.
3. `[general]` is read, then the links, whose defaults it holds, then filters and rules, which name links.
4. Checks that concern several links.

Everything wrong is reported before the result or `ConfigError` is given. Any bytes may be tried.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from .expressions import deaf_word_problem
from .general import read_general
from .links import check_hosts, check_mode, check_together, read_link
from .model import Config, DeviceKind, FilterConfig, LinkConfig, Mode
from .problems import ConfigError, Problem, Report, Severity, shown
from .reader import SectionReader
from .rules import begins_with_action, hold_rules, read_rules, shown_names
from .schema import FILTERS_PREFIX, GENERAL, GENERAL_KEYS, LINK_KEYS, MAX_FILE_SIZE, MAX_FILTERS, MAX_LINKS, RULES
from .syntax import Entry, Section, read_sections, spaced


@dataclass(frozen=True, slots=True)
class ParseResult:
    """A usable configuration and warnings about its file."""

    config: Config
    warnings: tuple[Problem, ...]


def parse(text: bytes, filename: str, *, strict: bool = False, require_password: bool = True) -> ParseResult:
    """Parses a file's whole text; `filename` is only shown.

    `strict` also refuses what upstream lets pass, as `check-config` does. Without `require_password` a missing password
    is empty: the caller has one from elsewhere.

    Raises ConfigError with all problems, and nothing else, whatever `text` is.
    """
    report = Report(filename, strict=strict)
    if len(text) > MAX_FILE_SIZE:
        report.error(0, "", f"the file is too large: at most {MAX_FILE_SIZE} bytes are read")
        raise ConfigError(report.errors())
    sections, filter_entries, rule_entries = _joined(read_sections(text, report), report)
    general, mode = _read_general(sections, report, require_password=require_password)
    links = _read_links(sections, general, mode, report)
    names = {link.name: sections[link.name].label for link in links}
    filters = _read_filters(filter_entries, names, general.tuntap if general is not None else None, report)
    rules = read_rules(rule_entries, names, general, report)
    if general is None or report.failed:
        raise ConfigError(report.errors(), report.warnings())
    return ParseResult(dataclasses.replace(general, links=links, filters=filters, rules=rules), report.warnings())


def _joined(blocks: list[Section], report: Report) -> tuple[dict[str, Section], list[Entry], list[Entry]]:
    """The other sections by name in order of first appearance; then all filters' lines, and all rules' lines."""
    sections: dict[str, Section] = {}
    filter_entries: list[Entry] = []
    rule_entries = [entry for block in blocks if block.name == RULES for entry in block.entries]
    rules_are_a_link = not hold_rules(rule_entries)
    for block in blocks:
        if block.name == RULES and not rules_are_a_link:
            continue
        first = sections.setdefault(block.name, block)
        if first is not block:
            report.lax(block.line, "", f"section [{block.label}] is also in line {first.line}; both are joined")
        if block.name.startswith(FILTERS_PREFIX):
            filter_entries += block.entries
        elif first is not block:
            first.entries.extend(block.entries)
    links = {name: one for name, one in sections.items() if not name.startswith(FILTERS_PREFIX)}
    return links, filter_entries, [] if rules_are_a_link else rule_entries


def _read_general(
    sections: dict[str, Section], report: Report, *, require_password: bool
) -> tuple[Config | None, Mode | None]:
    section = sections.get(GENERAL)
    if section is not None:
        reader = SectionReader(section.name, section.line, section.entries, GENERAL_KEYS, report)
        if reader.exists:
            return read_general(reader, require_password=require_password)
    message = "there is no [general] section with mode and password"
    similar = next((name for name in sections if name.strip().lower() == GENERAL and name != GENERAL), None)
    if similar is not None:
        message += f"; [{shown(similar)}] is not [general]"
    report.error(section.line if section else 0, "", message)
    return None, None


def _read_links(
    sections: dict[str, Section], general: Config | None, mode: Mode | None, report: Report
) -> tuple[LinkConfig, ...]:
    links = []
    for section in sections.values():
        if section.name == GENERAL:
            continue
        reader = SectionReader(section.name, section.line, section.entries, LINK_KEYS, report, section.label)
        if not reader.exists:
            report.lax(section.line, "", f"section [{section.label}] is empty and ignored")
            continue
        if section.name.strip().lower() in (RULES, RULES[:-1]) and any(map(begins_with_action, section.entries)):
            report.advise(section.line, "", f"[{section.label}] is a link; rules stand in [{RULES}]")
        links.append(read_link(reader, general, report))
        check_hosts(reader, links[-1])
        if mode is not None:
            check_mode(reader, links[-1], mode)
    check_together(links, mode, report, {name: section.label for name, section in sections.items()})
    return tuple(links)


def _read_filters(
    entries: list[Entry], names: Mapping[str, str], kind: DeviceKind | None, report: Report
) -> tuple[FilterConfig, ...]:
    """`names`: those of the links, as they are written and as a message may show them."""
    filters: list[FilterConfig] = []
    for entry in entries:
        # A second '=' belongs to the expression; the key is only a link's name.
        expression = spaced(entry.raw)
        if not expression:
            continue
        if entry.key not in names:
            message = f"(filters) {entry.label} interface not found"
            if len(names) <= MAX_LINKS and report.has_room(Severity.LAX):
                near = difflib.get_close_matches(entry.key[:40], shown_names(names), n=1)
                message += f": did you mean {shown(near[0])}?" if near else ": filter ignored"
            report.lax(entry.line, entry.label, message)
        elif problem := deaf_word_problem(expression, kind):
            report.lax(entry.line, entry.label, f"filter {entry.say(expression)} is left out: {problem}")
        elif len(filters) == MAX_FILTERS:
            report.lax(
                entry.line,
                entry.key,
                f"{shown(entry.key)} filter {entry.say(expression)} error: too many filters, at most {MAX_FILTERS}",
            )
        else:
            filters.append(FilterConfig(entry.key, expression, entry.line, quotable=bool(entry.head)))
    return tuple(filters)
