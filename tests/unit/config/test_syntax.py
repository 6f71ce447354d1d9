"""The grammar of upstream's reference, section 7.1, sample by sample, and what mlvpnd reads beyond it."""

from __future__ import annotations

import pytest

from mlvpnd.config.problems import Report
from mlvpnd.config.syntax import Section, compact, exact, read_sections, spaced, words


def read(text: bytes) -> tuple[list[Section], list[str]]:
    report = Report("f", strict=False)
    sections = read_sections(text, report)
    assert not report.failed
    return sections, [str(problem) for problem in report.warnings()]


def entries(text: bytes) -> list[tuple[int, str, str]]:
    """Lines, keys and values in the first section."""
    sections, warnings = read(b"[s]\n" + text)
    assert warnings == []
    return [(entry.line, entry.key, compact(entry.raw)) for entry in sections[0].entries]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a b c", "abc"),
        ('"x" "y"', "xy"),
        ('"  x  "', "x"),
        ('ab"  c  "', "ab  c"),
        ('"hello world"', "hello world"),
        ('"open to the end  of line', "open to the end  of line"),
        ("'single quotes'", "'singlequotes'"),
        ('""', ""),
        ('"', ""),
        ("", ""),
        (' "" "  x"', "x"),
        ("\tx\t", "\tx\t"),
        ("a\tb", "a\tb"),
        ('"\t x"', "\t x"),
    ],
)
def test_exact_is_upstreams_value(raw: str, value: str) -> None:
    assert exact(raw) == value


def test_compact_strips_tabs_around_but_not_inside() -> None:
    assert compact(" \t a\tb c\t ") == "a\tbc"


def test_spaced_keeps_the_spaces_between_words() -> None:
    assert spaced(" \t udp  port 5060 ") == "udp  port 5060"
    assert spaced('"10.1.0.0/16" "10.2.0.0/16"') == "10.1.0.0/16 10.2.0.0/16"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("", []),
        (" \t ", []),
        ("a", ["a"]),
        (" prefer  a\tb ", ["prefer", "a", "b"]),
        ('prefer "a b" c', ["prefer", "a b", "c"]),
        ('" a"', [" a"]),
        ('a"b c"d', ["ab cd"]),
        ('"a" "b""c"', ["a", "bc"]),
        ('a ""', ["a", ""]),
        ('a "b c', ["a", "b c"]),
    ],
)
def test_words(head: str, found: list[str]) -> None:
    assert words(head) == found


def test_the_head_of_an_entry_is_as_written() -> None:
    sections, _ = read(b'[s]\n prefer "a b" = x = y # z\nkey value\n')
    assert [(entry.head, entry.key) for entry in sections[0].entries] == [(' prefer "a b" ', "prefera b"), ("", "key")]


@pytest.mark.parametrize(
    "line", [b"key = value", b"key=value", b"  key  =  value  ", b"k ey = va lue", b'"key" = "value"', b"key value"]
)
def test_ways_to_write_an_entry(line: bytes) -> None:
    assert entries(line + b"\n") == [(2, "key", "value")]


def test_last_line_without_newline_counts() -> None:
    assert entries(b"a = 1\nb = 2") == [(2, "a", "1"), (3, "b", "2")]


def test_tabs_are_white_space_around_key_and_value() -> None:
    assert entries(b"\tkey\t=\tvalue\t\n\tother\t\tvalue\n") == [(2, "key", "value"), (3, "other", "value")]


def test_upstream_reads_lines_with_equals_sign_and_plain_key_only() -> None:
    sections, _ = read(b"[s]\na = 1\nb\t= 1\nc 1\n")
    assert [entry.upstream_reads for entry in sections[0].entries] == [True, False, False]


def test_carriage_returns_are_dropped_anywhere() -> None:
    assert entries(b"a = 1\r\nb = \r2\r3\r\n") == [(2, "a", "1"), (3, "b", "23")]


def test_comments_start_outside_quotes_only() -> None:
    assert entries(b'a = 1 # = [x] \xff\n# b = 2\nc = "#3" # "\n; = 4\n') == [
        (2, "a", "1"),
        (4, "c", "#3"),
        (5, ";", "4"),
    ]


def test_a_byte_order_mark_is_told_and_read_over() -> None:
    sections, said = read(b"\xef\xbb\xbf[s]\na = 1\n")
    assert [section.name for section in sections] == ["s"]
    assert said == ["f:1: the file begins with a byte order mark: save it as UTF-8 without one"]


def test_equals_sign_in_quotes_is_an_ordinary_character() -> None:
    sections, _ = read(b'[s]\na = "b=c"\n"d=e" = f\n')
    assert [(entry.key, compact(entry.raw), entry.equals_in_value) for entry in sections[0].entries] == [
        ("a", "b=c", False),
        ("d=e", "f", False),
    ]


def test_second_equals_sign_is_noticed() -> None:
    sections, _ = read(b"[s]\na = b = c\nk==v\n")
    assert [(entry.key, entry.equals_in_value) for entry in sections[0].entries] == [("a", True), ("k", True)]


def test_lines_without_value_are_entries_without_value() -> None:
    assert entries(b'a\nb =\nc = ""\n') == [(2, "a", ""), (3, "b", ""), (4, "c", "")]


def test_section_names_are_verbatim() -> None:
    sections, warnings = read(b"[ a b ]\n[\xc3\xa9]\n[x=y]\n[\xff]\n[]\n")
    assert [(section.name, section.line) for section in sections] == [
        (" a b ", 1),
        ("é", 2),
        ("x=y", 3),
        ("\udcff", 4),
        ("", 5),
    ]
    assert warnings == []


def test_section_after_and_before_other_text_as_upstream_but_warned_of() -> None:
    sections, warnings = read(b"text [a] more\n\xef\xbb\xbf[b]\n[c] # comment\n")
    assert [section.name for section in sections] == ["a", "b", "c"]
    assert warnings == [
        "f:1: text beside the section […] is ignored",
        "f:2: text beside the section […] is ignored",
    ]


def test_brackets_in_values_and_in_quotes_open_no_section() -> None:
    assert entries(b'p = "br[ack]et"\nq = tcp[13]\n"[k]" = v\n') == [
        (2, "p", "br[ack]et"),
        (3, "q", "tcp[13]"),
        (4, "[k]", "v"),
    ]


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        (b"a[ = 1", "f:2: ending ']' not found"),
        (b"a] = 1", "f:2: ']' found, without '['"),
    ],
)
def test_lone_bracket_leaves_key_and_value(line: bytes, warning: str) -> None:
    sections, warnings = read(b"[s]\n" + line + b"\n")
    assert warnings == [warning]
    assert [entry.key for entry in sections[0].entries] == [line.split()[0].decode()]


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        (b"= v", "f:2: line should not start with '=': line ignored"),
        (b'"" = v', "f:2: line should not start with '=': line ignored"),
        (b'""', "f:2: line without a key"),
        (b"a = \xc3\xa9", "f:2: variable/value must be ASCII: line ignored"),
        (b"\xe9 = a", "f:2: variable/value must be ASCII: line ignored"),
        (b"a = b\0c", "f:2: variable/value must be ASCII: line ignored"),
    ],
)
def test_lines_that_are_dropped(line: bytes, warning: str) -> None:
    sections, warnings = read(b"[s]\n" + line + b"\n")
    assert warnings == [warning]
    assert sections[0].entries == []


@pytest.mark.parametrize("line", [b"x [a]", b"a[ = 1", b"a] = 1", b"= v", b"a = \xff", b"[t]\n[s]\n] = 1", b"a == 1 ["])
def test_check_config_refuses_odd_lines(line: bytes) -> None:
    report = Report("f", strict=True)
    read_sections(b"[s]\n" + line, report)
    # A bracket in a value opens no section; the key judges the second '='.
    assert report.failed is (line != b"a == 1 [")


def test_values_before_any_section_are_dropped() -> None:
    sections, warnings = read(b"a = 1\nb =\n[s]\n")
    assert sections[0].entries == []
    assert warnings == ["f:1: a: variables should always been defined in a section: line ignored"]


def test_entries_do_not_show_their_value() -> None:
    sections, _ = read(b"[s]\npassword = hidden\n")
    assert "hidden" not in repr(sections)
