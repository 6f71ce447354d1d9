"""`mlvpnctl` against the daemon of a service: by a bus, and by the private socket if the bus is down."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab import wait_until
from tests.support.linkemu import PROJECT
from tests.support.noise import Noise
from tests.support.private_bus import PrivateBus

from .service_world import NAME, USER

pytestmark = pytest.mark.netns

LIMIT = 15.0
"""Seconds for a start or an end, at most."""
GOOD = """[general]
mode = "client"
password = "pleasechangeme!"
interface_name = "mlvpn0"
configure_interface = 1
ip4 = "10.42.0.2/24"
timeout = {timeout}
[adsl1]
remotehost = "127.0.0.1"
remoteport = 5080
bandwidth_upload = 250000
[lte]
remotehost = "127.0.0.1"
remoteport = 5081
fallback_only = 1
"""
WARNED = f"/etc/mlvpn/{NAME}.conf:12: bandwidth_upload:"
"""The link `lte` has no bandwidth."""
WRONG = GOOD.replace('"mlvpn0"', '"a/b"')
WRONG_LINE = f"/etc/mlvpn/{NAME}.conf:4: interface_name:"


class World:
    """A host of its own, with a bus, for one daemon."""

    def __init__(self, bus: PrivateBus, process: subprocess.Popen[str]) -> None:
        self.bus = bus
        self._process = process
        self.write(GOOD.format(timeout=30))

    def _inside(self, *words: str, user: str = "root") -> list[str]:
        enter = ["nsenter", f"--target={self._process.pid}", "--mount", "--net"]
        there = ["sh", "-c", 'cd "$0" && exec "$@"', str(PROJECT)]
        return [*enter, *there, "setpriv", f"--reuid={user}", "--clear-groups", "--", *words]

    def write(self, text: str) -> None:
        """Puts the configuration file in place."""
        script = f"umask 077; cat >/etc/mlvpn/{NAME}.conf"
        subprocess.run(self._inside("sh", "-c", script), input=text, text=True, check=True)

    def run(self, *words: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """`mlvpnctl WORDS` by that user."""
        return subprocess.run(
            self._inside(sys.executable, "-m", "mlvpnd.cli.mlvpnctl", *words, user=user),
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus.address, "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str) -> Any:
        """The output of `mlvpnctl` for programs."""
        return json.loads(self.run("--json=short", *words).stdout)

    @contextlib.contextmanager
    def daemon(self) -> Iterator[None]:
        """A daemon that runs and answers. It must end well."""
        with subprocess.Popen(
            self._inside(sys.executable, "-m", "mlvpnd", "--instance", NAME, user=USER),
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus.address},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                noise = Noise()
                asked = wait_until(lambda: self.run("show", NAME).returncode == 0, LIMIT)
                assert asked or wait_until(lambda: self.run("show", NAME).returncode == 0, noise.seconds + 0.1)
                yield
            finally:
                process.terminate()
                _, said = process.communicate(timeout=LIMIT + 10)
        assert (process.returncode, "Traceback" in said) == (0, False), said

    @property
    def timeout(self) -> object:
        """The timeout of the links in the running daemon: µs."""
        return self.json("show", f"{NAME}/adsl1")["TimeoutUSec"]


@pytest.fixture
def world() -> Iterator[World]:
    bus = PrivateBus()
    bus.start()
    command = [
        "unshare",
        "--mount",
        "--net",
        "--propagation=private",
        sys.executable,
        "-m",
        "tests.netns.service_world",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield World(bus, process)
        finally:
            bus.close()
            process.kill()


@pytest.mark.parametrize("by", ["bus", "socket"])
def test_a_reload(world: World, by: str) -> None:
    """After the return, a right file is in use. For a wrong one, the line is named and nothing changes."""
    if by == "socket":
        world.bus.kill()
    with world.daemon():
        assert world.timeout == 30_000_000
        world.write(GOOD.format(timeout=40))
        done = world.run("reload", NAME)
        assert (done.returncode, done.stdout) == (0, f"{NAME}: reloaded\n")
        assert done.stderr.startswith(f"{NAME}: warning: {WARNED}")
        assert world.timeout == 40_000_000
        world.write(WRONG.format(timeout=50))
        done = world.run("--quiet", "reload", NAME)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"{NAME}: {WRONG_LINE}")
        assert world.timeout == 40_000_000
        # The daemon's socket trusts its own user alone; the bus does not. Nobody can ask for a password here.
        world.write(GOOD.format(timeout=60))
        assert world.run("--quiet", "reload", NAME, user=USER).returncode == (0 if by == "socket" else 5)
        assert world.run("--quiet", "reload", NAME).returncode == 0
        stranger = world.run("reload", NAME, user="daemon")
        assert (stranger.returncode, stranger.stdout) == (5, ""), stranger.stderr
        assert world.timeout == 60_000_000


def test_what_is_shown_by_either_way_is_the_same(world: World) -> None:
    """Except for values that the control socket tells less finely."""
    with world.daemon():
        (by_bus,) = world.json("status", NAME)
        text = world.run("status", NAME).stdout
        world.bus.kill()
        (by_socket,) = world.json("status", NAME)
        text_by_socket = world.run("status", NAME).stdout
        links = world.json("links", NAME)
    assert set(by_bus) == set(by_socket)
    moving = {"StatusText", "StartTimestamp", "LastReloadTimestamp", "Drops", "Links", "RxPackets", "RxBytes"}
    moving |= {"TxPackets", "TxBytes", "ReorderBuffer", "StateChangeTimestamp", "Reason"}
    assert {key: by_bus[key] for key in set(by_bus) - moving} == {key: by_socket[key] for key in set(by_bus) - moving}
    assert [set(link) for link in by_bus["Links"]] == [set(link) for link in by_socket["Links"]]
    assert (by_socket["State"], by_socket["Mode"], by_socket["ConfigFile"]) == (
        "connecting",
        "client",
        f"/etc/mlvpn/{NAME}.conf",
    )
    assert [(link["Name"], link["Enabled"], link["FallbackOnly"]) for link in links] == [
        ("adsl1", True, False),
        ("lte", True, True),
    ]
    assert by_bus["Addresses"] == by_socket["Addresses"] == ["10.42.0.2/24"]
    shown, shown_by_socket = (_without_times(one) for one in (text, text_by_socket))
    assert shown == shown_by_socket
    assert "  Addresses: 10.42.0.2/24" in shown


def _without_times(text: str) -> list[str]:
    """The lines of `status` that do not change with time."""
    lines = text.split("Since:")[0].splitlines()
    return [line for line in lines if not line.strip().startswith(("State:", "Reason:"))]


def test_a_tunnel_that_does_not_run_is_listed(world: World) -> None:
    """Whether or not it can be asked, and without systemd."""
    assert world.json("list") == [{"Name": NAME, "State": "stopped"}]
    (status,) = world.json("status", NAME)
    assert (status["State"], status["Links"]) == ("stopped", [])
    with world.daemon():
        for user in ("root", "daemon"):
            listed = world.run("list", "--no-legend", user=user).stdout.split()
            assert listed[:4] == [NAME, "connecting", "client", "mlvpn0"]


def test_links_are_changed(world: World) -> None:
    with world.daemon():
        assert world.run("link", NAME, "lte", "disable").returncode == 0
        assert world.run("bandwidth", NAME, "adsl1", "20Mbit").returncode == 0
        assert world.run("link", NAME, "adsl1", "reconnect").returncode == 0
        links = {link["Name"]: link for link in world.json("links", NAME)}
        assert (links["lte"]["Enabled"], links["adsl1"]["BandwidthUpload"]) == (False, 2_500_000)
        assert world.run("link", NAME, "lte", "enable").returncode == 0
        assert world.run("log-level", NAME, "debug").returncode == 0
        assert world.run("log-level", NAME).stdout == "debug\n"
        assert world.run("link", NAME, "lte", "disable", user="daemon").returncode == 5
        assert world.run("link", NAME, "sat", "disable").returncode == 4


@pytest.mark.parametrize("by", ["bus", "socket"])
def test_exit_codes(world: World, by: str) -> None:
    """3: the daemon does not run; 4: there is no such tunnel."""
    if by == "socket":
        world.bus.kill()
    verbs = (("status", "{}"), ("links", "{}"), ("show", "{}"), ("reload", "{}"))
    for name, code in ((NAME, 3), ("absent", 4)):
        for words in verbs:
            done = world.run(*(word.format(name) for word in words))
            assert done.returncode == code, (words, done.stderr)
            shown = f"● {NAME}\n      State: stopped\n" if words[0] == "status" and code == 3 else ""
            assert done.stdout == shown, words
            assert name in done.stderr
    with world.daemon():
        for words in verbs:
            assert world.run(*(word.format(NAME) for word in words)).returncode == 0, words
        assert world.run("show", f"{NAME}/sat").returncode == 4
    assert world.run("status", NAME).returncode == 3
