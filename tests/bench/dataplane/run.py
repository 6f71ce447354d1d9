"""One run: the links, the way over them, the load, and its cost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping

from tests.bench.bonding.flows import Flows
from tests.bench.bonding.machine import Processors
from tests.bench.bonding.profiles import CUBIC
from tests.support.daemons import DaemonError
from tests.support.lab import LabError
from tests.support.vpn_peers import PeerError

from . import loads, secretbox
from .cases import BOX, CASES, CIPHERS, SHAPED_SUM, Case, Load
from .loads import Carried
from .outcome import Cell, Outcome
from .ways import RECEIVER, SENDER, Way, way

SHAPED_WARMUP = 4.0
"""Seconds in which TCP finds the rate of shaped lines. They are not measured."""


def run(cell: Cell) -> Outcome:
    """Runs a cell. A run that fails has an outcome too."""
    before = Processors.now()
    try:
        if cell.peer in CIPHERS:
            cost = secretbox.measure(cell.seconds, native=cell.peer == BOX)
            return Outcome(cell, {"cpu_sender": cost.seal, "cpu_receiver": cost.open})
        with way(cell.peer, CASES[cell.case], cell.program) as up:
            quiet = Processors.now()
            time.sleep(up.settle)
            busy = 1 - Processors.now().idle_share(quiet)
            values = _values(CASES[cell.case], cell.seconds, up)
    except (PeerError, LabError, DaemonError, OSError, subprocess.SubprocessError) as error:
        return Outcome(cell, failure=str(error) or type(error).__name__)
    return Outcome(cell, values, stolen=Processors.now().stolen_share(before), busy=busy)


def _values(case: Case, usual: float, up: Way) -> dict[str, float]:
    """The values under a load of `usual` seconds, unless the case gives another length."""
    seconds = usual * case.length
    if case.load is Load.IDLE:
        least, mean = loads.round_trips(up.sender, up.address, seconds)
        values = {"rtt_least": least, "rtt_mean": mean}
    elif case.load is Load.STRANGERS:
        before = up.cpu()
        flooded = loads.strangers(up.sender, up.link, seconds)
        values = of_strangers(flooded.sent, flooded.seconds, _since(before, up.cpu()))
    elif case.shaped:
        values = _shaped(up, seconds)
    else:
        before, taken = up.cpu(), up.taken()
        carried = loads.stream(case.load, up.sender, up.receiver, up.address, seconds)
        used = _since(before, up.cpu())
        values = of_tcp(carried, used) if case.load is Load.TCP else of_udp(carried, used, up.taken() - taken)
    return {**values, "memory": up.memory()} if up.pids else values


def _shaped(up: Way, seconds: float) -> dict[str, float]:
    """TCP over slow lines. It is counted between two times after a warm-up, as in the bench of bonded lines."""
    total = SHAPED_WARMUP + seconds
    flows = Flows(up.sender, up.receiver, up.address, flows=1, seconds=total + 0.5, congestion=CUBIC)
    time.sleep(SHAPED_WARMUP)
    begin, before = time.monotonic(), up.cpu()
    time.sleep(seconds)
    end, used = time.monotonic(), _since(before, up.cpu())
    received, again = flows.wait()
    carried = Carried(end - begin, round(received.bytes_at(end) - received.bytes_at(begin)), retransmitted=again)
    values = of_tcp(carried, used)
    return {**values, "of_sum": values["mbit"] / SHAPED_SUM}


def _since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {end: seconds - before[end] for end, seconds in now.items()}


def of_tcp(carried: Carried, used: Mapping[str, float]) -> dict[str, float]:
    """The values of a TCP stream, with the CPU seconds of both ends."""
    gigabytes = max(carried.received_bytes, 1) / 1e9
    return {
        "mbit": carried.received_bytes * 8 / carried.seconds / 1e6,
        "again": float(carried.retransmitted),
        "cpu_sender": used[SENDER] / gigabytes,
        "cpu_receiver": used[RECEIVER] / gigabytes,
    }


def of_udp(carried: Carried, used: Mapping[str, float], taken: int) -> dict[str, float]:
    """The same for datagrams. The sender took `taken` of them. Each end's cost is by its own number of packets."""
    return {
        "mbit": carried.received_bytes * 8 / carried.seconds / 1e6,
        "rate": carried.received_packets / carried.seconds,
        "lost": 100 * (1 - carried.received_packets / max(carried.sent_packets, 1)),
        "share": 100 * sum(used.values()) / carried.seconds,
        "packet_sender": used[SENDER] / max(taken, 1) * 1e6,
        "packet_receiver": used[RECEIVER] / max(carried.received_packets, 1) * 1e6,
    }


def of_strangers(sent: int, seconds: float, used: Mapping[str, float]) -> dict[str, float]:
    """The cost of `sent` datagrams to the receiving end."""
    return {"packet_receiver": used[RECEIVER] / max(sent, 1) * 1e6, "share": 100 * used[RECEIVER] / seconds}
