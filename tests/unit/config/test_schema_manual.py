"""mlvpn.conf(5) and the schema know the same keys, and say the same of each."""

from __future__ import annotations

import enum
import re

import pytest

from mlvpnd.config import schema
from mlvpnd.config.parser import parse
from mlvpnd.config.schema import Key, ReloadEffect
from tests.support.manual import literals, part, render, source

PAGE = source("mlvpn.conf.5")
CHAPTERS = {"GENERAL_KEYS": "# THE SECTION [general]", "LINK_KEYS": "# SECTIONS OF LINKS"}
"""The chapter of the page that has the keys of each table of the schema."""
MINIMAL = {"mode": "client", "password": "x"}
LINK = {"remotehost": "192.0.2.1", "remoteport": "5080"}

_EXAMPLE = re.compile(r"^Example: \*(\w+) = (.+)\*$", re.MULTILINE)


def tables() -> dict[str, tuple[Key, ...]]:
    """Every table of keys that the schema has."""
    return {
        name: value
        for name, value in vars(schema).items()
        if isinstance(value, tuple) and value and all(isinstance(one, Key) for one in value)
    }


EVERY_KEY = [(table, key) for table, keys in tables().items() for key in keys]
each_key = pytest.mark.parametrize(("table", "key"), EVERY_KEY, ids=[f"{table}-{key.name}" for table, key in EVERY_KEY])


def entries(heading: str) -> dict[str, str]:
    """The entries of a chapter: the head, as `*mtu*` or `*binddevice* (new)`, and what is said below it."""
    found: dict[str, str] = {}
    head = ""
    for line in part(PAGE, heading).splitlines():
        if re.match(r"\*\w+\*", line):
            head = line
            assert head not in found, f"{head} stands twice in {heading}"
            found[head] = ""
        elif line.startswith("#"):
            head = ""
        elif head:
            found[head] += f"{line.strip()}\n"
    return found


def head_of(key: Key) -> str:
    """What the entry of a key begins with."""
    names = ", ".join(f"*{name}*" for name in (key.name, key.alias) if name)
    return names if key.upstream else f"{names} (new)"


def facts(key: Key) -> str:
    """The line of an entry that says what the schema says."""
    default = f" Default: {key.default}." if key.default else ""
    return f"Type: {key.kind.value}. Allowed: {key.allowed}.{default} Reload: {key.reload.value}."


def written(value: object) -> str:
    """A value of a configuration as the file has it."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value)) if isinstance(value, bool) else str(value)


def test_every_table_of_the_schema_has_its_chapter() -> None:
    assert set(tables()) == set(CHAPTERS)


@pytest.mark.parametrize("table", sorted(tables()))
def test_the_page_and_the_parser_know_the_same_keys(table: str) -> None:
    assert set(entries(CHAPTERS[table])) == {head_of(key) for key in tables()[table]}


@each_key
def test_the_page_says_what_the_schema_says(table: str, key: Key) -> None:
    text = entries(CHAPTERS[table])[head_of(key)]
    assert f"\n{facts(key)}++\n" in text
    assert text.index("\n") > 20, "an entry begins with what the key is for"


@each_key
def test_its_example_is_right(table: str, key: Key) -> None:
    ((name, value),) = _EXAMPLE.findall(entries(CHAPTERS[table])[head_of(key)])
    assert name == key.name
    general, link = dict(MINIMAL), dict(LINK)
    (general if table == "GENERAL_KEYS" else link)[name] = value
    lines = [f"{key} = {value}" for key, value in general.items()]
    text = "\n".join(["[general]", *lines, "[adsl1]", *(f"{key} = {value}" for key, value in link.items())])
    config = parse(text.encode(), "example", strict=True).config
    made = config if table == "GENERAL_KEYS" else config.links[0]
    assert written(getattr(made, key.field)) == value.strip('"')


def test_the_chapter_on_reloads_has_every_effect() -> None:
    told = re.findall(r"^\*(.+)\*$", part(PAGE, "# RELOAD"), re.MULTILINE)
    assert sorted(told) == sorted(effect.value for effect in ReloadEffect if effect is not ReloadEffect.LINK_DEFAULT)


def test_whole_examples_are_right_and_fit() -> None:
    client, routes, server = literals(part(PAGE, "## Two ADSL lines"))
    (filters,) = literals(part(PAGE, "## ADSL and SDSL, with VoIP on the good line"))
    near = parse(client.encode(), "client", strict=True).config
    far = parse(server.encode(), "server", strict=True).config
    assert near.password == far.password
    assert [(link.name, link.remoteport) for link in near.links] == [(link.name, link.bindport) for link in far.links]
    for link in near.links:
        assert f"ip rule add from {link.bindhost} lookup" in routes
    renamed = client.replace("[adsl1]", "[sdsl]").replace("[adsl2]", "[adsl]")
    both = parse((renamed + filters).encode(), "voip", strict=True).config
    assert [one.link for one in both.filters] == ["sdsl", "adsl"]


def test_limits_are_those_of_the_schema() -> None:
    assert f"There may be {schema.MAX_LINKS}." in part(PAGE, "# SECTIONS OF LINKS")
    assert f"There may be {schema.MAX_FILTERS} lines." in part(PAGE, "# FILTERS")


def test_it_renders() -> None:
    assert "binddevice" in render("mlvpn.conf.5")
