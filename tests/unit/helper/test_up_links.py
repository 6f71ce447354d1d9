from __future__ import annotations

from pathlib import Path

import pytest

from mlvpnd.helper.up_links import UpLinks


def test_in_memory() -> None:
    links = UpLinks()
    links.note("adsl1", up=True)
    links.note("adsl2", up=True)
    links.note("adsl1", up=False)
    links.note("never", up=False)
    assert links.names() == {"adsl2"}


def test_the_next_process_knows(tmp_path: Path) -> None:
    path = tmp_path / "links"
    links = UpLinks(str(path))
    links.note("adsl 1", up=True)
    links.note("ä\udcff", up=True)
    assert UpLinks(str(path)).names() == {"adsl 1", "ä\udcff"}
    links.note("adsl 1", up=False)
    assert UpLinks(str(path)).names() == {"ä\udcff"}
    links.note("ä\udcff", up=False)
    assert UpLinks(str(path)).names() == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there(tmp_path: Path, log_lines: pytest.LogCaptureFixture) -> None:
    links = UpLinks(str(tmp_path / "none" / "links"))
    links.note("adsl1", up=True)
    assert links.names() == {"adsl1"}
    assert log_lines.messages == [f"cannot write {tmp_path}/none/links: No such file or directory"]
