"""mlvpnd(8) has the options, tokens, files and units that exist."""

from __future__ import annotations

import re

from mlvpnd.cli import mlvpn
from mlvpnd.logs import log
from tests.support.linkemu import PROJECT
from tests.support.manual import MAN, part, render, source

PAGE = source("mlvpnd.8")


def test_every_option_is_on_the_page_and_no_other() -> None:
    options = part(PAGE, "# OPTIONS")
    heads = [line for line in options.splitlines() if line.startswith("*-")]
    told = {option for head in heads for option in re.findall(r"\*(--?[\w-]+)\*", head)}
    parser = mlvpn._parser()
    known = {option for action in parser._actions for option in action.option_strings}
    assert told == known | {"--instance"}


def test_every_token_is_on_the_page_and_no_other() -> None:
    (text,) = re.findall(r"^\*-D\*.*?\n\n", part(PAGE, "# OPTIONS") + "\n\n", re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\*([a-z]+)\*", text)) == log.TOKENS


def test_units_are_there() -> None:
    named = set(re.findall(r"\*(mlvpn[\w-]*@?)\*", PAGE)) | set(re.findall(r"\*(mlvpn\.service)\*", PAGE))
    units = {re.sub(r"(@).*", r"\1", path.name) for path in (PROJECT / "systemd").glob("mlvpn*.service")}
    assert units <= named


def test_pages_that_units_and_pages_name_are_there() -> None:
    own = {path.name.removesuffix(".scd") for path in MAN.glob("*.scd")}
    units = "".join(path.read_text() for path in (PROJECT / "systemd").iterdir() if path.is_file())
    named = set(re.findall(r"man:((?:org\.)?mlvpn[\w.-]*)\((\d)\)", units))
    for page in own:
        named |= set(re.findall(r"\*((?:org\.)?mlvpn[\w.-]*)\*\((\d)\)", source(page)))
    assert named
    assert {f"{name}.{chapter}" for name, chapter in named} == own


def test_it_renders() -> None:
    assert "check-config" in render("mlvpnd.8")
