"""These tests boot Debian systems in containers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import faults
from tests.support.lab import Lab, Line
from tests.support.nodes import Nodes, stage
from tests.support.rootfs import PYTHONS, root_of
from tests.support.services import Service, ServiceTunnel

ROOT_LIMIT = 400
"""Seconds to make a root directory; half a minute is usual."""
LINES = (Line(rate=20, delay=10), Line(rate=10, delay=15))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks all tests of this directory. The first one may have to make a root directory."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(ROOT_LIMIT))


@pytest.fixture(scope="session")
def installed(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `make install` puts into a system."""
    directory = tmp_path_factory.mktemp("installed")
    stage(directory)
    return directory


@pytest.fixture(scope="package", params=sorted(PYTHONS))
def both(request: pytest.FixtureRequest, installed: Path) -> Iterator[ServiceTunnel]:
    """A client and a server of one Debian release with mlvpnd installed, without a configuration."""
    root = root_of(request.param)
    with Lab(LINES) as lab, Nodes(lab, root, root) as nodes:
        for node in nodes:
            node.install(installed)
        yield ServiceTunnel(lab, nodes)


@pytest.fixture
def tunnel(both: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """Both ends run and all links are up. A test may leave them in any state, but without faults in the log."""
    both.ensure_up()
    since = time.time()
    yield both
    for service in (both.client, both.server):
        assert faults(service.log(since=since)) == []


@pytest.fixture(params=["client", "server"])
def end(request: pytest.FixtureRequest, tunnel: ServiceTunnel) -> Service:
    """Each end in turn."""
    service: Service = getattr(tunnel, request.param)
    return service
