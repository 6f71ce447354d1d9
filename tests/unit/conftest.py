from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.captures import Decoding


@pytest.fixture
def decoding(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Decoding:
    from tests.support.captures import Decoding  # loads scapy, which takes a second, for the few that want it

    monkeypatch.setenv("TZ", "UTC")
    return Decoding(tmp_path, capsys)
