"""Which twin of the data plane runs: what the file asks for, if it can run here."""

from __future__ import annotations

import asyncio
from types import ModuleType

from mlvpnd.config.model import DataPlane
from mlvpnd.errors import MlvpndError

from .plane import Plane
from .reference import ReferencePlane
from .selector import TurnLoop

ENGINE = "Engine"
"""What the extension offers to a tunnel. One built from an older tree may lack it."""

_native: ModuleType | None
# With the module and not later: in its sandbox a daemon imports nothing.
try:
    from . import _native
except ImportError as error:
    _native, _missing = None, str(error)
else:
    _missing = ""
if hasattr(_native, ENGINE):
    from .native_plane import NativePlane


def why_not_native() -> str:
    """Why the native twin cannot run here; empty: it can."""
    if _native is None:
        return f"its extension cannot be loaded: {_missing}"
    if not hasattr(_native, ENGINE):
        return f"its extension has no {ENGINE}: it was built from another version"
    return ""


def problem(wanted: DataPlane | None) -> str:
    """Why what is asked for cannot be had here; empty: it can."""
    missing = why_not_native() if wanted is DataPlane.NATIVE else ""
    return f"the native data plane cannot run: {missing}" if missing else ""


def choose(wanted: DataPlane | None) -> DataPlane:
    """The twin to run: the one that is asked for, else native where it can run. MlvpndError if it cannot be had."""
    if missing := problem(wanted):
        raise MlvpndError(f"data_plane: {missing}")
    if wanted is None:
        return DataPlane.REFERENCE if why_not_native() else DataPlane.NATIVE
    return wanted


def make(which: DataPlane) -> Plane:
    """A plane that can run, for the running event loop, which must be a `TurnLoop`."""
    loop = asyncio.get_running_loop()
    if which is DataPlane.REFERENCE:
        return ReferencePlane(loop)
    assert isinstance(loop, TurnLoop)  # noqa: S101  (else it would wait beside the native one)
    return NativePlane(loop)
