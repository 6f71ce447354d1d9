"""The lab does what it claims; the measurements of the other tests here depend on it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import SERVER_IPV4, SERVER_IPV6, Direction, Lab, LabError, Line, wait_until
from tests.support.linkemu import PROJECT
from tests.support.traffic import TcpTransfer, UdpStream, ping

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=20, delay=15), Line(rate=10, delay=40, rate_to_server=5)]) as running:
        yield running


@pytest.fixture(autouse=True)
def _lines_as_they_were(lab: Lab) -> Iterator[None]:
    yield
    for line in lab.lines:
        line.set(up=True, loss=0, duplicate=0, corrupt=0, reorder=0, jitter=0)
        line.reset_stats()


def names_left(name: str) -> list[str]:
    """What a lab of this name has left on the machine."""
    namespaces = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return [line for line in namespaces.splitlines() if line.startswith(f"{name}-")]


@pytest.mark.parametrize(
    ("number", "address", "round_trip"),
    [(1, SERVER_IPV4, 30), (2, SERVER_IPV4, 80), (1, SERVER_IPV6, 30), (2, SERVER_IPV6, 80)],
)
def test_delay_over_each_line(lab: Lab, number: int, address: str, round_trip: float) -> None:
    end = lab.line(number).client
    result = ping(lab.client, address, source=end.ipv6 if ":" in address else end.ipv4, count=8)
    assert result.received == 8
    # The first echo may wait for neighbour discovery; a busy machine is late, never early.
    assert round_trip <= result.minimum < round_trip + 5


@pytest.mark.parametrize(("number", "to_client", "rate"), [(1, True, 20), (2, True, 10), (2, False, 5)])
def test_rate_each_way(lab: Lab, number: int, to_client: bool, rate: float) -> None:
    line = lab.line(number)
    direction = Direction.TO_CLIENT if to_client else Direction.TO_SERVER
    hosts = (lab.server, lab.client, line.client.ipv4) if to_client else (lab.client, lab.server, line.server.ipv4)
    size = 1000
    flood = UdpStream(*hosts, seconds=1.6, rate=1.3 * rate * 1e6 / 8 / size, size=size)
    time.sleep(0.5)
    before, start = line.stats()[direction], time.monotonic()
    time.sleep(0.8)
    after, end = line.stats()[direction], time.monotonic()
    assert (after.tx_bytes - before.tx_bytes) * 8 / (end - start) / 1e6 == pytest.approx(rate, rel=0.05)
    assert after.overflow > 0
    assert after.oversize == after.kernel_drops == 0
    result = flood.wait()
    assert result.wrong == result.duplicates == result.late == 0
    # The queue holds 100 ms by default; a busy machine adds to the delay.
    full = 0.1 + line.conditions(direction).delay / 1e3
    assert full - 0.01 < result.longest_delay < full + 0.1


def test_loss_and_duplicates_are_as_wanted(lab: Lab) -> None:
    lab.line(1).set(Direction.TO_SERVER, loss=0.1, duplicate=0.1)
    result = UdpStream(lab.client, lab.server, lab.line(1).server.ipv4, seconds=2, rate=500).wait()
    assert 50 < result.lost < 150
    assert 40 < result.duplicates < 150
    assert result.wrong == 0
    # Other frames, for example of neighbour discovery, may be among the duplicates.
    assert lab.line(1).stats()[Direction.TO_SERVER].duplicated >= result.duplicates


def test_corrupted_frames_do_not_reach_programs(lab: Lab) -> None:
    lab.line(1).set(Direction.TO_SERVER, corrupt=0.2)
    result = UdpStream(lab.client, lab.server, lab.line(1).server.ipv4, seconds=1, rate=500).wait()
    assert result.wrong == 0
    assert result.lost > 40
    assert lab.line(1).stats()[Direction.TO_SERVER].corrupted > 40


def test_reordered_frames_are_late(lab: Lab) -> None:
    lab.line(1).set(Direction.TO_SERVER, reorder=0.1)
    result = UdpStream(lab.client, lab.server, lab.line(1).server.ipv4, seconds=1, rate=500).wait()
    assert result.lost == 0
    assert result.late > 20


def test_transfer_survives_a_cut_and_shows_the_gap(lab: Lab) -> None:
    transfer = TcpTransfer(lab.server, lab.client, lab.line(1).client.ipv4, size=6_000_000)
    before = list(transfer.watch(1.2))
    lab.line(1).set(up=False)
    time.sleep(0.8)
    lab.line(1).set(up=True)
    result = transfer.wait()
    assert result.verified
    assert result.bytes_received == 6_000_000
    assert 0.8 <= result.longest_gap < 3
    assert before[-1][0] - 0.3 < result.longest_gap_at < before[-1][0] + 0.7
    assert lab.line(1).stats()[Direction.TO_CLIENT].down > 0


def test_stream_counts_what_a_cut_took(lab: Lab) -> None:
    stream = UdpStream(lab.client, lab.server, lab.line(2).server.ipv4, seconds=2)
    time.sleep(0.7)
    lab.line(2).set(Direction.TO_SERVER, up=False)
    time.sleep(0.5)
    lab.line(2).set(Direction.TO_SERVER, up=True)
    result = stream.wait()
    assert 20 <= result.lost <= 32
    assert 0.5 <= result.longest_gap < 0.7
    assert result.duplicates == result.late == result.wrong == 0


def test_carrier_address_and_interface_go_and_come_back(lab: Lab) -> None:
    end = lab.line(2).client

    def echo() -> int:
        return ping(lab.client, SERVER_IPV4, source=end.ipv4, count=1).received

    end.set_carrier(up=False)
    assert "NO-CARRIER" in lab.client.run("ip", "link", "show", end.device)
    end.set_carrier(up=True)
    assert wait_until(lambda: echo() == 1, 5)

    end.remove_addresses()
    with pytest.raises(LabError):
        echo()
    end.add_addresses(number=7)
    assert end.ipv4 == "198.18.2.7"
    assert echo() == 1
    assert ping(lab.client, SERVER_IPV6, source=end.ipv6, count=1).received == 1
    end.remove_addresses()
    end.add_addresses(number=2)

    end.unplug()
    with pytest.raises(LabError):
        lab.client.run("ip", "link", "show", end.device)
    end.plug()
    assert wait_until(lambda: echo() == 1, 5)
    # The interface's packets on the wire did not hurt the emulator.
    assert lab.line(2).stats()[Direction.TO_SERVER].oversize == 0


def test_a_socket_of_a_host(lab: Lab) -> None:
    with lab.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind((SERVER_IPV4, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here, pytest.raises(OSError, match="assign"):
        here.bind((SERVER_IPV4, 0))


def test_names_of_a_host_can_change_under_a_running_program(lab: Lab) -> None:
    lab.client.write_hosts({"vpn.test": "198.18.1.1"})
    script = "getent ahostsv4 vpn.test | head -n1; read go; getent ahostsv4 vpn.test"
    program = lab.client.start("sh", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    assert b"198.18.1.1" in program.stdout.readline()
    lab.client.write_hosts({"vpn.test": "198.18.2.1"})
    program.stdin.write(b"\n")
    program.stdin.close()
    assert b"198.18.2.1" in program.stdout.readline()


def test_nothing_is_left_after_an_exception() -> None:
    lab = Lab([Line()])

    def fail_inside() -> None:
        with lab:
            lab.client.start("sleep", "1000")
            lab.client.write_hosts({"a.test": "192.0.2.1"})
            assert len(names_left(lab.name)) == 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert names_left(lab.name) == []
    assert not lab.directory.exists()
    assert not Path("/etc/netns", lab.client.name).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_after_a_signal(number: int) -> None:
    program = (
        "import signal, time\n"
        # A test run in the background of a shell inherits an ignored SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tests.support.lab import Lab, Line\n"
        "with Lab([Line(rate=1)]) as lab:\n"
        "    sleeper = lab.server.start('sleep', '1000')\n"
        "    print(lab.name, lab.directory, sleeper.pid, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        name, directory, sleeper = process.stdout.readline().split()
        assert len(names_left(name)) == 3
        process.send_signal(number)
        process.wait(timeout=10)

    def clean() -> bool:
        return not names_left(name) and not Path(directory).exists() and not Path(f"/proc/{sleeper}").exists()

    assert wait_until(clean, 10)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"), Lab([Line()]):
        pass
