"""These tests build the Debian package for each release and install it on booted systems that have no network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import debs
from tests.support.lab import Lab, Line
from tests.support.nodes import Nodes
from tests.support.rootfs import PYTHONS, root_of
from tests.support.services import ServiceTunnel

LIMIT = 1200
"""Seconds for a test. The first may have to make four root directories and two packages, which takes four minutes."""
LINES = (Line(rate=20, delay=10), Line(rate=10, delay=15))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks all tests of this directory."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(LIMIT))


@dataclass(frozen=True, slots=True)
class Release:
    """A Debian release with its packages."""

    root: Path
    """A minimal system."""
    package: Path
    newer: Path
    first: Path
    upstreams: Path


@pytest.fixture(scope="session")
def releases(
    request: pytest.FixtureRequest, containers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Release]]]:
    """The releases that the selected tests need. All are made at once."""
    calls = [item.callspec for item in request.session.items if hasattr(item, "callspec")]
    suites = {call.params["release"] for call in calls if "release" in call.params}
    source = tmp_path_factory.mktemp("source")
    works = {suite: tmp_path_factory.mktemp(suite) for suite in sorted(suites)}
    with ThreadPoolExecutor() as pool:
        made = pool.submit(debs.make_source, source)
        yield {suite: pool.submit(_make_release, suite, source, made, work) for suite, work in works.items()}


def _make_release(suite: str, source: Path, made: Future[None], work: Path) -> Release:
    """Makes a release; `made` ends when the source package exists."""
    building = root_of(suite, debs.build_system())
    made.result()
    package = debs.build(building, source, work / "out", work / "scratch")
    root = root_of(suite, debs.minimal_system())
    return Release(root, package, debs.newer(package, work), debs.first(package, work), debs.upstreams(work))


@pytest.fixture(scope="session", params=sorted(PYTHONS))
def release(request: pytest.FixtureRequest, releases: dict[str, Future[Release]]) -> Release:
    """The package of each release in turn."""
    return releases[request.param].result()


@pytest.fixture
def tunnel(release: Release) -> Iterator[ServiceTunnel]:
    """A client and a server without anything installed."""
    with Lab(LINES) as lab, Nodes(lab, release.root, release.root) as nodes:
        yield ServiceTunnel(lab, nodes)


def install_on_both(nodes: Nodes, package: Path) -> None:
    """Installs the package in both nodes at once."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(debs.install, node, package) for node in nodes]:
            done.result()
