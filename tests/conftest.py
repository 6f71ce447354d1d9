"""Tests in real time get a second run: the machine that they share may stand still in the middle of the first."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
IN_REAL_TIME = ("netns", "system", "bus", "unit/support")
"""Folders whose tests wait for processes, sockets and clocks."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fault of the program fails both runs; `-ra` names what was run again."""
    for item in items:
        if any(item.path.is_relative_to(_TESTS / folder) for folder in IN_REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=1))
