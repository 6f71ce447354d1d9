"""Tests of code that has a native twin run on both twins."""

from __future__ import annotations

import pytest

from tests.support.twins import on_both, twin

__all__ = ["twin"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_both(metafunc, {})
