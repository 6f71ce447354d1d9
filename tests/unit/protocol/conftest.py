"""Tests of what has a native twin run on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.twins import TWINS, native_types, use_native


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in TWINNED and native_types().keys() & vars(metafunc.module).keys():
        metafunc.fixturenames.append("twin")
        metafunc.parametrize("twin", TWINS, indirect=True, scope="module")


TWINNED = frozenset(
    {
        "test_copies",
        "test_loss",
        "test_receiver",
        "test_reorder",
        "test_replay",
        "test_rtt",
        "test_transit",
        "test_flow_queue",
        "test_inner",
        "test_paced",
    }
)
"""Modules whose names are enough: what they import is all that is under test."""


@pytest.fixture(scope="module")
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which twin a test runs on."""
    if request.param == "native":
        yield from ("native" for _ in use_native(request.module))
    else:
        yield "reference"
