"""Both twins of the data plane for tests: the native types in the place of those of `mlvpnd.protocol`."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from mlvpnd.dataplane import _native
from mlvpnd.dataplane.session import NativePath, NativeSession

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
