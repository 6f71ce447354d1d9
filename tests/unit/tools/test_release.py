"""A release of a small project."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tools.release import PROJECT, ReleaseError, check, git, release, section

AT = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Something.\n\n## [0.1.0] - 2026-11-28\n\n- All of it.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("mlvpnd", "debian"):
        (tmp_path / folder).mkdir()
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "mlvpnd" / "__init__.py").write_text('"""A package."""\n\n__version__ = "0.2.0"\n')
    begun = "mlvpnd (0.2.0-1) unstable; urgency=medium\n\n  * Begun.\n\n -- Somebody <a@example.org>  Some day\n\n"
    (tmp_path / "debian" / "changelog").write_text(begun + begun.replace("0.2.0", "0.1.0"))
    git("init", "--quiet", project=tmp_path)
    for key, value in (("user.name", "Tester"), ("user.email", "tester@example.org")):
        git("config", key, value, project=tmp_path)
    git("add", ".", project=tmp_path)
    git("commit", "--quiet", "--message", "all", project=tmp_path)
    return tmp_path


def test_a_release_is_a_commit_and_a_tag(project: Path) -> None:
    release("0.2.0", AT, project)
    assert git("status", "--porcelain", project=project) == ""
    assert git("log", "-1", "--format=%s", project=project) == "release: 0.2.0\n"
    assert "- Something." in git("tag", "--list", "--format=%(contents)", "v0.2.0", project=project)
    text = (project / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- Something.\n\n## [0.1.0]" in text
    entries = (project / "debian" / "changelog").read_text()
    assert [line.split()[1] for line in entries.splitlines() if line.startswith("mlvpnd")] == ["(0.2.0-1)", "(0.1.0-1)"]
    assert "Tue, 01 Dec 2026 12:00:00 +0000" in entries
    with pytest.raises(ReleaseError, match="0.2.0 is not newer than 0.2.0"):
        check("0.2.0", project)
    with pytest.raises(ReleaseError, match=r"nothing under \[Unreleased\]"):
        check("0.3.0", project)


def test_another_version_is_written_where_it_stands(project: Path) -> None:
    release("0.3.0", AT, project)
    assert '__version__ = "0.3.0"' in (project / "mlvpnd" / "__init__.py").read_text()
    entries = (project / "debian" / "changelog").read_text()
    assert entries.count("\nmlvpnd (") == 2


@pytest.mark.parametrize("version", ["", "1", "0.2", "v0.2.0", "0.2.0-1"])
def test_what_is_no_version(project: Path, version: str) -> None:
    with pytest.raises(ReleaseError, match="is no version"):
        check(version, project)


def test_what_is_not_committed_is_in_the_way(project: Path) -> None:
    (project / "new").touch()
    with pytest.raises(ReleaseError, match="not committed"):
        release("0.2.0", AT, project)
    assert (project / "CHANGELOG.md").read_text() == CHANGELOG


def test_this_project_says_what_is_not_released() -> None:
    assert section((PROJECT / "CHANGELOG.md").read_text())
