"""`debian/build-package` builds once, as long as the source package is the same. The building programs are replaced."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.linkemu import PROJECT

# Extracting leaves the tree as the real program does. The build itself makes its files beside the tree, in `$work`.
_DPKG_SOURCE = (
    "#!/bin/sh\nmkdir tree; echo build >>$BUILDS; touch mlvpnd_1-1_all.deb mlvpnd_1-1.changes mlvpnd_1-1.buildinfo\n"
)


class Builder:
    """A source package, a directory for results, and programs that only note that they ran."""

    def __init__(self, directory: Path) -> None:
        self.source, self.out, self.builds = directory / "source", directory / "out", directory / "builds"
        self._programs = directory / "programs"
        for made in (self.source, self._programs):
            made.mkdir()
        self.change("first")
        script = (PROJECT / "debian" / "build-package").read_text().replace("PATH=/usr/sbin:/usr/bin:/sbin:/bin ", "")
        self._program("build-package", script)
        self._program("dpkg-source", _DPKG_SOURCE)
        self._program("dpkg-buildpackage", "#!/bin/sh\n")
        self._program("lintian", "#!/bin/sh\nexit ${LINTIAN:-0}\n")

    def _program(self, name: str, text: str) -> None:
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)

    def change(self, text: str) -> None:
        (self.source / "mlvpnd_1-1.dsc").write_text(text)

    def run(self, **environment: str) -> tuple[int, str]:
        """Returns the exit status and what was printed."""
        path = f"{self._programs}:{os.environ['PATH']}"
        environment |= {"PATH": path, "BUILDS": str(self.builds)}
        words = [self._programs / "build-package", self.source, self.out]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    @property
    def count(self) -> int:
        return len(self.builds.read_text().split())


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_it_builds_once_and_names_the_package_each_time(builder: Builder) -> None:
    named = (0, f"built: {builder.out}/mlvpnd_1-1_all.deb\n")
    assert [builder.run(), builder.run()] == [named, named]
    assert builder.count == 1


def test_it_builds_what_has_changed_or_is_gone(builder: Builder) -> None:
    builder.run()
    builder.change("second")
    builder.run()
    assert builder.count == 2
    (builder.out / "mlvpnd_1-1_all.deb").unlink()
    builder.run()
    assert builder.count == 3


def test_a_build_that_failed_is_made_again(builder: Builder) -> None:
    assert builder.run(LINTIAN="1")[0] == 1
    assert builder.run()[0] == 0
    assert builder.count == 2
