"""docs/doctor.md and the tests of hosts' faults have the same rows."""

from __future__ import annotations

import pytest

from tests.netns.host_faults import Fault
from tests.netns.test_host_faults import FAULTS
from tests.support.linkemu import PROJECT

TABLE = PROJECT / "docs/doctor.md"
COLUMNS = ["fault", "seen by", "finding", "what mends it", "test"]
MENDED = "the commands"
"""In the column of what mends it: the test types the finding's commands, and the finding is gone."""
ROW_OF_FAULTS = "host_faults"
LEAST = 25
"""Faults that must be made in a namespace or container."""


def rows() -> list[list[str]]:
    """The cells of each row of the first table."""
    text = TABLE.read_text()
    lines = text[text.index("| fault |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in (lines[0], *lines[2:])]


ROWS = {row[0]: row for row in rows()[1:]}
NAMED = {fault.name: fault for fault in FAULTS}


def test_the_table_has_its_columns() -> None:
    heads, *others = rows()
    assert heads == COLUMNS
    assert all(len(row) == len(COLUMNS) and all(row) for row in others)
    assert len(ROWS) == len(others)
    assert len(NAMED) == len(FAULTS) >= LEAST


def test_neither_lacks_a_row() -> None:
    of_faults = {name for name, row in ROWS.items() if row[4] == ROW_OF_FAULTS}
    assert of_faults == set(NAMED)
    # The others name a test of their own, whose existence tests/unit/test_docs.py checks.
    assert all("::test_" in row[4] for name, row in ROWS.items() if name not in of_faults)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_row_says_what_the_test_expects(fault: Fault) -> None:
    _, _, finding, mends, _ = ROWS[fault.name]
    check, _, text = finding.partition(": ")
    assert check == f"`{fault.check}`"
    assert text == fault.text
    assert mends.startswith(MENDED) is fault.mends
