"""docs/bounds.md names what exists: each constant of a bound, and each test that holds a bound."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs/bounds.md"
COLUMNS = ["what", "limit", "constant", "counted as, or told by", "held by"]
LEAST = 40
"""Rows; there were so many when the table was made."""
CONSTANT = re.compile(r"(?:([\w/.]+\.(?:py|c|h))[:. ]+)?([A-Z_][A-Z0-9_]+)")
OPTION = re.compile(r"`(\w+=)` of the units")
COST = "a cost"
"""Stands in place of a constant: the bound is a cost, and its test has the figure."""
TEST = re.compile(r"(tests/[\w/]+\.py)(?:::(\w+))?")


def rows() -> list[list[str]]:
    """The cells of each row but the heads."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (lines[0], *lines[2:])]


BOUNDS = rows()[1:]


@cache
def names_in(path: Path) -> set[str]:
    """The names that a file assigns to.

    In Python: at the top or in a class. In C: a macro, a member of an enum or a static.
    """
    text = path.read_text()
    if path.suffix != ".py":
        return set(re.findall(r"^#define (\w+)", text, re.M)) | set(
            re.findall(r"\b([A-Z_][A-Z0-9_]+)(?:\[\])? = ", text)
        )
    found: set[str] = set()
    tree = ast.parse(text)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for statement in [*tree.body, *(inner for one in classes for inner in one.body)]:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        found.update(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
    return found


@cache
def contents_of(path: Path) -> set[str]:
    """Functions, and names of hypothesis' state machines, that pytest finds in a file."""
    functions = {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    return functions | names_in(path)


def sources() -> list[Path]:
    return [path for path in (ROOT / "mlvpnd").rglob("*") if path.suffix in (".py", ".c", ".h")]


def test_the_table_has_its_columns_and_rows() -> None:
    head, *bounds = rows()
    assert head == COLUMNS
    assert len(bounds) >= LEAST
    for cells in bounds:
        assert len(cells) == len(COLUMNS), cells
        assert all(cells), cells
    assert len({cells[0] for cells in bounds}) == len(bounds)
    assert "docs/bounds.md" in (ROOT / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize("cells", BOUNDS, ids=lambda cells: str(cells[0]))
def test_its_constants_exist(cells: list[str]) -> None:
    if cells[2] == COST:
        return
    options = OPTION.findall(cells[2])
    units = "".join(path.read_text() for path in (ROOT / "systemd").glob("*.service"))
    assert all(f"\n{option}" in units for option in options)
    named = CONSTANT.findall(OPTION.sub("", cells[2]))
    assert named or options, "no constant is named"
    for file, name in named:
        where = [path for path in sources() if str(path).endswith(f"/{file}")] if file else sources()
        assert any(name in names_in(path) for path in where), f"there is no {name} in {file or 'mlvpnd'}"


@pytest.mark.parametrize("cells", BOUNDS, ids=lambda cells: str(cells[0]))
def test_its_tests_exist(cells: list[str]) -> None:
    named = TEST.findall(cells[4])
    assert named, "no test is named"
    for file, name in named:
        assert (ROOT / file).is_file(), f"there is no {file}"
        assert name, f"{file} is no test by name"
        assert name in contents_of(ROOT / file), f"there is no {name} in {file}"
        assert name.lower().startswith("test")


def test_a_name_that_is_not_there_is_found_out() -> None:
    """The reading itself is tested: what only looks like a constant or a test is none."""
    assert "MAX_FLOWS" in names_in(ROOT / "mlvpnd/protocol/wire/constants.py")
    assert "MAX_FLOW" not in names_in(ROOT / "mlvpnd/protocol/wire/constants.py")
    assert "UDP_ARENA" in names_in(ROOT / "mlvpnd/native/io/udp.h")
    assert "UDP_ARENA" not in names_in(ROOT / "mlvpnd/native/io/loop.h")
    assert "test_the_table_has_its_columns_and_rows" in contents_of(Path(__file__))
    assert "test_the_table_has" not in contents_of(Path(__file__))
