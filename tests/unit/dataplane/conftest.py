"""Tests of what has a native twin run on both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlvpnd.dataplane import _native
from tests.support.twins import TWINS

NATIVE = {
    "Coalescer": _native.Coalescer,
    "checksum": _native.checksum,
    "ipv4_checksum": _native.ipv4_checksum,
    "ones_sum": _native.ones_sum,
    "pseudo_sum": _native.pseudo_sum,
    "segment": _native.segment_frame,
}
"""What stands in the place of the reference's names in a module."""
TWINNED = frozenset({"test_checksum", "test_coalesce", "test_segment"})
"""Modules whose names are enough: what they import is all that is under test."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in TWINNED:
        metafunc.fixturenames.append("twin")
        metafunc.parametrize("twin", TWINS, indirect=True, scope="module")


@pytest.fixture(scope="module")
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which twin a test runs on."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "native":
            for name in NATIVE.keys() & vars(request.module).keys():
                patch.setattr(request.module, name, NATIVE[name])
        yield request.param
