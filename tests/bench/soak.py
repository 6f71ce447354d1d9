"""Overloads a tunnel for an hour, and shows whether it keeps its memory, and what it drops for which reason.

    python -m tests.bench.soak --minutes 60 --data-plane native

There are two lines. UDP of twice their rate goes each way, with one TCP stream beside it. The exit status is 1 in two
cases: a daemon grew by more than `LIMIT`, or a daemon or the traffic ended.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.daemons import Daemon, resident_bytes
from tests.support.lab import Host, Lab, LabError, Line, wait_until
from tests.support.linkemu import PROJECT
from tests.support.tunnels import CLIENT_INNER_IPV4, SERVER_INNER_IPV4, Tunnel, TunnelSpec, running_tunnel

LIMIT = 1_000_000
"""Bytes that the median of resident memory may grow from the first quarter of the time to the last.

All queues are bounded and full within seconds, so nothing has a reason to grow. Some hundred KB are left to the
allocator's and CPython's own variation. This load is 20 million packets in an hour for each daemon. So a leak shows if
it loses a packet of 1200 bytes once in 18,000.
"""
RESULTS = PROJECT / "build" / "soak.jsonl"
MINUTES = 60.0
INTERVAL = 15.0
"""Seconds between samples."""
LINES = (Line(rate=20, delay=10), Line(rate=20, delay=15))
OVERLOAD = 2
UDP_SIZE = 1200
"""Bytes of payload."""
PORT = 5300
_MB = 1e6
_START_TIMEOUT = 20.0
_SPARE = 60
"""Seconds for which the traffic would go on. It is ended and never awaited."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One daemon at one time. Counters count from its start."""

    resident: int
    """Bytes of resident memory."""
    held: int
    """Packets in the reorder buffer."""
    carried: int
    """Bytes that the daemon wrote to its interface."""
    drops: Mapping[str, int]
    """Packets by cause, of all links together. Causes of the interface begin with `tun_`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The readings of both daemons, by end."""

    at: float
    """Seconds since the load began."""
    ends: Mapping[str, Reading]


# Judging.


def growth(samples: Sequence[Sample], end: str) -> tuple[float, float]:
    """Median of the resident bytes in the first quarter of the samples, and in the last."""
    resident = [sample.ends[end].resident for sample in samples]
    quarter = math.ceil(len(resident) / 4)
    return median(resident[:quarter]), median(resident[-quarter:])


def has_grown(samples: Sequence[Sample], end: str) -> bool:
    """Whether the memory grew by more than `LIMIT`."""
    first, last = growth(samples, end)
    return last - first > LIMIT


def report(samples: Sequence[Sample]) -> str:
    """The measurements by the minute, and a summary of memory and packets."""
    ends = list(samples[0].ends)
    columns = "".join(f" | {end:>6}: MB  Mbit/s  held  drops/s" for end in ends)
    lines = [f"minute{columns}"]
    for minute, begin, within in _minutes(samples):
        cells = "".join(" | " + _cell(begin, within, end) for end in ends)
        lines.append(f"{minute:6d}{cells}")
    for end in ends:
        first, last = growth(samples, end)
        verdict = f"more than {LIMIT / _MB:g}" if has_grown(samples, end) else f"within {LIMIT / _MB:g}"
        change = f"{first / _MB:.3f} MB in the first quarter, {last / _MB:.3f} in the last"
        lines.append(f"{end}: {change}: {(last - first) / _MB:+.3f} ({verdict})")
        dropped = _dropped(samples[0], samples[-1], end)
        lines += [f"{end}: dropped {count:9d} {cause}" for cause, count in sorted(dropped.items())]
    return "\n".join(lines)


def _minutes(samples: Sequence[Sample]) -> Iterator[tuple[int, Sample, list[Sample]]]:
    """Each minute's number, the last sample before it, and the samples in it."""
    begin = samples[0]
    for minute in range(1, int(samples[-1].at // 60) + 2):
        within = [sample for sample in samples[1:] if 60 * (minute - 1) < sample.at <= 60 * minute]
        if within:
            yield minute, begin, within
            begin = within[-1]


def _cell(begin: Sample, within: Sequence[Sample], end: str) -> str:
    readings = [sample.ends[end] for sample in within]
    seconds = within[-1].at - begin.at
    resident = median(reading.resident for reading in readings) / _MB
    mbit = (readings[-1].carried - begin.ends[end].carried) * 8 / 1e6 / seconds
    held = max(reading.held for reading in readings)
    drops = sum(_dropped(begin, within[-1], end).values()) / seconds
    return f"{resident:10.3f} {mbit:7.2f} {held:5d} {drops:8.1f}"


def _dropped(begin: Sample, last: Sample, end: str) -> dict[str, int]:
    before = begin.ends[end].drops
    differences = {cause: count - before.get(cause, 0) for cause, count in last.ends[end].drops.items()}
    return {cause: count for cause, count in differences.items() if count}


# Measuring.


def read(daemon: Daemon) -> Reading:
    """The daemon's reading now."""
    return reading(daemon.status(), resident_bytes(daemon.child_pid))


def reading(status: Mapping[str, Any], resident: int) -> Reading:
    """A reading from the daemon's status and the system's numbers."""
    drops = Counter(status["drops"])
    for link in status["tunnels"]:
        drops.update(link["drops"])
    drops.update({f"tun_{cause}": count for cause, count in status["packets"]["tun_drops"].items()})
    return Reading(resident, status["reorder"]["held"], status["packets"]["tun_written_bytes"], dict(drops))


class _Load:
    """iperf3 on both hosts."""

    def __init__(self, lab: Lab, seconds: float) -> None:
        self._seconds = math.ceil(seconds) + _SPARE
        self._processes: list[subprocess.Popen[bytes]] = []
        rate = OVERLOAD * sum(line.rate for line in LINES)
        udp = ("-u", "-l", str(UDP_SIZE), "-b", f"{rate:g}M")
        self._stream(lab.client, lab.server, SERVER_INNER_IPV4, PORT, "-C", "cubic")
        self._stream(lab.client, lab.server, SERVER_INNER_IPV4, PORT + 1, *udp)
        self._stream(lab.server, lab.client, CLIENT_INNER_IPV4, PORT + 2, *udp)

    def _stream(self, sender: Host, receiver: Host, address: str, port: int, *words: str) -> None:
        listening = f"{address}:{port}"
        server = receiver.start("iperf3", "-s", "-1", "-B", address, "-p", str(port), stdout=subprocess.DEVNULL)
        if not wait_until(lambda: listening in receiver.run("ss", "-Htln"), _START_TIMEOUT):
            raise LabError(f"iperf3 does not listen on {listening}")
        to = ("-c", address, "-p", str(port), "-t", str(self._seconds), "-i", "0")
        client = sender.start("iperf3", *to, *words, stdout=subprocess.DEVNULL)
        self._processes += [server, client]

    @property
    def goes_on(self) -> bool:
        """Whether all of the load still runs."""
        return all(process.poll() is None for process in self._processes)

    def end(self) -> None:
        """Ends the load at once."""
        for process in self._processes:
            process.kill()
            process.wait()


def soak(tunnel: Tunnel, lab: Lab, seconds: float) -> Iterator[Sample]:
    """Loads a tunnel that is up, and takes samples; LabError if the load ends too early."""
    daemons = {"client": tunnel.client, "server": tunnel.server}
    load = _Load(lab, seconds)
    began = time.monotonic()
    for number in range(int(seconds / INTERVAL) + 1):
        time.sleep(max(began + number * INTERVAL - time.monotonic(), 0))
        at = round(time.monotonic() - began, 1)
        if not load.goes_on:
            raise LabError(f"the traffic has ended after {at:.0f} s")
        try:
            yield Sample(at, {end: read(daemon) for end, daemon in daemons.items()})
        except TimeoutError:
            print(f"a daemon has not said how it is after {at:.0f} s", file=sys.stderr, flush=True)
    load.end()  # so that the daemons stop on an otherwise idle machine


def run(plane: str, minutes: float, results: Path) -> list[Sample]:
    """Returns all samples. Each is added to the file of results at once; the report is printed at the end."""
    samples = []
    results.parent.mkdir(parents=True, exist_ok=True)
    with Lab(LINES, seed=1) as lab, results.open("w") as file:
        with running_tunnel(lab, TunnelSpec(general={"data_plane": plane})) as tunnel:
            for sample in soak(tunnel, lab, minutes * 60):
                samples.append(sample)
                print(json.dumps(asdict(sample)), file=file, flush=True)
            print(report(samples), flush=True)  # before they stop, because the stop may fail
    return samples


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 if neither daemon has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"default: {MINUTES:g}")
    parser.add_argument("--data-plane", choices=("native", "reference"), default="native", help="default: native")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of JSON lines for the samples")
    arguments = parser.parse_args(argv)
    samples = run(arguments.data_plane, arguments.minutes, arguments.results)
    return int(any(has_grown(samples, end) for end in samples[0].ends))


if __name__ == "__main__":
    sys.exit(main())
