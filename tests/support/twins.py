"""Both twins of the data plane for tests: the native types in the place of those of `mlvpnd.protocol`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import pytest

from mlvpnd.dataplane import _native
<<<<<<< HEAD
from mlvpnd.dataplane.session import NativePath, NativeSession
=======
from mlvpnd.protocol import gate, path, receiver, replay, resume, session
>>>>>>> n-recv

TWINS = ("reference", "native")


def native_types() -> dict[str, Any]:
    """What the native twin has of its own, by the names of the reference."""
    types = {name: value for name, value in vars(_native).items() if not name.startswith("_")}
    return types | {"Path": NativePath, "Session": NativeSession}


def use_native(*modules: ModuleType) -> Iterator[None]:
    """Puts the native types in the place of those that modules have imported, while the generator is held."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name, native in native_types().items():
                if name in vars(module):
                    patch.setattr(module, name, native)
        yield


@contextmanager
def native_session() -> Iterator[None]:
    """Sessions are made of native parts meanwhile, as far as there are some."""
    with ExitStack() as stack:
        for module in (gate, path, receiver, replay, resume, session):
            stack.enter_context(contextmanager(use_native)(module))
        yield
