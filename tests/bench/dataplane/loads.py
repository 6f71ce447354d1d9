"""Runs iperf3 and fping between two hosts, and reads their reports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.flood import Flooded, flood, wrong_key
from tests.support.lab import Host, LabError
from tests.support.peer import udp_socket
from tests.support.traffic import ping

from .cases import FLOOD_SIZE, LARGE_RATE, LARGE_SIZE, STEADY_RATE, STRANGERS_RATE, Load

PING_INTERVAL = 0.005
_PATIENCE = 20.0
"""Seconds that iperf3 may take besides its load. In a flood its own connection is slow."""
_DIFFERENT = 500
"""Different datagrams that a flood repeats. Each has to be sealed before the flood begins."""
_UDP: Mapping[Load, tuple[int, int]] = {
    Load.FLOOD: (FLOOD_SIZE, 0),
    Load.STEADY: (FLOOD_SIZE, FLOOD_SIZE * 8 * STEADY_RATE),
    Load.LARGE: (LARGE_SIZE, LARGE_RATE * 1_000_000),
}
"""Bytes of payload, and bit/s of payload; 0: as fast as possible."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The result of a stream."""

    seconds: float
    received_bytes: int
    """Bytes of payload."""
    sent_packets: int = 0
    """Only UDP has this count and the next one."""
    received_packets: int = 0
    retransmitted: int = 0
    """Only TCP has this count."""


def stream(load: Load, sender: Host, receiver: Host, address: str, seconds: float) -> Carried:
    """Sends from `sender` to `address` of `receiver`; LabError if the stream fails."""
    words = ["-c", address, "-t", f"{max(round(seconds), 1)}", "-J"]
    if load is Load.TCP:
        words += ["-C", "cubic"]
    else:
        size, rate = _UDP[load]
        words += ["-u", "-l", str(size), "-b", str(rate)]
    # iperf3 prints "listening" when it listens, because its output is flushed.
    server = receiver.start("iperf3", "-s", "-1", "-B", address, "--forceflush", stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        while b"listening" not in (line := server.stdout.readline()):
            if not line:
                raise LabError(f"iperf3 does not listen on {address}")
        text = sender.run("iperf3", *words, check=False, timeout=seconds + _PATIENCE)
    finally:
        server.kill()
        server.wait()
    return carried(load, json.loads(text or '{"error": "no answer"}'))


def carried(load: Load, report: Mapping[str, Any]) -> Carried:
    """The result in iperf3's report; LabError if the report is an error."""
    if "error" in report:
        raise LabError(f"iperf3: {report['error']}")
    end = report["end"]
    if load is Load.TCP:
        received = end["sum_received"]
        return Carried(received["seconds"], received["bytes"], retransmitted=end["sum_sent"]["retransmits"])
    (one,) = (part["udp"] for part in end["streams"])
    size, _ = _UDP[load]
    arrived = one["packets"] - one["lost_packets"]
    return Carried(one["seconds"], arrived * size, one["packets"], arrived)


def strangers(sender: Host, target: tuple[str, int], seconds: float) -> Flooded:
    """Sends datagrams of every type under a wrong key, from a socket of the sender's host to a link of the receiver."""
    with udp_socket(("0.0.0.0", 0), host=sender) as sock:
        count = int(STRANGERS_RATE * seconds)
        return flood(sock, target, wrong_key(_DIFFERENT), count=count, rate=STRANGERS_RATE, seconds=seconds)


def round_trips(sender: Host, address: str, seconds: float) -> tuple[float, float]:
    """Least and mean round trip, in microseconds."""
    count = max(round(seconds / PING_INTERVAL), 20)
    found = ping(sender, address, count=count, interval=PING_INTERVAL)
    if found.received < count * 0.9:
        raise LabError(f"{found.received} of {count} echo requests were answered")
    return found.minimum * 1000, found.average * 1000
