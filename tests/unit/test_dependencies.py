"""Whoever installs mlvpnd with an extra, or as a Debian package, gets all that its modules import."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "dbus_next": "dbus-next",
    "nacl": "pynacl",
    "pytun": "python-pytun",
    "systemd": "systemd-python",
}
"""Distributions on PyPI whose name is not the module's."""
DEBIAN = {"dbus-next": "dbus-next", "pynacl": "nacl", "systemd-python": "systemd"}
"""What follows `python3-` in Debian where it is not the distribution's name."""
IN_THE_PACKAGE = {"python-pytun"}
"""Debian has no package of it: ours brings it along."""
INSTEAD = {"dbus_fast"}
"""Modules that are taken where another one that is listed is missing."""


def third_party() -> set[str]:
    """All packages that the modules import, also within functions, but for Python's and ours."""
    found = {"cffi"}  # the native twin's extension imports its runtime
    for path in (ROOT / "mlvpnd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"mlvpnd"}


def distributions() -> set[str]:
    return {DISTRIBUTIONS.get(name, name) for name in third_party() - INSTEAD}


def test_the_extras_cover_all_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name != "dev"}
    wanted = [*project["dependencies"], *(one for some in extras.values() for one in some)]
    names = {re.split(r"[<>=~! ;\[]", one)[0].lower() for one in wanted}
    assert {"systemd-python", "dbus-next"} <= {one.split(">")[0] for one in extras["systemd"]}
    assert distributions() == names


def test_the_debian_package_names_them() -> None:
    control = (ROOT / "debian/control").read_text()
    binary = control.partition("\nPackage:")[2]
    missing = {name for name in distributions() - IN_THE_PACKAGE if f"python3-{DEBIAN.get(name, name)}" not in binary}
    assert missing == set()
