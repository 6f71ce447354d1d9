"""Tests of what has a native twin run on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.twins import TWINS, native_names, use_native


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in TWINNED and native_names() & vars(metafunc.module).keys():
        metafunc.parametrize("twin", TWINS, indirect=True, scope="module")


TWINNED = frozenset(
    {
        "test_copies",
        "test_loss",
        "test_reorder",
        "test_replay",
        "test_rtt",
        "test_transit",
    }
)
"""Modules whose names are enough: what they import is all that is under test."""


@pytest.fixture(scope="module", autouse=True)  # else pytest parametrizes tests with it and never calls it
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which twin a test runs on."""
    if getattr(request, "param", None) == "native":
        yield from ("native" for _ in use_native(request.module))
    else:
        yield "reference"
