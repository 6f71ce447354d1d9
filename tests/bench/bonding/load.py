"""TCP flows that fill a path and cost the machine little; runs in a namespace.

    python -m tests.bench.bonding.load receive ADDRESS --flows 8 --seconds 25
    python -m tests.bench.bonding.load send ADDRESS PORT --flows 8 --seconds 25 --congestion bbr

The receiver writes `{"port": N}` when it listens. It counts the time from the first byte, and then writes one JSON
object, a `Received`. The sender writes one JSON object with the number of segments that it sent again. Neither looks at
the data: `tests.support.transfer` does, and its work leaves less of a small machine to the daemons.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field

SAMPLE_INTERVAL = 0.1
PAUSE = 0.001
"""Seconds for which data may gather before it is taken. The pause saves wake-ups."""
PIECE = 1 << 18
ACCEPT_TIMEOUT = 20.0
_TCP_INFO_TOTAL_RETRANS = 100
"""Offset of tcpi_total_retrans in struct tcp_info, linux/tcp.h."""
_ABORT = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Received:
    """The received data. Times are monotonic, and all programs of the machine share the clock."""

    start: float = 0.0
    """When the first byte of any flow came."""
    samples: list[tuple[float, int]] = field(default_factory=list)
    """Times, and the bytes of all flows together until then."""
    longest_gap: float = 0.0
    """Seconds; the longest time without a byte of any flow."""
    flows: list[int] = field(default_factory=list)
    """Bytes of each flow."""

    def bytes_at(self, when: float) -> float:
        """Bytes that had come at `when`; between two samples in proportion."""
        before = (self.start, 0)
        for at, count in self.samples:
            if at >= when:
                share = (when - before[0]) / (at - before[0]) if at > before[0] else 1.0
                return before[1] + share * (count - before[1])
            before = (at, count)
        return before[1]

    def mbit(self, begin: float, end: float) -> float:
        """Goodput between two times, in Mbit/s."""
        return (self.bytes_at(end) - self.bytes_at(begin)) * 8 / (end - begin) / 1e6


def _say(values: object) -> None:
    print(json.dumps(values), flush=True)


def receive(address: str, flows: int, seconds: float) -> Received:
    """Accepts `flows` connections and reads them for `seconds` from the first byte."""
    result = Received()
    connections = []
    with socket.create_server((address, 0), backlog=flows) as listener:
        _say({"port": listener.getsockname()[1]})
        listener.settimeout(ACCEPT_TIMEOUT)
        for _ in range(flows):
            connections.append(listener.accept()[0])
    counts = {connection: 0 for connection in connections}
    poll = select.epoll()
    by_number = {connection.fileno(): connection for connection in connections}
    for connection in connections:
        connection.setblocking(False)
        poll.register(connection, select.EPOLLIN)
    buffer = bytearray(PIECE)
    total, last_at, sample_at = 0, 0.0, 0.0
    now = time.monotonic()
    end_at = now + ACCEPT_TIMEOUT
    while now < end_at:
        ready = poll.poll(SAMPLE_INTERVAL)
        now = time.monotonic()
        for number, _ in ready:
            connection = by_number[number]
            try:
                # MSG_TRUNC: the kernel drops the data and does not copy it.
                count = connection.recv_into(buffer, PIECE, socket.MSG_TRUNC)
            except BlockingIOError:
                continue
            counts[connection] += count
            total += count
        if ready:
            if not result.start:
                result.start = last_at = now
                end_at = now + seconds
            result.longest_gap = max(result.longest_gap, now - last_at)
            last_at = now
        if result.start and now >= sample_at:
            result.samples.append((now, total))
            sample_at = now + SAMPLE_INTERVAL
        time.sleep(PAUSE)
    if result.start:
        result.longest_gap = max(result.longest_gap, now - last_at)
    result.flows = list(counts.values())
    for connection in connections:
        connection.close()
    return result


def send(address: str, port: int, flows: int, seconds: float, congestion: str) -> int:
    """Fills `flows` connections for `seconds`, then drops them; returns how many segments were sent again."""
    connections = []
    for _ in range(flows):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        connection.settimeout(ACCEPT_TIMEOUT)
        connection.connect((address, port))
        connection.setblocking(False)
        connections.append(connection)
    end_at = time.monotonic() + seconds
    data = os.urandom(PIECE)
    poll = select.epoll()
    by_number = {connection.fileno(): connection for connection in connections}
    for connection in connections:
        poll.register(connection, select.EPOLLOUT)
    # The receiver resets the flows when its time is over.
    with contextlib.suppress(ConnectionError):
        while (wait := end_at - time.monotonic()) > 0:
            for number, _ in poll.poll(wait):
                with contextlib.suppress(BlockingIOError):
                    by_number[number].send(data)
    again = 0
    for connection in connections:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        again += struct.unpack_from("I", info, _TCP_INFO_TOTAL_RETRANS)[0]
        # Nobody needs the data under way, and it may last for seconds.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        connection.close()
    return again


def main() -> int:
    """Runs one end."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bonding.load")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("receive", "send"):
        command = commands.add_parser(name)
        command.add_argument("address")
        command.add_argument("--flows", type=int, default=1)
        command.add_argument("--seconds", type=float, default=25.0)
    command.add_argument("port", type=int)
    command.add_argument("--congestion", default="cubic")
    arguments = vars(parser.parse_args())
    if arguments.pop("command") == "receive":
        _say(asdict(receive(**arguments)))
    else:
        _say({"again": send(**arguments)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
