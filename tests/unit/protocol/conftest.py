"""Tests of what has a native twin run on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module

import pytest

from tests.support.twins import TWINS, native_types, use_native


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in TWINNED and native_types().keys() & vars(metafunc.module).keys():
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in REACHED or (name in TWINNED and native_names() & vars(metafunc.module).keys()):
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
        "test_scheduler",
        "test_retransmissions",
    }
)
"""Modules whose names are enough: what they import is all that is under test."""
REACHED = {
    "test_retransmissions_overflow": ("mlvpnd.protocol.sender",),
    "test_sender": ("mlvpnd.protocol.sender",),
}
"""Others, and the modules by whose names they reach what has a twin."""


@pytest.fixture(scope="module")
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which twin a test runs on."""
    modules = [import_module(name) for name in REACHED.get(request.module.__name__.rpartition(".")[2], ())]
    with ExitStack() as stack:
        if request.param == "native":
            for module in (request.module, *modules):
                stack.enter_context(contextmanager(use_native)(module))
        yield request.param
