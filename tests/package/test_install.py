"""The life of the package on a minimal system: install, use, upgrade under traffic, remove, purge, install again."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.debs import apt, install, install_by_dpkg
from tests.support.lab import wait_until
from tests.support.linkemu import PROJECT
from tests.support.nodes import Node
from tests.support.services import CONFIG, INSTANCE, UNIT, Service, ServiceTunnel

from .conftest import Release, install_on_both

UPGRADE_GAP = 2.0
"""Seconds without a byte during an upgrade of the package, at most: a restart of the daemon."""
STOP_LIMIT = 10.0
"""Seconds until all units have ended after the package is gone. systemd waits only for the unit that it has to stop."""
STATE = f"/var/lib/mlvpn/{INSTANCE}/state.json"
COMPLETION = "usr/share/bash-completion/completions/mlvpnctl"


def _version(node: Node) -> str:
    return node.run("dpkg-query", "--show", "--showformat", "${Version}", "mlvpnd")


def _units(node: Node) -> list[str]:
    """Units of ours that run or have failed."""
    words = ("list-units", "--no-legend", "--plain", "--state=active,failed,activating", "mlvpn*")
    return [line.split()[0] for line in node.run("systemctl", *words).splitlines()]


def test_from_nothing_to_traffic_and_back_to_nothing(tunnel: ServiceTunnel, release: Release) -> None:
    assert not any(node.attempt("which", "python3").stdout for node in tunnel.nodes)
    install_on_both(tunnel.nodes, release.package)
    for node in tunnel.nodes:
        assert _units(node) == ["mlvpn.service"]
        assert node.run("systemctl", "is-system-running").strip() == "running"
        assert node.run("stat", "-c", "%U:%G %a", "/etc/mlvpn", "/run/mlvpn").split("\n")[:2] == [
            "root:root 700",
            "root:root 755",
        ]
        for program in ("mlvpn", "mlvpnd"):
            assert node.run(program, "--version").startswith("mlvpn version ")
        assert node.attempt("systemd-analyze", "verify", "--man=no", UNIT).stderr == ""
        assert (node.root / COMPLETION).read_bytes() == (PROJECT / "debian/mlvpnctl.bash-completion").read_bytes()
    _start(tunnel)
    assert tunnel.ping() == 3
    _ask(tunnel.client.node)
    _upgrade_under_traffic(tunnel, release)
    _remove_and_purge(tunnel, release)


def _start(tunnel: ServiceTunnel) -> None:
    """The steps of a reader of the manual: a file, `systemctl enable --now`."""
    for end, service in (("server", tunnel.server), ("client", tunnel.client)):
        service.node.write(CONFIG, tunnel.config(end), mode=0o600)
        service.node.run("systemctl", "enable", "--now", UNIT)
    tunnel.wait_up()


def _ask(node: Node) -> None:
    """The bus policy, polkit's actions and the catalogue are in use without a reload by hand."""

    def on_the_bus() -> bool:
        done = node.attempt("mlvpnctl", "--json=short", "links", INSTANCE)
        return done.returncode == 0 and {link["State"] for link in json.loads(done.stdout)} == {"up"}

    assert wait_until(on_the_bus, 10)
    assert f"org.mlvpn1.Tunnel.{INSTANCE}" in node.run("busctl", "list", "--acquired")
    user = node.attempt("setpriv", "--reuid=nobody", "--clear-groups", "mlvpnctl", "reload", INSTANCE)
    assert user.returncode == 5, user.stderr
    told = node.run("journalctl", "-x", "-u", UNIT, "MLVPN_EVENT=link-up", "--no-pager")
    assert f"Subject: Link link1 of tunnel {INSTANCE} is up" in told


def _upgrade_under_traffic(tunnel: ServiceTunnel, release: Release) -> None:
    before = {service: (service.interface(), service.pid, _version(service.node)) for service in _ends(tunnel)}
    transfer = tunnel.download(25)
    for _ in transfer.watch(2):
        pass
    with ThreadPoolExecutor() as pool:  # both nodes at once
        by_apt = pool.submit(install, tunnel.server.node, release.newer)
        by_dpkg = pool.submit(install_by_dpkg, tunnel.client.node, release.newer)
    by_apt.result()
    assert by_dpkg.result().returncode == 0, by_dpkg.result()
    result = transfer.wait()
    assert result.verified, result.error
    assert result.own_gap <= UPGRADE_GAP
    tunnel.wait_up()
    for service, (interface, pid, version) in before.items():
        assert _version(service.node) == f"{version}+newer"
        assert service.pid not in (0, pid)
        assert service.interface() == interface


def _ends(tunnel: ServiceTunnel) -> tuple[Service, ...]:
    return (tunnel.client, tunnel.server)


def _remove_and_purge(tunnel: ServiceTunnel, release: Release) -> None:
    client = tunnel.client
    node = client.node
    since = time.time()
    apt(node, "remove", "mlvpnd")
    assert wait_until(lambda: not _units(node), STOP_LIMIT), _units(node)
    assert not (node.root / "usr/sbin/mlvpnd").exists()
    assert not (node.root / "sys/class/net" / INSTANCE).exists()
    assert tunnel.server.wait_entry("MLVPN_EVENT=link-down", since=since)["MLVPN_REASON"] == "disconnect"
    assert node.read(CONFIG)
    assert (node.root / STATE.lstrip("/")).exists(), "a removal is no purge"
    install(node, release.package)
    tunnel.wait_up()
    assert tunnel.ping() == 3
    apt(node, "purge", "mlvpnd")
    assert wait_until(lambda: not _units(node), STOP_LIMIT), _units(node)
    assert not (node.root / "var/lib/mlvpn").exists()
    assert node.read(CONFIG), "what the administrator wrote stays"
    places = ("/usr", "/lib", "/etc/systemd", "/etc/default", "/var/lib/systemd/deb-systemd-helper-enabled")
    assert node.run("find", *places, "-name", "*mlvpn*") == ""
    install(node, release.package)
    assert _units(node) == ["mlvpn.service"], "nothing is enabled any more"
