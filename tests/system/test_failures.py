"""Windows of failure: what happens to the parts of a running tunnel, and to the system around it.

An operator reads one event for each cause: one line at warning or above, with the id of its kind. If a link is the
cause, each end that has lost it writes one. Later notices say that the cause is over. `Service.told` has both, and
nothing else may be there. If packets ever stopped, they pass again within RECOVERY seconds of the cause's end.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bus.flooder import BURST
from tests.support.lab import Lab, wait_until
from tests.support.linkemu import PROJECT
from tests.support.nodes import Nodes
from tests.support.noise import Noise
from tests.support.rootfs import PYTHONS, root_of
from tests.support.services import INSTANCE, ROUTED, Service, ServiceTunnel
from tests.support.traffic import UdpStream, wait_for_answer
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4

from .conftest import LINES

RECOVERY = 5.0
UNNOTICED = 1.0
"""Seconds without a packet, at most, while the tunnel is not concerned."""
HELPER = f"mlvpn-helper@{INSTANCE}.service"
RUNNER = f"mlvpn-script@{INSTANCE}.service"
SCRIPT = "/etc/mlvpn/status"
CALLS = "/run/status-calls"
HANG = "/run/status-hangs"
RUNNER_CODE = "/usr/lib/python3/dist-packages/mlvpnd/helper/script.py"
SCRIPT_LIMIT = 3.0


def passes_again(tunnel: ServiceTunnel, since: float, noise: Noise) -> None:
    """Packets pass again, at most RECOVERY seconds after `since`, a time of the monotonic clock."""
    # From its address in the tunnel: without the interface the server would answer over the lines.
    wait_for_answer(tunnel.nodes.client.host, SERVER_INNER_IPV4, 3 * RECOVERY, source=CLIENT_INNER_IPV4)
    assert time.monotonic() - since < RECOVERY + noise.seconds


def unharmed(stream: UdpStream, noise: Noise) -> None:
    result = stream.wait()
    assert (result.duplicates, result.wrong) == (0, 0)
    assert result.longest_gap < UNNOTICED + noise.seconds


# The helpers.


def test_a_helper_that_is_killed_in_the_middle_of_a_request(tunnel: ServiceTunnel, end: Service) -> None:
    """A helper is killed while it sets many routes. The next one goes on."""
    routes = [f"10.{98 - i // 250}.{i % 250}.0/25" for i in range(2000)]
    which = "client" if end is tunnel.client else "server"
    end.ctl("reload")
    helper = end.node.show(HELPER, "MainPID")
    since, noise, stream = time.time(), Noise(), tunnel.stream(5)
    end.configure(tunnel.config(which, {"ip4_routes": " ".join([ROUTED, *routes])}))

    def count() -> int:
        return end.node.host.run("ip", "route", "show", "dev", INSTANCE, "proto", "109").count("\n")

    end.ctl("reload")
    assert wait_until(lambda: count() > 20, 10)
    end.node.run("kill", "-KILL", helper)
    killed, before = time.monotonic(), count()
    assert before < len(routes)
    passes_again(tunnel, killed, noise)
    assert wait_until(lambda: count() == len(routes) + 1, RECOVERY + noise.seconds), count()
    unharmed(stream, noise)
    assert end.told(since=since) == [("reloaded", ""), ("helper-lost", "")]


@pytest.fixture
def scripted(tunnel: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """The client has a status command that waits for ever while the file HANG exists.

    A run has SCRIPT_LIMIT instead of its minute. The command ignores SIGTERM, which takes 5 s more.
    """
    client = tunnel.client
    code = client.node.read(RUNNER_CODE)
    assert "\nTIME_LIMIT = 60.0\n" in code
    script = f'#!/bin/sh\necho "$2 $3" >>{CALLS}\n[ -e {HANG} ] || exit 0\ntrap "" TERM\nwhile :; do sleep 1; done\n'
    client.node.write(SCRIPT, script, mode=0o700)
    client.ctl("stop")
    client.node.write(RUNNER_CODE, code.replace("\nTIME_LIMIT = 60.0\n", f"\nTIME_LIMIT = {SCRIPT_LIMIT}\n"))
    client.configure(tunnel.config("client", {"statuscommand": SCRIPT}))
    client.ctl("start")
    tunnel.wait_up()
    assert wait_until(lambda: len(_calls(client)) == 3, 5)
    client.node.write(HANG, "")
    yield tunnel
    client.node.run("rm", "-f", HANG)
    client.ctl("stop")
    client.node.run("rm", "-f", CALLS)
    client.node.write(RUNNER_CODE, code)


def _calls(service: Service) -> list[str]:
    return service.node.read(CALLS).splitlines()


def test_a_status_command_that_hangs(scripted: ServiceTunnel) -> None:
    client = scripted.client
    since, noise, stream = time.time(), Noise(), scripted.stream(12)
    client.node.run("mlvpnctl", "link", INSTANCE, "link1", "reconnect")
    client.wait_entry("MLVPN_EVENT=script-failed", since=since, timeout=SCRIPT_LIMIT + 7)
    client.node.run("rm", HANG)
    ended = time.monotonic()
    # The run that had to wait now happens.
    assert wait_until(lambda: _calls(client)[3:] == ["rtun_down link1", "rtun_up link1"], 5), _calls(client)
    passes_again(scripted, ended, noise)
    unharmed(stream, noise)
    assert client.told(since=since) == [("link-up", "link1"), ("script-failed", "link1")]


def test_a_runner_that_is_killed_with_the_status_command(scripted: ServiceTunnel) -> None:
    client = scripted.client
    since, noise, stream = time.time(), Noise(), scripted.stream(5)
    client.node.run("mlvpnctl", "link", INSTANCE, "link1", "reconnect")
    assert wait_until(lambda: len(_calls(client)) == 4, 5)
    client.node.run("rm", HANG)
    client.node.run("systemctl", "kill", "--signal=KILL", RUNNER)
    killed = time.monotonic()
    # The interrupted run is not repeated; the next one happens.
    assert wait_until(lambda: _calls(client)[3:] == ["rtun_down link1", "rtun_up link1"], 5), _calls(client)
    passes_again(scripted, killed, noise)
    unharmed(stream, noise)
    assert sorted(client.told(since=since)) == [("link-up", "link1"), ("script-failed", "link1")]


# Requests of others.


FLOOD_SECONDS = 5
"""Seconds of the flood, if the machine lets it have its rate."""
FLOOD_RATE = 1000
"""Calls a second."""


def test_a_flood_of_odd_calls_from_an_ordinary_user(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    # The daemon reports the event below once a minute at most. A restart makes sure that a second run reports it too.
    client.ctl("restart")
    tunnel.wait_up()
    subprocess.run(["cp", "-a", "--parents", "tests", str(client.node.root / "opt")], check=True, cwd=PROJECT)
    since, pid, noise, stream = time.time(), client.pid, Noise(), tunnel.stream(FLOOD_SECONDS + 2)
    transfer = tunnel.download(FLOOD_SECONDS)
    words = ("python3", "-m", "tests.bus.flooder", "unix:path=/run/dbus/system_bus_socket")
    user = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", "-C", "/opt")
    count = FLOOD_SECONDS * FLOOD_RATE
    said = client.node.run(*user, *words, str(count), str(FLOOD_RATE), timeout=90)
    ended = time.monotonic()
    assert int(said.splitlines()[-1].split()[0]) == BURST + count
    passes_again(tunnel, ended, noise)
    assert transfer.wait().verified
    unharmed(stream, noise)
    assert client.told(since=since) == [("bus-flooded", "")]
    assert client.pid == pid


RELOADS = 200
FIRST_RELOADS = 400
"""Reloads after which everything that is made once has been made. Memory of daemon and
helper, KiB after each 200: 45 424, 46 240, 46 488, 46 612, 46 720, 46 740, 46 744, 46 752."""
MEMORY = 1024
"""KiB by which the memory may grow."""


def _reload(path: Path) -> None:
    """Asks over the private socket, like `mlvpnctl` without a bus, and waits for the answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(path))
        sock.sendall(b"reload\n")
        sock.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    assert json.loads(answer.splitlines()[0])["ok"] is True


def _resources(service: Service) -> tuple[int, int]:
    """Number of descriptors, and KiB of memory, of the daemon and its helper together."""
    pids = service.pid, int(service.node.show(HELPER, "MainPID"))
    statuses = [service.node.read(f"/proc/{pid}/status") for pid in pids]
    memory = sum(int(line.split()[1]) for status in statuses for line in status.splitlines() if "RssAnon" in line)
    return sum(len(list((service.node.root / f"proc/{pid}/fd").iterdir())) for pid in pids), memory


def test_two_hundred_reloads_in_a_row(tunnel: ServiceTunnel) -> None:
    client = tunnel.client
    path = client.node.root / f"run/mlvpn/{INSTANCE}/private.sock"
    for _ in range(FIRST_RELOADS):
        _reload(path)
    time.sleep(1)
    since, pid, noise, stream = time.time(), client.pid, Noise(), tunnel.stream(8)
    before = _resources(client)
    for _ in range(RELOADS):
        _reload(path)
    ended = time.monotonic()
    passes_again(tunnel, ended, noise)
    unharmed(stream, noise)
    after = _resources(client)
    assert after[0] == before[0]
    assert after[1] - before[1] < MEMORY
    told = [event for event, _ in client.told(since=since) if "were left out" not in event]
    assert set(told) == {"reloaded"}  # as many as the log takes; each was answered above
    assert len(told) <= RELOADS
    assert client.pid == pid


# The parts of the network.


def _settings(service: Service) -> dict[str, Any]:
    """The interface's settings, without its number and without the address that the kernel makes up."""
    if service.node.attempt("ip", "link", "show", INSTANCE).returncode:
        return {}
    found = service.interface()
    addresses = [address for address in found["addresses"] if not address.startswith("fe80:")]
    return found | {"ifindex": 0, "addresses": addresses}


def test_an_interface_that_is_deleted(tunnel: ServiceTunnel, end: Service) -> None:
    before, since, noise = _settings(end), time.time(), Noise()
    end.node.run("ip", "link", "del", INSTANCE)
    deleted = time.monotonic()
    passes_again(tunnel, deleted, noise)
    assert wait_until(lambda: _settings(end) == before, RECOVERY)
    assert end.told(since=since) == [("interface-lost", "")]


def test_an_address_that_is_taken_from_an_uplink_and_given_back(tunnel: ServiceTunnel) -> None:
    line, since, noise, stream = tunnel.lab.line(1).client, time.time(), Noise(), tunnel.stream(16)
    line.remove_addresses()
    for service in (tunnel.client, tunnel.server):
        service.wait_links("link1", mark="!", timeout=5)
    time.sleep(6)  # so that the pauses between attempts have grown
    line.add_addresses()
    given = time.monotonic()
    tunnel.wait_up(3 * RECOVERY)
    assert time.monotonic() - given < RECOVERY + noise.seconds
    # The other link carried everything, except the packets under way.
    stream.wait()
    for service in (tunnel.client, tunnel.server):
        assert service.told(since=since) == [("link-down", "link1"), ("link-up", "link1")]
    # The kernel told the client, in its sandbox. The server heard nothing any more.
    reasons = [service.wait_entry("MLVPN_EVENT=link-down", since=since) for service in (tunnel.client, tunnel.server)]
    assert [entry["MLVPN_REASON"] for entry in reasons] == ["uplink", "timeout"]


# Time.


A_DAY = 86400
FAKE_CLOCK = "/etc/fake-clock"
"""Path of the fake clock's file. It is not in /run, because the daemon sees little of /run."""
DROP_IN = "/run/systemd/system/mlvpn@.service.d/tests.conf"


def _drop_in(service: Service, *lines: str) -> None:
    """Adds lines to the service, from its next start on. Without lines, removes the added ones."""
    service.node.write(DROP_IN, "\n".join(["[Service]", *lines, ""]))
    service.node.run("systemctl", "daemon-reload")


@pytest.fixture
def clock(tunnel: ServiceTunnel) -> Iterator[ServiceTunnel]:
    """libfaketime shows the client's daemon a clock that the test can set: FAKE_CLOCK holds the difference.

    The containers' clock is that of this machine, which no test may set. The daemon sees the same in all its calls for
    the time of day. The kernel's effect on timers of this clock is missing, but mlvpnd has no such timers.
    """
    client = tunnel.client
    client.node.write(FAKE_CLOCK, "+0\n")
    _drop_in(
        client,
        "Environment=LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1",
        f"Environment=FAKETIME_TIMESTAMP_FILE={FAKE_CLOCK} FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1",
    )
    client.ctl("restart")
    tunnel.wait_up()
    yield tunnel
    _drop_in(client)
    client.ctl("restart")


@pytest.mark.parametrize("seconds", [A_DAY, -A_DAY], ids=["forward", "back"])
def test_a_clock_that_is_set_by_a_day(clock: ServiceTunnel, seconds: int) -> None:
    client = clock.client
    since, pid, noise, stream = time.time(), client.pid, Noise(), clock.stream(4)
    client.node.write(FAKE_CLOCK, f"{seconds:+d}\n")
    passes_again(clock, time.monotonic(), noise)
    entry = client.wait_entry("MLVPN_EVENT=clock-stepped", since=since)
    assert abs(int(entry["MLVPN_SECONDS"]) - seconds) <= 1
    unharmed(stream, noise)
    assert client.told(since=since) == [("clock-stepped", "")]
    assert client.pid == pid
    # Numbers that begin with the clock now begin below the earlier ones. The peer takes them all the same.
    client.node.run("mlvpnctl", "link", INSTANCE, "link1", "reconnect")
    client.ctl("restart")
    clock.wait_up()
    assert clock.ping() == 3


SUSPENDED = 60.0


@pytest.fixture(scope="module")
def mixed(installed: Path) -> Iterator[ServiceTunnel]:
    """A client of one Debian release and a server of the other, so that one minute is enough for both releases."""
    client_root, server_root = (root_of(suite) for suite in sorted(PYTHONS))
    with Lab(LINES) as lab, Nodes(lab, client_root, server_root) as nodes:
        for node in nodes:
            node.install(installed)
        yield ServiceTunnel(lab, nodes)


def test_two_machines_that_are_suspended(mixed: ServiceTunnel) -> None:
    """Everything on them stands still, systemd too, and goes on after a minute.

    A suspended machine's watchdog sleeps too. That of the frozen containers does not, so the services have none here.
    """
    ends = (mixed.client, mixed.server)
    for service in ends:
        _drop_in(service, "WatchdogSec=0")
    mixed.ensure_up()
    since, pids, noise = time.time(), [service.pid for service in ends], Noise()
    stream = mixed.stream(SUSPENDED + 10)
    time.sleep(1)
    for service in ends:
        service.node.freeze(frozen=True)
    time.sleep(SUSPENDED)
    for service in ends:
        service.node.freeze(frozen=False)
    woken = time.monotonic()
    passes_again(mixed, woken, noise)
    mixed.wait_up()
    result = stream.wait()
    assert result.duplicates == 0
    assert SUSPENDED < result.longest_gap < SUSPENDED + RECOVERY + noise.seconds
    for service, pid in zip(ends, pids, strict=True):
        assert service.told(since=since) == [("stood-still", "")]
        assert service.pid == pid
