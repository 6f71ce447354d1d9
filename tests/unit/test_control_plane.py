"""The level that an operator may set is that of all lines of mlvpnd."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from mlvpnd import control_plane
from mlvpnd.log import logger


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    before = control_plane.log_level()
    yield
    control_plane.set_log_level(before)


def test_the_level_counts_for_all_lines() -> None:
    control_plane.set_log_level(logging.ERROR)
    assert control_plane.log_level() == logging.ERROR
    assert not logger().isEnabledFor(logging.WARNING)
    assert logger().isEnabledFor(logging.ERROR)
    control_plane.set_log_level(logging.INFO)
    assert logger().isEnabledFor(logging.WARNING)
