from __future__ import annotations

from types import ModuleType, SimpleNamespace

import pytest

from mlvpnd.config.model import DataPlane
from mlvpnd.dataplane import choice
from mlvpnd.errors import MlvpndError

WHOLE = SimpleNamespace(lib=object)
"""An extension that can carry a tunnel."""
OLD = SimpleNamespace(ReplayWindow=object)


def loaded(monkeypatch: pytest.MonkeyPatch, extension: SimpleNamespace | ModuleType | None, missing: str = "") -> None:
    monkeypatch.setattr(choice, "_native", extension)
    monkeypatch.setattr(choice, "_missing", missing)


def test_native_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, WHOLE)
    assert choice.choose(None) is DataPlane.NATIVE
    assert choice.choose(DataPlane.NATIVE) is DataPlane.NATIVE
    assert choice.choose(DataPlane.REFERENCE) is DataPlane.REFERENCE
    assert choice.problem(DataPlane.NATIVE) == ""


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        (None, "its extension cannot be loaded: No module named 'x'"),
        (OLD, "its extension has no lib: it was built from another version"),
    ],
    ids=["absent", "old"],
)
def test_what_cannot_run_is_never_replaced_without_a_word(
    monkeypatch: pytest.MonkeyPatch, extension: SimpleNamespace | None, why: str
) -> None:
    loaded(monkeypatch, extension, "No module named 'x'")
    assert choice.choose(None) is DataPlane.REFERENCE
    assert choice.choose(DataPlane.REFERENCE) is DataPlane.REFERENCE
    assert choice.problem(DataPlane.REFERENCE) == choice.problem(None) == ""
    with pytest.raises(MlvpndError) as caught:
        choice.choose(DataPlane.NATIVE)
    assert str(caught.value) == f"data_plane: the native data plane cannot run: {why}"
