"""The tree holds to its own map: each module has its tests, and imports go one way."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "mlvpnd"
MODULES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))


@dataclass(frozen=True, slots=True)
class Room:
    """One row of the map: what a part of the tree is for, and what it may import of mlvpnd beside itself."""

    purpose: str
    imports: frozenset[str] = frozenset()


def room(purpose: str, imports: str = "") -> Room:
    return Room(purpose, frozenset(f"mlvpnd.{name}" for name in imports.split()))


# The longest name that fits a module is its room's. A name stands for all that is below it.
ROOMS = {
    "mlvpnd.errors": room("the root of all errors that are shown to a person"),
    "mlvpnd.scapy_layer": room("the protocol once more, for tests and captures"),
    "mlvpnd.capture": room("what mlvpn-decode reads and prints", "scapy_layer"),
    "mlvpnd.base": room("leaves: options, names of instances, titles, printable text", "errors"),
    "mlvpnd.logs": room("where lines go: standard error, syslog, the journal", "base errors"),
    "mlvpnd.config": room("mlvpn.conf to frozen dataclasses, or all that is wrong with it", "base errors"),
    "mlvpnd.protocol": room("the protocol without IO: bytes and times in, datagrams and events out"),
    "mlvpnd.protocol.wire": room("bytes: header, box, numbers seen, what an inner packet is"),
    "mlvpnd.protocol.receiving": room(
        "the way in behind the gate: what a packet says of its line, copies, order",
        "protocol.wire protocol.links.path protocol.links.gate",
    ),
    "mlvpnd.protocol.sending": room(
        "the way out: which link, when, under which number",
        "protocol.wire protocol.links.path protocol.links.gate protocol.receiving.rtt",
    ),
    "mlvpnd.protocol.links": room(
        "the session and its links: who is up, who is believed, who is well",
        "protocol.wire protocol.receiving protocol.sending",
    ),
    "mlvpnd.offload": room("super-packets of the interface, split and joined"),
    "mlvpnd.net": room("bursts from and to descriptors, BPF, addresses, what the kernel tells", "errors offload"),
    "mlvpnd.native": room("the native twin in C, and what cffi must know of its headers"),
    "mlvpnd.dataplane": room(
        "what joins a session to the interface and the sockets, either twin", "config errors net offload protocol"
    ),
    "mlvpnd.systemd": room("what systemd gives, keeps and is told", "base config errors logs net"),
    "mlvpnd.helper": room(
        "what runs as root, and the daemon's stubs for it", "base config errors logs net.interface systemd"
    ),
    "mlvpnd.helper.byhand": room(
        "the parent of a tunnel by hand",
        "base config errors helper logs net.interface daemon.sandbox",
    ),
    "mlvpnd.operator": room("what an operator sees and asks: status, metrics, notices", "base errors logs"),
    "mlvpnd.tunnel": room(
        "one tunnel: session, data plane, interface and links together",
        "base config dataplane errors helper logs net offload operator protocol systemd",
    ),
    "mlvpnd.bus": room("the service on the system bus, and its blocking client", "base config errors logs operator"),
    "mlvpnd.daemon": room(
        "the unprivileged process's life",
        "base bus config dataplane errors helper logs net operator protocol systemd tunnel",
    ),
    "mlvpnd.ctl": room(
        "mlvpnctl: verbs, top, doctor", "base bus config dataplane.choice errors helper.files net operator"
    ),
    "mlvpnd.cli": room("command lines", "base bus capture config ctl daemon errors helper logs scapy_layer systemd"),
    "mlvpnd.__main__": room("python -m mlvpnd", "cli"),
}
# Modules that only real daemons test honestly, on real sockets or on a real bus.
TESTED_ELSEWHERE = {
    "dataplane/native_plane.py": "unit/tunnel/test_tunnel.py",
    "dataplane/plane.py": "unit/tunnel/test_tunnel.py",
    "dataplane/reference.py": "unit/tunnel/test_tunnel.py",
    "dataplane/native_session.py": "property/test_twins_session.py",
    "dataplane/binding/flows.py": "property/test_twins_receiving.py",
    "dataplane/binding/gate.py": "property/test_twins_session.py",
    "dataplane/binding/loop.py": "unit/dataplane/test_native_plane_loop.py",
    "dataplane/binding/path.py": "property/test_twins_session.py",
    "dataplane/binding/receiver.py": "unit/protocol/receiving/test_receiver.py",
    "dataplane/binding/sending.py": "property/test_twins_sending.py",
    "tunnel/restart.py": "unit/daemon/test_run_service.py",
    "tunnel/counting.py": "unit/tunnel/test_tunnel.py",
    "tunnel/droplog.py": "netns/test_floods.py",
    "helper/kill_switch.py": "netns/test_routes.py",
    "net/resolve.py": "netns/test_recovery.py",
    "tunnel/snapshot.py": "netns/test_byhand.py",
    "bus/authorize.py": "bus/test_authorize.py",
    "bus/dispatch.py": "bus/test_service.py",
    "bus/objects.py": "bus/test_service.py",
    "bus/service.py": "bus/test_service.py",
    "bus/signals.py": "bus/test_signals.py",
}
STANDARD_LIBRARY_ONLY = (
    "mlvpnd.config",
    "mlvpnd.errors",
    "mlvpnd.base.options",
    "mlvpnd.base.instance",
    "mlvpnd.base.printable",
    "mlvpnd.logs.log",
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


def room_of(module: str) -> str:
    """The name of the module's room; KeyError if it stands in none."""
    fitting = [name for name in ROOMS if within(module, name)]
    if not fitting:
        raise KeyError(module)
    return max(fitting, key=len)


def has_logic(path: Path) -> bool:
    """Whether a module holds a function that does something."""
    tree = ast.parse((ROOT / path).read_text())
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def test_imports_are_read_rightly() -> None:
    session = imports_of(Path("mlvpnd/protocol/links/session.py"))
    assert {"mlvpnd.protocol.wire.wire", "mlvpnd.protocol.wire.drops", "dataclasses"} <= session
    assert "mlvpnd.errors" in imports_of(Path("mlvpnd/helper/channel.py"))
    assert "mlvpnd.config.model" in imports_of(Path("mlvpnd/config/__init__.py"))


def test_few_modules_stand_in_the_root() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 5


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p) != "mlvpnd"], ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    module = name_of(path)
    name = room_of(module)
    ours = {found for found in imports_of(path) if within(found, "mlvpnd") and found != "mlvpnd"}
    outside = {found for found in ours if not any(within(found, other) for other in {name, *ROOMS[name].imports})}
    assert not outside, f"{module} may import {sorted({name, *ROOMS[name].imports})} only"


def test_arrows_never_turn_back() -> None:
    """No room imports a room that imports it, by whatever way round. What a row names below a room is its exception."""
    rooms = {name: {other for other in row.imports if other in ROOMS} for name, row in ROOMS.items()}

    def reached(name: str) -> set[str]:
        found, left = set[str](), list(rooms[name])
        while left:
            if (one := left.pop()) not in found:
                found.add(one)
                left += rooms[one]
        return found

    assert not [name for name in rooms if name in reached(name)]


def test_the_architecture_has_a_row_for_each_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"^\| `(\w+(?:/\w+)*)/?` ", text, re.M))
    expected = {name.removeprefix("mlvpnd.").replace(".", "/") for name in ROOMS}
    assert expected - {"errors", "scapy_layer", "helper/byhand", "protocol", "__main__"} <= named


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
    """A test's name begins with its module's. Tests of tree, build, units, examples, vectors, tables stand apart."""
    apart = {"test_layout.py", "test_units.py", "test_examples.py", "test_setup.py", "test_vectors_scapy.py"}
    apart |= {"test_bounds.py", "test_dependencies.py", "test_docs.py", "test_doctor_table.py"}
    unit = ROOT / "tests" / "unit"
    for test in unit.rglob("test_*.py"):
        folder = test.parent.relative_to(unit)
        if test.name in apart or folder.parts[:1] in (("support",), ("bench",), ("sim",), ("tools",)):
            continue
        stem = test.stem.removeprefix("test_")
        here = [path.stem for path in (PACKAGE / folder).glob("*.py")]
        assert any(stem == name or stem.startswith(name + "_") for name in here), f"{test} tests no module"
