"""The level that an operator may set holds for all lines of mlvpnd."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mlvpnd.logs.log import logger
from mlvpnd.operator import face


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    before = face.log_level()
    yield
    face.set_log_level(before)


def test_the_level_counts_for_all_lines() -> None:
    face.set_log_level(logging.ERROR)
    assert face.log_level() == logging.ERROR
    assert not logger().isEnabledFor(logging.WARNING)
    assert logger().isEnabledFor(logging.ERROR)
    face.set_log_level(logging.INFO)
    assert logger().isEnabledFor(logging.WARNING)
