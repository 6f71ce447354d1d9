"""Both twins of the data plane for tests: the native types in the place of those of `mlvpnd.protocol`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

import pytest

from mlvpnd.dataplane import _native
from mlvpnd.protocol import gate, path, receiver, replay, resume, session

TWINS = ("reference", "native")


def native_names() -> frozenset[str]:
    """What the native twin has of its own, by the names of the reference."""
    return frozenset(name for name in vars(_native) if not name.startswith("_"))


def use_native(module: ModuleType) -> Iterator[None]:
    """Puts the native types in the place of those that a module has imported, while the generator is held."""
    with pytest.MonkeyPatch.context() as patch:
        for name in native_names() & vars(module).keys():
            patch.setattr(module, name, getattr(_native, name))
        yield


@contextmanager
def native_session() -> Iterator[None]:
    """Sessions are made of native parts meanwhile, as far as there are some."""
    with ExitStack() as stack:
        for module in (gate, path, receiver, replay, resume, session):
            stack.enter_context(contextmanager(use_native)(module))
        yield
