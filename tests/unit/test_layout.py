"""The tree holds to its own map: each module has its tests, and imports go one way."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "mlvpnd"
MODULES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))

_PLANE = {"mlvpnd.dataplane", "mlvpnd.config", "mlvpnd.errors", "mlvpnd.net", "mlvpnd.protocol"}
# What a part may import of mlvpnd, by the longest name that fits; anything below a name is meant too.
MAY_IMPORT = {
    "mlvpnd.errors": set[str](),
    "mlvpnd.options": set[str](),
    "mlvpnd.proctitle": set[str](),
    "mlvpnd.allowance": set[str](),
    "mlvpnd.loglimit": {"mlvpnd.allowance"},
    "mlvpnd.log": {"mlvpnd.loglimit", "mlvpnd.options"},
    "mlvpnd.printable": set[str](),
    "mlvpnd.instance": set[str](),
    "mlvpnd.config": {"mlvpnd.errors", "mlvpnd.instance", "mlvpnd.printable"},
    "mlvpnd.journal": set[str](),
    "mlvpnd.systemd": {"mlvpnd.instance", "mlvpnd.log"},
    "mlvpnd.generator": {"mlvpnd.config", "mlvpnd.errors", "mlvpnd.instance"},
    "mlvpnd.helper": {"mlvpnd.config", "mlvpnd.errors", "mlvpnd.journal", "mlvpnd.log", "mlvpnd.options"}
    | {"mlvpnd.net.interface"},
    "mlvpnd.helper.byhand": {"mlvpnd.helper", "mlvpnd.config", "mlvpnd.errors", "mlvpnd.log", "mlvpnd.options"}
    | {"mlvpnd.proctitle", "mlvpnd.sandbox"},
    "mlvpnd.helper.service": {"mlvpnd.helper", "mlvpnd.errors", "mlvpnd.log", "mlvpnd.journal", "mlvpnd.systemd"}
    | {"mlvpnd.instance", "mlvpnd.loglimit"},
    "mlvpnd.protocol": set[str](),
    "mlvpnd.dataplane": {"mlvpnd.errors"},
    "mlvpnd.dataplane.session": {"mlvpnd.dataplane", "mlvpnd.protocol"},
    "mlvpnd.dataplane.turns": set[str](),
    "mlvpnd.dataplane.plane": _PLANE,
    "mlvpnd.dataplane.reference": _PLANE,
    "mlvpnd.dataplane.native": _PLANE,
    "mlvpnd.dataplane.choice": _PLANE,
    "mlvpnd.net": {"mlvpnd.errors", "mlvpnd.dataplane"},
    "mlvpnd.scapy_layer": set[str](),
}
# The others may import anything but these.
MAY_NOT_IMPORT = {
    "mlvpnd": {"mlvpnd.daemon", "mlvpnd.cli", "mlvpnd.scapy_layer"},
    "mlvpnd.status": {"mlvpnd.protocol", "mlvpnd.net", "mlvpnd.tunnel", "mlvpnd.link", "mlvpnd.daemon", "mlvpnd.cli"},
    "mlvpnd.metrics": {"mlvpnd.protocol", "mlvpnd.net", "mlvpnd.tunnel", "mlvpnd.link", "mlvpnd.daemon", "mlvpnd.cli"},
    "mlvpnd.control": {"mlvpnd.protocol", "mlvpnd.net", "mlvpnd.tunnel", "mlvpnd.link", "mlvpnd.daemon", "mlvpnd.cli"},
    "mlvpnd.daemon": {"mlvpnd.cli", "mlvpnd.scapy_layer"},
    "mlvpnd.bus": {"mlvpnd.protocol", "mlvpnd.net", "mlvpnd.daemon", "mlvpnd.cli", "mlvpnd.scapy_layer"},
    "mlvpnd.ctl": {"mlvpnd.protocol", "mlvpnd.tunnel", "mlvpnd.link", "mlvpnd.daemon", "mlvpnd.scapy_layer"},
    "mlvpnd.cli": {"mlvpnd.protocol", "mlvpnd.tunnel", "mlvpnd.link", "mlvpnd.scapy_layer"},
    "mlvpnd.__main__": {"mlvpnd.scapy_layer"},
}
# What is only honestly tested by real daemons on real sockets, or on a real bus.
TESTED_ELSEWHERE = {
    "dataplane/native.py": "unit/test_tunnel.py",
    "dataplane/plane.py": "unit/test_tunnel.py",
    "dataplane/reference.py": "unit/test_tunnel.py",
    "dataplane/session.py": "property/test_twins_session.py",
    "continuity.py": "unit/test_daemon_service.py",
    "droplog.py": "netns/test_floods.py",
    "resolve.py": "netns/test_recovery.py",
    "snapshot.py": "netns/test_byhand.py",
    "bus/authorize.py": "bus/test_authorize.py",
    "bus/dispatch.py": "bus/test_service.py",
    "bus/objects.py": "bus/test_service.py",
    "bus/service.py": "bus/test_service.py",
    "bus/signals.py": "bus/test_signals.py",
}
STANDARD_LIBRARY_ONLY = (
    "mlvpnd.allowance",
    "mlvpnd.config",
    "mlvpnd.errors",
    "mlvpnd.options",
    "mlvpnd.log",
    "mlvpnd.instance",
    "mlvpnd.printable",
)
PROTOCOL_THIRD_PARTY = {"nacl"}


def name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def imports_of(path: Path) -> set[str]:
    """Everything that a module imports, wherever in its text, as absolute names."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, node.module] if node.module else base)
            # `from . import wire` names a module, `from .wire import pack` a thing in one.
            for alias in node.names:
                inner = ROOT / Path(*origin.split(".")) / alias.name
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                found.add(f"{origin}.{alias.name}" if is_module else origin)
    return found


def rule_for(rules: dict[str, set[str]], module: str) -> tuple[str, set[str]] | None:
    fitting = [part for part in rules if within(module, part)]
    if not fitting:
        return None
    longest = max(fitting, key=len)
    return longest, rules[longest]


def has_logic(path: Path) -> bool:
    """Whether a module holds a function that does something."""
    tree = ast.parse((ROOT / path).read_text())
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def test_imports_are_read_rightly() -> None:
    session = imports_of(Path("mlvpnd/protocol/session.py"))
    assert {"mlvpnd.protocol.wire", "mlvpnd.protocol.drops", "typing"} <= session
    assert "mlvpnd.errors" in imports_of(Path("mlvpnd/helper/channel.py"))
    assert "mlvpnd.config.model" in imports_of(Path("mlvpnd/config/__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    module = name_of(path)
    ours = {found for found in imports_of(path) if within(found, "mlvpnd") and found != "mlvpnd"}
    allowed = rule_for(MAY_IMPORT, module)
    if allowed is not None:
        part, others = allowed
        outside = {found for found in ours if not any(within(found, other) for other in {part, *others})}
        assert not outside, f"{module} may import {sorted({part, *others})} only"
        return
    forbidden = rule_for(MAY_NOT_IMPORT, module)
    assert forbidden is not None
    back = {found for found in ours if any(within(found, other) for other in forbidden[1])}
    assert not back, f"{module} must not import {sorted(back)}"


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith(STANDARD_LIBRARY_ONLY)], ids=name_of)
def test_standard_library_only(path: Path) -> None:
    foreign = {found.split(".")[0] for found in imports_of(path)} - set(sys.stdlib_module_names) - {"mlvpnd"}
    assert not foreign


@pytest.mark.parametrize("path", [p for p in MODULES if within(name_of(p), "mlvpnd.protocol")], ids=name_of)
def test_the_protocol_does_no_io(path: Path) -> None:
    found = {found.split(".")[0] for found in imports_of(path)} - {"mlvpnd"}
    banned = {
        "time",
        "datetime",
        "socket",
        "asyncio",
        "logging",
        "os",
        "sys",
        "random",
        "secrets",
        "threading",
        "select",
    }
    assert not found & banned
    assert found - set(sys.stdlib_module_names) <= PROTOCOL_THIRD_PARTY


@pytest.mark.parametrize("path", [p for p in MODULES if has_logic(p) and p.name[0] != "_"], ids=name_of)
def test_each_module_has_its_tests(path: Path) -> None:
    inside = path.relative_to("mlvpnd")
    mirror = ROOT / "tests" / "unit" / inside.with_name(f"test_{path.name}")
    elsewhere = ROOT / "tests" / TESTED_ELSEWHERE.get(str(inside), "none")
    assert mirror.exists() or elsewhere.is_file(), f"{path} has no {mirror.relative_to(ROOT)}"


def test_the_mirror_shows_nothing_that_is_not_there() -> None:
    """A test's name begins with its module's; those of tree, build, units, examples, vectors, bounds stand apart."""
    apart = {"test_layout.py", "test_units.py", "test_examples.py", "test_setup.py", "test_vectors_scapy.py"}
    apart |= {"test_bounds.py", "test_dependencies.py", "test_docs.py"}
    unit = ROOT / "tests" / "unit"
    for test in unit.rglob("test_*.py"):
        folder = test.parent.relative_to(unit)
        if test.name in apart or folder.parts[:1] in (("support",), ("bench",)):
            continue
        stem = test.stem.removeprefix("test_")
        here = [path.stem for path in (PACKAGE / folder).glob("*.py")]
        assert any(stem == name or stem.startswith(name + "_") for name in here), f"{test} tests no module"
