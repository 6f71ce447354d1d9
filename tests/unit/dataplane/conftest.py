"""All of these tests run on both twins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.twins import TWINS, native_names, use_native


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in TWINNED and native_names() & vars(metafunc.module).keys():
        metafunc.fixturenames.append("twin")
        metafunc.parametrize("twin", TWINS, indirect=True, scope="module")


TWINNED = frozenset({"test_checksum", "test_coalesce", "test_segment"})
"""Modules whose names are enough: what they import is all that is under test."""


@pytest.fixture(scope="module")
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which twin a test runs on."""
    if request.param == "native":
        yield from ("native" for _ in use_native(request.module))
    else:
        yield "reference"
