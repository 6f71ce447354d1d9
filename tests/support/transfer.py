"""Traffic whose every byte is known; runs in a namespace. The result is one JSON object on standard output.

    python -m tests.support.transfer tcp-receive ADDRESS --seed 7
    python -m tests.support.transfer tcp-send ADDRESS PORT --seed 7 --seconds 5
    python -m tests.support.transfer udp-receive ADDRESS --count 500 --seconds 10
    python -m tests.support.transfer udp-send ADDRESS PORT --count 500 --rate 50

A receiver writes `{"port": N}` as its first line when it listens. A TCP receiver then writes `{"at": seconds, "bytes":
n}` twice a second. Times count from the first byte. A receiver judges: its exit status is 0 only if all data was right,
and with TCP only if it also saw the sender's end. `traffic.py` starts these programs from outside.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .noise import taken

BLOCK_SIZE = 64 * 1024
"""Bytes of the pseudo-random stream that are made at a time. Both ends must agree."""
PROGRESS_INTERVAL = 0.5
NOISE_INTERVAL = 0.05
"""Seconds between two readings of the time that other guests took. Shorter gaps are not examined."""
LINGER = 1.0
"""Seconds for which a UDP receiver waits for late datagrams and duplicates, after the last number."""
_COUNTERS = struct.Struct("!Qd")
"""A UDP datagram: its number from 0, and the time of its sending. Both ends have the same monotonic clock."""


@dataclass(frozen=True, slots=True)
class TcpResult:
    """The result of a TCP transfer at its receiver."""

    bytes_received: int
    seconds: float
    """Seconds from the first byte to the last."""
    verified: bool
    """Every byte was right, and the receiver saw the sender's end."""
    longest_gap: float
    """Seconds; the longest time without a new byte."""
    longest_gap_at: float
    """Begin of the longest gap, in seconds from the first byte."""
    settled_bytes: int = 0
    """Bytes without those of the first seconds, in which TCP finds its speed. An option gives the seconds."""
    settled_seconds: float = 0.0
    error: str = ""
    lost_in_gap: float = 0.0
    """Seconds of the longest gap that the machine's other work took."""

    @property
    def own_gap(self) -> float:
        """The longest gap without the time that the machine's other work took: the program is responsible for it."""
        return self.longest_gap - self.lost_in_gap

    @property
    def mbit(self) -> float:
        """Goodput in Mbit/s, from the first byte to the last."""
        return self.bytes_received * 8 / self.seconds / 1e6 if self.seconds else 0.0

    @property
    def settled_mbit(self) -> float:
        """Goodput in Mbit/s without the first seconds."""
        return self.settled_bytes * 8 / self.settled_seconds / 1e6 if self.settled_seconds else 0.0


@dataclass(frozen=True, slots=True)
class UdpResult:
    """The result of a numbered stream at its receiver."""

    count: int
    """Datagrams expected."""
    received: int
    """Different datagrams received."""
    duplicates: int
    late: int
    """Datagrams that came after one with a higher number."""
    wrong: int
    """Datagrams that were damaged or not of the stream."""
    longest_gap: float
    """Seconds between two arrivals, or from the last one to the end of the wait if the last number never came."""
    longest_delay: float
    """Seconds from sending to arrival."""
    lost_in_gap: float = 0.0
    """As in TcpResult."""

    @property
    def own_gap(self) -> float:
        """As in TcpResult."""
        return self.longest_gap - self.lost_in_gap

    @property
    def lost(self) -> int:
        """Datagrams that never came."""
        return self.count - self.received


def stream(seed: int) -> Iterator[bytes]:
    """The blocks of the endless stream of a seed."""
    source = random.Random(seed)
    while True:
        yield source.randbytes(BLOCK_SIZE)


class Verifier:
    """Compares a stream, which comes in pieces, with the expected bytes."""

    def __init__(self, seed: int) -> None:
        self._blocks = stream(seed)
        self._expected = b""
        self._offset = 0
        self.count = 0
        """Right bytes so far."""

    def feed(self, data: bytes) -> bool:
        """False when a byte is wrong. `count` is then its position."""
        view = memoryview(data)
        while view:
            if self._offset == len(self._expected):
                self._expected = next(self._blocks)
                self._offset = 0
            size = min(len(view), len(self._expected) - self._offset)
            expected = self._expected[self._offset : self._offset + size]
            if view[:size] != expected:
                self.count += next(i for i in range(size) if view[i] != expected[i])
                return False
            self._offset += size
            self.count += size
            view = view[size:]
        return True


class GapMeter:
    """The longest time between two ticks. Times are seconds of any clock."""

    def __init__(self) -> None:
        self.first_at: float | None = None
        self.last_at = 0.0
        self.longest = 0.0
        self.longest_at = 0.0
        """Begin of the longest gap, in seconds since the first event."""
        self.lost = 0.0
        """Seconds of the longest gap that the machine's other work took, as `noise.taken` counts."""
        self._taken = 0.0
        self._taken_at = -math.inf

    def tick(self, now: float) -> None:
        """An event, or the end of the wait for one."""
        if self.first_at is None:
            self.first_at = self.last_at = now
        before = self._taken
        if now - self._taken_at >= NOISE_INTERVAL:
            self._taken, self._taken_at = taken(), now
        if now - self.last_at > self.longest:
            self.longest = now - self.last_at
            self.longest_at = self.last_at - self.first_at
            self.lost = self._taken - before if self.longest > NOISE_INTERVAL else 0.0
        self.last_at = now


def _say(**values: object) -> None:
    print(json.dumps(values), flush=True)


def _listen(kind: socket.SocketKind, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.bind((address, 0))
    if kind == socket.SOCK_STREAM:
        sock.listen(1)
    _say(port=sock.getsockname()[1])
    return sock


def tcp_receive(address: str, *, seed: int, patience: float, settle: float) -> TcpResult:
    """Accepts one connection and reads it to its end. After `patience` seconds without a byte it fails.

    The settled goodput leaves out the first `settle` seconds.
    """
    verifier, gaps, error = Verifier(seed), GapMeter(), ""
    settled_at, settled_count = 0.0, 0
    with _listen(socket.SOCK_STREAM, address) as listener:
        listener.settimeout(patience)
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return TcpResult(0, 0.0, verified=False, longest_gap=0.0, longest_gap_at=0.0, error="nobody connected")
    with connection:
        connection.settimeout(patience)
        report_at = 0.0
        while not error:
            try:
                data = connection.recv(BLOCK_SIZE)
            except OSError as failure:
                error = f"no byte for {patience} s" if isinstance(failure, TimeoutError) else str(failure)
                gaps.tick(time.monotonic())
                break
            if not data:
                # The sender waits for these bytes: they say that all of its data has arrived.
                connection.sendall(struct.pack("!Q", verifier.count))
                break
            now = time.monotonic()
            gaps.tick(now)
            if not verifier.feed(data):
                error = f"byte {verifier.count} is wrong"
            assert gaps.first_at is not None
            if not settled_at and now - gaps.first_at >= settle:
                settled_at, settled_count = now, verifier.count
            if now >= report_at:
                report_at = now + PROGRESS_INTERVAL
                _say(at=round(now - gaps.first_at, 3), bytes=verifier.count)
    return TcpResult(
        bytes_received=verifier.count,
        seconds=gaps.last_at - gaps.first_at if gaps.first_at is not None else 0.0,
        verified=not error,
        longest_gap=gaps.longest,
        longest_gap_at=gaps.longest_at,
        lost_in_gap=gaps.lost,
        settled_bytes=verifier.count - settled_count if settled_at else 0,
        settled_seconds=gaps.last_at - settled_at if settled_at else 0.0,
        error=error,
    )


def tcp_send(
    address: str, port: int, *, seed: int, size: int | None, seconds: float, congestion: str, patience: float
) -> tuple[int, bool]:
    """Sends `size` bytes, or for `seconds`; returns the bytes sent, and whether the receiver had them all."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as sock:
        if congestion:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        sock.settimeout(patience)
        sock.connect((address, port))
        sent, end_at = 0, time.monotonic() + seconds
        for block in stream(seed):
            piece = block if size is None else block[: size - sent]
            if not piece or (size is None and time.monotonic() >= end_at):
                break
            sock.sendall(piece)
            sent += len(piece)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while len(answer) < 8 and (more := sock.recv(8 - len(answer))):
            answer += more
    return sent, answer == struct.pack("!Q", sent)


def udp_receive(address: str, *, count: int, seconds: float) -> UdpResult:
    """Takes `count` datagrams of a numbered stream, for at most `seconds` from the start."""
    seen: set[int] = set()
    duplicates = late = wrong = 0
    highest, longest_delay, gaps = -1, 0.0, GapMeter()
    end_at = time.monotonic() + seconds
    with _listen(socket.SOCK_DGRAM, address) as sock:
        # A datagram that arrives and finds no room would count as lost on its way.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        while (wait := end_at - time.monotonic()) > 0 and select.select([sock], [], [], wait)[0]:
            data = sock.recv(65536)
            now = time.monotonic()
            number, sent_at = _COUNTERS.unpack_from(data) if len(data) >= _COUNTERS.size else (count, 0.0)
            if number >= count or data != datagram(number, sent_at, len(data)):
                wrong += 1
                continue
            if number in seen:
                duplicates += 1
                continue
            seen.add(number)
            late += number < highest
            highest = max(highest, number)
            longest_delay = max(longest_delay, now - sent_at)
            gaps.tick(now)
            if number == count - 1:
                end_at = min(end_at, now + LINGER)
    if highest < count - 1:
        gaps.tick(time.monotonic())
    return UdpResult(count, len(seen), duplicates, late, wrong, gaps.longest, longest_delay, gaps.lost)


def datagram(number: int, sent_at: float, size: int) -> bytes:
    """A datagram of the numbered stream, `size` bytes long. The bytes after the counters depend on the number."""
    counters = _COUNTERS.pack(number, sent_at)
    return counters + random.Random(number).randbytes(max(size - len(counters), 0))


def udp_send(address: str, port: int, *, count: int, rate: float, size: int) -> int:
    """Sends `count` datagrams, exactly `rate` a second; returns how many the system took."""
    taken = 0
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        start = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            try:
                sock.sendto(datagram(number, time.monotonic(), size), (address, port))
                taken += 1
            except OSError:
                continue  # no route, or refused: the datagram is lost, as on any network
    return taken


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.support.transfer")
    commands = parser.add_subparsers(dest="command", required=True)
    receive = commands.add_parser("tcp-receive")
    send = commands.add_parser("tcp-send")
    for command in (receive, send):
        command.add_argument("address")
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--patience", type=float, default=15.0, help="seconds without progress that are an error")
    receive.add_argument("--settle", type=float, default=0.0, help="seconds that the settled goodput leaves out")
    send.add_argument("port", type=int)
    send.add_argument("--bytes", type=int, dest="size", help="how much; else --seconds counts")
    send.add_argument("--seconds", type=float, default=5.0)
    send.add_argument("--congestion", default="", help="TCP congestion control; default: the system's")
    receive = commands.add_parser("udp-receive")
    send = commands.add_parser("udp-send")
    for command in (receive, send):
        command.add_argument("address")
        command.add_argument("--count", type=int, required=True)
    receive.add_argument("--seconds", type=float, required=True)
    send.add_argument("port", type=int)
    send.add_argument("--rate", type=float, default=50.0)
    send.add_argument("--size", type=int, default=200)
    return parser


def main() -> int:
    """Runs one end; returns 0 if all went well."""
    arguments = vars(_parser().parse_args())
    command = arguments.pop("command")
    if command == "tcp-receive":
        tcp = tcp_receive(**arguments)
        _say(**asdict(tcp))
        return 0 if tcp.verified else 1
    if command == "udp-receive":
        udp = udp_receive(**arguments)
        _say(**asdict(udp))
        return 1 if udp.wrong else 0
    if command == "udp-send":
        _say(sent=udp_send(**arguments))
        return 0
    try:
        sent, arrived = tcp_send(**arguments)
    except OSError as error:
        _say(sent=0, arrived=False, error=str(error))
        return 1
    _say(sent=sent, arrived=arrived)
    return 0 if arrived else 1


if __name__ == "__main__":
    sys.exit(main())
