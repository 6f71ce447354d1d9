"""Chooses the twin of the data plane: the one that the file asks for, if it can run here."""

from __future__ import annotations

import asyncio
from types import ModuleType

from mlvpnd.config.model import DataPlane
from mlvpnd.errors import MlvpndError

from .plane import Plane
from .reference import ReferencePlane
from .selector import TurnLoop

ENGINE = "lib"
"""The extension's name for what a tunnel needs. An extension built from an older tree may lack it."""

_native: ModuleType | None
# Imported here and not later: in its sandbox the daemon imports nothing.
try:
    from . import _native

    if hasattr(_native, ENGINE):
        from .native_plane import NativePlane
except ImportError as error:
    _native, _missing = None, str(error)
else:
    _missing = ""


def why_not_native() -> str:
    """Why the native twin cannot run here; empty: it can."""
    if _native is None:
        return f"its extension cannot be loaded: {_missing}"
    if not hasattr(_native, ENGINE):
        return f"its extension has no {ENGINE}: it was built from another version"
    return ""


def problem(wanted: DataPlane | None) -> str:
    """Why the wanted twin cannot run here; empty: it can."""
    missing = why_not_native() if wanted is DataPlane.NATIVE else ""
    return f"the native data plane cannot run: {missing}" if missing else ""


def choose(wanted: DataPlane | None) -> DataPlane:
    """The twin to run: the wanted one, else native if it can run. Raises MlvpndError if the wanted one cannot run."""
    if missing := problem(wanted):
        raise MlvpndError(f"data_plane: {missing}")
    if wanted is None:
        return DataPlane.REFERENCE if why_not_native() else DataPlane.NATIVE
    return wanted


def make(which: DataPlane) -> Plane:
    """Makes a plane for the running event loop, which must be a `TurnLoop` for the native one."""
    loop = asyncio.get_running_loop()
    if which is DataPlane.REFERENCE:
        return ReferencePlane(loop)
    assert isinstance(loop, TurnLoop)  # noqa: S101  (a loop of another kind would wait beside the native one)
    return NativePlane(loop)
