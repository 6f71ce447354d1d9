"""The measuring programs themselves, over loopback: what they count, and that they see what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support import transfer
from tests.support.linkemu import PROJECT
from tests.support.transfer import BLOCK_SIZE, GapMeter, TcpResult, UdpResult, Verifier, datagram, stream

PROGRAM = (sys.executable, "-m", "tests.support.transfer")


def beginning(seed: int, size: int) -> bytes:
    blocks = stream(seed)
    data = b""
    while len(data) < size:
        data += next(blocks)
    return data[:size]


def test_verifier_takes_pieces_of_any_size() -> None:
    data = beginning(3, 3 * BLOCK_SIZE + 10)
    verifier = Verifier(3)
    position = 0
    for size in (1, 0, BLOCK_SIZE - 1, BLOCK_SIZE + 7, 5, 2 * BLOCK_SIZE):
        assert verifier.feed(data[position : position + size])
        position += size
    assert verifier.count == len(data)


@pytest.mark.parametrize("position", [0, 100, BLOCK_SIZE - 1, BLOCK_SIZE, 2 * BLOCK_SIZE - 1])
def test_verifier_finds_one_wrong_byte(position: int) -> None:
    data = bytearray(beginning(3, 2 * BLOCK_SIZE))
    data[position] ^= 1
    verifier = Verifier(3)
    assert not verifier.feed(bytes(data))
    assert verifier.count == position


def test_gap_meter() -> None:
    gaps = GapMeter()
    for now in (100.0, 100.5, 102.0, 102.1):
        gaps.tick(now)
    assert gaps.longest == pytest.approx(1.5)
    assert gaps.longest_at == pytest.approx(0.5)
    assert gaps.first_at == 100.0
    assert gaps.last_at == 102.1


def test_a_gap_knows_what_the_machine_lost_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter((10.0, 10.5, 13.0, 13.0))
    monkeypatch.setattr(transfer, "taken", lambda: next(taken))
    gaps = GapMeter()
    for now in (100.0, 100.01, 102.0, 103.0, 103.5):
        gaps.tick(now)
    assert gaps.longest == pytest.approx(1.99)
    assert gaps.lost == pytest.approx(0.5)
    result = TcpResult(1, 1.0, verified=True, longest_gap=gaps.longest, longest_gap_at=0, lost_in_gap=gaps.lost)
    assert result.own_gap == pytest.approx(1.49)


def test_goodput() -> None:
    result = TcpResult(2_500_000, 2.0, verified=True, longest_gap=0, longest_gap_at=0)
    assert result.mbit == 10.0
    assert result.settled_mbit == 0.0
    assert TcpResult(0, 0.0, verified=False, longest_gap=0, longest_gap_at=0).mbit == 0.0


def test_datagrams_have_the_size_asked_for_and_differ() -> None:
    assert len(datagram(1, 5.0, 200)) == 200
    assert datagram(1, 5.0, 200)[16:] != datagram(2, 5.0, 200)[16:]


def run_pair(receive: list[str], send: list[str]) -> tuple[int, list[dict[str, Any]], int, dict[str, Any]]:
    """Exit status and JSON lines of the receiver, then of the sender."""
    with subprocess.Popen([*PROGRAM, *receive], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        port = json.loads(receiver.stdout.readline())["port"]
        sender = subprocess.run(
            [*PROGRAM, send[0], send[1], str(port), *send[2:]],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        reports = [json.loads(line) for line in receiver.stdout]
    return receiver.returncode, reports, sender.returncode, json.loads(sender.stdout)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tcp_transfer(address: str) -> None:
    size = 1_000_001
    status, reports, sender_status, sent = run_pair(
        ["tcp-receive", address, "--seed", "9"],
        ["tcp-send", address, "--seed", "9", "--bytes", str(size), "--congestion", "reno"],
    )
    result = TcpResult(**reports[-1])
    assert (status, sender_status) == (0, 0)
    assert result.verified
    assert result.bytes_received == size
    assert sent == {"sent": size, "arrived": True}
    assert reports[0]["at"] == 0.0


def test_tcp_transfer_for_a_time() -> None:
    status, reports, _, sent = run_pair(
        ["tcp-receive", "127.0.0.1", "--settle", "0.1"], ["tcp-send", "127.0.0.1", "--seconds", "0.3"]
    )
    assert status == 0
    assert reports[-1]["bytes_received"] == sent["sent"] > 0
    assert 0.2 < reports[-1]["seconds"] < 5
    assert 0 < reports[-1]["settled_bytes"] < reports[-1]["bytes_received"]
    assert reports[-1]["settled_seconds"] == pytest.approx(reports[-1]["seconds"] - 0.1, abs=0.05)


def test_tcp_receiver_sees_wrong_bytes() -> None:
    status, reports, sender_status, sent = run_pair(
        ["tcp-receive", "127.0.0.1", "--seed", "1"], ["tcp-send", "127.0.0.1", "--seed", "2", "--bytes", "100"]
    )
    assert (status, sender_status) == (1, 1)
    assert not reports[-1]["verified"]
    assert "is wrong" in reports[-1]["error"]
    assert not sent["arrived"]


def test_tcp_receiver_gives_up_when_nothing_comes() -> None:
    done = subprocess.run(
        [*PROGRAM, "tcp-receive", "127.0.0.1", "--patience", "0.1"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["error"] == "nobody connected"


def test_tcp_sender_says_when_nobody_listens() -> None:
    done = subprocess.run(
        [*PROGRAM, "tcp-send", "127.0.0.1", "1"], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert "refused" in json.loads(done.stdout)["error"]


def test_udp_stream() -> None:
    status, reports, _, sent = run_pair(
        ["udp-receive", "127.0.0.1", "--count", "20", "--seconds", "5"],
        ["udp-send", "127.0.0.1", "--count", "20", "--rate", "200"],
    )
    result = UdpResult(**reports[-1])
    assert status == 0
    assert sent == {"sent": 20}
    assert (result.received, result.lost, result.duplicates, result.late, result.wrong) == (20, 0, 0, 0, 0)
    assert 0 < result.longest_gap < 1


def test_udp_receiver_counts_what_is_missing_and_foreign() -> None:
    status, reports, _, _ = run_pair(
        ["udp-receive", "127.0.0.1", "--count", "10", "--seconds", "1.5"],
        ["udp-send", "127.0.0.1", "--count", "7", "--rate", "1000"],
    )
    result = UdpResult(**reports[-1])
    assert status == 0
    assert (result.received, result.lost) == (7, 3)
    # The wait for the three is part of the gap.
    assert result.longest_gap > 0.5
    status, reports, _, _ = run_pair(
        ["udp-receive", "127.0.0.1", "--count", "3", "--seconds", "1"],
        ["udp-send", "127.0.0.1", "--count", "5", "--rate", "1000"],
    )
    assert status == 1
    assert reports[-1]["wrong"] == 2
