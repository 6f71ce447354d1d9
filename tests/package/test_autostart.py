"""Which tunnels start with the system: those that are enabled, also after an upgrade from a package with AUTOSTART."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.debs import apt, install
from tests.support.lab import wait_until
from tests.support.nodes import Node
from tests.support.services import ServiceTunnel

from .conftest import Release, install_on_both

NAMES = ("a", "b", "c")
DEFAULTS = "/etc/default/mlvpn"
TOLD = "mlvpnd: AUTOSTART in /etc/default/mlvpn has no effect any more."
UP_LIMIT = 10.0
QUIET = 2.0
"""Seconds after a boot in which a tunnel that must not start would."""


def _write_files(tunnel: ServiceTunnel, node: Node) -> None:
    """Puts three tunnels into /etc/mlvpn. It does not matter whether their links come up."""
    for name in NAMES:
        text = tunnel.config("client", {"interface_name": name, "ip4": None, "ip4_routes": None})
        node.write(f"/etc/mlvpn/{name}.conf", text, mode=0o600)


def _running(node: Node) -> set[str]:
    return {name for name in NAMES if node.show(f"mlvpn@{name}.service", "ActiveState") == "active"}


def _enabled(node: Node) -> set[str]:
    return {name for name in NAMES if node.attempt("systemctl", "is-enabled", f"mlvpn@{name}").returncode == 0}


def _assert_running(node: Node, wanted: set[str]) -> None:
    assert wait_until(lambda: _running(node) == wanted, UP_LIMIT), (_running(node), wanted)
    assert not wait_until(lambda: _running(node) != wanted, QUIET), (_running(node), wanted)


def _reboot(*nodes: Node) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(Node.reboot, nodes))


def test_enable_and_disable_are_what_counts(tunnel: ServiceTunnel, release: Release) -> None:
    install_on_both(tunnel.nodes, release.package)
    node, bare = tunnel.nodes
    for one in tunnel.nodes:
        _write_files(tunnel, one)
        assert one.read(DEFAULTS) == ""
    node.run("systemctl", "enable", "--now", "mlvpn@a", "mlvpn@b")
    _assert_running(node, {"a", "b"})
    node.run("systemctl", "disable", "mlvpn@b")
    # The name of C MLVPN's service stands for what is enabled.
    node.run("systemctl", "stop", "mlvpn")
    _assert_running(node, set())
    node.run("systemctl", "start", "mlvpn")
    _assert_running(node, {"a"})
    node.run("systemctl", "enable", "mlvpn@c")
    bare.write(DEFAULTS, "AUTOSTART=all\n")
    _reboot(node, bare)
    _assert_running(node, {"a", "c"})
    _assert_running(bare, set())
    node.run("systemctl", "disable", "mlvpn@a", "mlvpn.service")
    _reboot(node)
    _assert_running(node, {"c"})
    apt(node, "purge", "mlvpnd")
    assert node.run("find", "/etc/systemd", "-name", "*mlvpn*") == ""
    assert len(node.run("find", "/etc/mlvpn", "-name", "*.conf").split()) == len(NAMES), "these are the administrator's"
    assert TOLD not in install(node, release.package)
    _reboot(node)
    _assert_running(node, set())


def _run_old(tunnel: ServiceTunnel, node: Node, old: Path, autostart: str) -> None:
    """Makes an old package start tunnels by AUTOSTART."""
    _write_files(tunnel, node)
    install(node, old)
    if autostart:
        node.write(DEFAULTS, f"{node.read(DEFAULTS)}AUTOSTART={autostart}\n")
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "stop", "mlvpn.service", "mlvpn@*.service")
    node.run("systemctl", "start", "mlvpn.service")


EMPTY_NAMES = ("", {"a", "b", "c"}), ('"a b"', {"a", "b"})
NONE_ALL = ('"none"', set[str]()), ('"all"', {"a", "b", "c"})
"""AUTOSTART and what it starts, for two nodes at a time."""


@pytest.mark.parametrize(
    ("old", "pair"),
    [("upstreams", EMPTY_NAMES), ("upstreams", NONE_ALL), ("first", EMPTY_NAMES)],
    ids=["upstreams-empty-names", "upstreams-none-all", "first-empty-names"],
)
def test_an_upgrade_keeps_what_started(
    tunnel: ServiceTunnel, release: Release, old: str, pair: tuple[tuple[str, set[str]], ...]
) -> None:
    for node, (autostart, wanted) in zip(tunnel.nodes, pair, strict=True):
        _run_old(tunnel, node, getattr(release, old), autostart)
        _assert_running(node, wanted)
        said = install(node, release.package)
        assert said.count(TOLD) == 1
        assert set(NAMES) & {line.removeprefix("mlvpnd:   ") for line in said.splitlines()} == wanted
        assert _enabled(node) == wanted
        _assert_running(node, wanted)
        node.run("systemctl", "disable", "mlvpn@a")
        node.run("systemctl", "enable", "mlvpn@c")
        assert TOLD not in install(node, release.newer), "it is said once"
    _reboot(*tunnel.nodes)
    for node, (_, wanted) in zip(tunnel.nodes, pair, strict=True):
        _assert_running(node, wanted - {"a"} | {"c"})
        if old == "first":
            assert node.read(DEFAULTS) == "", "a file without effect would mislead"
