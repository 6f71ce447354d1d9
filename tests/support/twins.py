"""Both twins of the data plane for tests: the native types replace those of `mlvpnd.protocol`."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from mlvpnd.dataplane.binding.flows import NativePeerFlow
from mlvpnd.dataplane.binding.path import NativePath
from mlvpnd.dataplane.native_session import NativeSession
from tests.support import native_parts, session_pair

TWINS = ("reference", "native")


def native_types() -> dict[str, Any]:
    """The native twin's own types and functions, by the names of the reference."""
    own = {
        name: value
        for name, value in vars(native_parts).items()
        if getattr(value, "__module__", "") == native_parts.__name__ and not name.startswith("_")
    }
    return own | {"Path": NativePath, "PeerFlow": NativePeerFlow, "Session": NativeSession}


def on_both(metafunc: pytest.Metafunc, reached: Mapping[str, Sequence[str]], *, but: Container[str] = ()) -> None:
    """Makes a test run on both twins. Its module has imported something with two twins, or is named in `reached`.

    The types are exchanged in this module, and in the modules named with it. Modules are named without packages.
    """
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in reached or (name not in but and native_types().keys() & vars(metafunc.module).keys()):
        cases = [(twin, tuple(reached.get(name, ()))) for twin in TWINS]
        metafunc.parametrize("twin", cases, indirect=True, scope="module", ids=TWINS)


# Used automatically: pytest calls only fixtures that a test asks for, whatever has been parametrized for it.
@pytest.fixture(scope="module", autouse=True)
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """The twin of a test; see `on_both`."""
    which, reached = getattr(request, "param", (TWINS[0], ()))
    if which == "native":
        yield from (which for _ in use_native(request.module, *map(import_module, reached)))
    else:
        yield which


def use_native(*modules: ModuleType) -> Iterator[None]:
    """Replaces the types that modules have imported by the native ones, while the generator is held."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name, native in native_types().items():
                if name in vars(module):
                    patch.setattr(module, name, native)
        yield


@contextmanager
def native_session() -> Iterator[None]:
    """Meanwhile session pairs are native."""
    yield from use_native(session_pair)
