"""The package's own test, run as on Debian's machines."""

from __future__ import annotations

import shutil

from tests.support.debs import APT_LIMIT, apt
from tests.support.linkemu import PROJECT
from tests.support.services import ServiceTunnel

from .conftest import Release

IGNORED = "isolation-machine,breaks-testbed"
"""Restrictions that autopkgtest ignores. A node is as good as a machine here, and is thrown away."""


def test_it_passes(tunnel: ServiceTunnel, release: Release) -> None:
    node = tunnel.nodes.client
    apt(node, "install", "--no-install-recommends", "autopkgtest")
    shutil.copytree(PROJECT / "debian", node.root / "root/source/debian", symlinks=True)
    shutil.copy(release.package, node.root / "root")
    words = ("autopkgtest", f"--ignore-restrictions={IGNORED}", "-B", f"/root/{release.package.name}")
    done = node.attempt(*words, "/root/source/", "--", "null", timeout=3 * APT_LIMIT)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    assert "tunnel               PASS" in done.stdout + done.stderr
