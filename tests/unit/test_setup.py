"""Building where there is no C compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATUS = "from mlvpnd.dataplane import choice; print(choice.choose(None).value); print(choice.why_not_native())"

pytest.importorskip("setuptools")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that a build reads, without what earlier builds have made."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "mlvpnd", tree / "mlvpnd", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree)
    return tree


def build(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build", "--build-lib", "built"]
    environment = {name: value for name, value in os.environ.items() if name != "MLVPND_PURE"} | environment
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("compiler", ["/bin/false", "/nonexistent/cc"])
def test_without_a_compiler_it_says_how_it_can_be_done(tree: Path, compiler: str) -> None:
    done = build(tree, CC=compiler)
    assert done.returncode != 0
    assert "MLVPND_PURE=1" in done.stderr
    assert compiler in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_compiler_it_is_built_if_that_is_wanted(tree: Path) -> None:
    done = build(tree, CC="/bin/false", MLVPND_PURE="1")
    assert done.returncode == 0, done.stderr
    assert not list((tree / "built").rglob("*.so"))
    # The path lacks what an editable install adds to it.
    isolated = [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {STATUS}"]
    found = subprocess.run(isolated, cwd=tree / "built", capture_output=True, text=True, check=True)
    which, why_not = found.stdout.splitlines()
    assert which == "reference"
    assert "cannot be loaded" in why_not
