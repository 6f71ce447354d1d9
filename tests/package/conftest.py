"""These tests build the Debian package for each release and install it on booted systems that have no network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import debs
from tests.support.lab import Lab, Line
from tests.support.nodes import Node, Nodes
from tests.support.rootfs import PYTHONS, root_of
from tests.support.services import ServiceTunnel

LIMIT = 600
"""Seconds; the first test of a release may have to make two root directories."""
LINES = (Line(rate=20, delay=10), Line(rate=10, delay=15))
APT_LIMIT = 120
"""Seconds; some ten are usual."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks all tests of this directory."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(LIMIT))


@dataclass(frozen=True, slots=True)
class Release:
    """A Debian release with packages for it."""

    root: Path
    """A minimal system."""
    package: Path
    newer: Path
    upstreams: Path
    source: Path
    """The source package's directory."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source package."""
    directory = tmp_path_factory.mktemp("source")
    debs.make_source(directory)
    return directory


@pytest.fixture(scope="session", params=sorted(PYTHONS))
def release(request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The package, built for one release after the other."""
    work = tmp_path_factory.mktemp(request.param)
    package = debs.build(root_of(request.param, debs.build_system()), source, work / "out", work / "scratch")
    root = root_of(request.param, debs.minimal_system())
    return Release(root, package, debs.newer(package, work), debs.upstreams(work), source)


@pytest.fixture
def tunnel(release: Release) -> Iterator[ServiceTunnel]:
    """A client and a server that have nothing installed."""
    with Lab(LINES) as lab, Nodes(lab, release.root, release.root) as nodes:
        yield ServiceTunnel(lab, nodes)


def apt(node: Node, *words: str) -> str:
    """Runs apt-get as an administrator does who answers no question: one about a file would fail."""
    return node.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet", *words, timeout=APT_LIMIT)


def install_on_both(nodes: Nodes, package: Path) -> None:
    """The same in both nodes at once."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(install, node, package) for node in nodes]:
            done.result()


def install(node: Node, package: Path) -> str:
    """`apt install ./PACKAGE` in the node."""
    inside = node.root / "root" / package.name
    inside.write_bytes(package.read_bytes())
    return apt(node, "install", f"/root/{package.name}")
