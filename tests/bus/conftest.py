"""A private bus for each test, and the programs on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.private_bus import PrivateBus


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    """A bus that allows everything."""
    private = PrivateBus()
    private.start()
    yield private
    private.close()
