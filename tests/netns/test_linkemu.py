"""The emulator, frame by frame: numbered frames between two interfaces, and nothing else on the line."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import pytest

from tests.support.lab import Host
from tests.support.linkemu import Conditions, Emulator, build, write_trace

pytestmark = pytest.mark.netns

ETHER_TYPE = 0x88B5
"""Local experimental EtherType, IEEE 802."""
_HEADER = b"\xff" * 6 + b"\x02" + bytes(5) + ETHER_TYPE.to_bytes(2, "big")
_BODY = struct.Struct("!Id")
SIZE = 1000
"""Bytes of a frame."""
BURST = 50
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
"""socket(7); Python has no names for them."""
_TIMESPEC = struct.Struct("@qq")
LATE = 2000
"""Microseconds: if one frame in a hundred is later than this, the machine kept the emulator from sending it."""
TRIES = 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame at the far end."""

    number: int
    delay: float
    """Seconds of delay."""
    at: float


class Wire:
    """An emulator between `a` and `b`, with a socket at either end."""

    def __init__(self, host: Host, ends: tuple[socket.socket, socket.socket], emulator: Emulator) -> None:
        self.host = host
        self.emulator = emulator
        self._ends = ends

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Inside, the emulator does not run."""
        os.kill(self.emulator.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.emulator.pid, signal.SIGCONT)

    def send(self, numbers: Sequence[int], *, back: bool = False) -> None:
        """Sends the frames of these numbers at once, from a or from b."""
        for number in numbers:
            body = _BODY.pack(number, time.time())
            self._ends[back].send((_HEADER + body).ljust(SIZE, b"\0"))

    def arrivals(self, *, back: bool = False, quiet: float = 0.15) -> list[Arrival]:
        """The frames that came at b, or at a. Returns when nothing has come for `quiet` seconds."""
        found = []
        end = self._ends[not back]
        end.settimeout(quiet)
        with contextlib.suppress(TimeoutError):
            while True:
                # The kernel's clock gives the time: on a busy machine this process reads the frame later.
                frame, ((_, _, stamp),), _, _ = end.recvmsg(2048, socket.CMSG_SPACE(_TIMESPEC.size))
                seconds, nanoseconds = _TIMESPEC.unpack(stamp)
                now = seconds + nanoseconds / 1e9
                number, sent_at = _BODY.unpack_from(frame, len(_HEADER))
                found.append(Arrival(number, now - sent_at, now))
        return found


@contextlib.contextmanager
def wire(conditions: Conditions, *, seed: int = 1) -> Iterator[Wire]:
    """A line in a namespace of its own; nobody else sends on it."""
    host = Host(f"mlvpnd-{os.getpid()}-linkemu")
    subprocess.run(["ip", "netns", "add", host.name], check=True)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(subprocess.run, ["ip", "netns", "del", host.name], check=True)
        # Without IPv6 the kernel sends nothing on an interface without addresses.
        host.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        ends = []
        for name in ("wa", "wb"):
            host.ip(f"link add {name} type veth peer name {name}0", f"link set {name} up", f"link set {name}0 up")
            end = cleanup.enter_context(host.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHER_TYPE)))
            end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
            end.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            end.bind((f"{name}0", ETHER_TYPE))
            ends.append(end)
        emulator = Emulator(host.enter, "wa", "wb", ab=conditions, ba=conditions, seed=seed)
        cleanup.callback(emulator.stop)
        yield Wire(host, (ends[0], ends[1]), emulator)


def numbers(arrivals: Sequence[Arrival]) -> list[int]:
    return [arrival.number for arrival in arrivals]


def overtaken(arrivals: Sequence[Arrival]) -> int:
    return sum(after < before for before, after in pairwise(numbers(arrivals)))


def test_jitter_keeps_the_order_or_does_not() -> None:
    with wire(Conditions(delay=20, jitter=10)) as line:
        line.send(range(200))
        kept = line.arrivals()
        line.emulator.apply("ab", Conditions(delay=20, jitter=10, order=False))
        for _ in range(TRIES):
            line.emulator.reset_stats()
            line.send(range(200))
            own = line.arrivals()
            if line.emulator.stats()["ab"].late_p99_us < LATE:
                break
    assert numbers(kept) == list(range(200))
    assert sorted(numbers(own)) == list(range(200))
    assert overtaken(own) > 50
    # The sender's turn may also come late between the clock and the call.
    assert 0.010 <= min(arrival.delay for arrival in own) < 0.014
    assert sum(arrival.delay < 0.020 for arrival in own) > 50
    assert sum(arrival.delay > 0.025 for arrival in own) > 30


def losses_of(seed: int, *, other_way: bool, conditions: Conditions) -> list[int]:
    """The numbers of the frames from a to b that came. They go in bursts, with or without frames from b to a."""
    came = []
    with wire(conditions, seed=seed) as line:
        for first in range(0, 400, BURST):
            if other_way:
                line.send(range(first % 70), back=True)
            line.send(range(first, first + BURST))
            came += numbers(line.arrivals(quiet=0.02))
    return came


@pytest.mark.parametrize(
    "conditions",
    [Conditions(loss=0.1, jitter=0.5), Conditions(burst_in=0.02, burst_out=0.2, duplicate=0.05)],
    ids=["random", "bursts"],
)
def test_the_same_seed_loses_the_same_frames_whatever_the_other_direction_does(conditions: Conditions) -> None:
    alone = losses_of(7, other_way=False, conditions=conditions)
    assert 240 < len(set(alone)) < 390
    assert losses_of(7, other_way=True, conditions=conditions) == alone
    assert losses_of(8, other_way=False, conditions=conditions) != alone


def test_directions_lose_different_frames() -> None:
    with wire(Conditions(loss=0.3)) as line:
        line.send(range(100))
        line.send(range(100), back=True)
        assert numbers(line.arrivals()) != numbers(line.arrivals(back=True))


def test_bursts_are_as_long_and_as_many_as_wanted() -> None:
    with wire(Conditions(burst_in=0.02, burst_out=0.25)) as line:
        for first in range(0, 5000, BURST):
            line.send(range(first, first + BURST))
            time.sleep(0.002)
        came = set(numbers(line.arrivals()))
    runs = [len(list(run)) for lost, run in groupby(range(5000), lambda number: number not in came) if lost]
    # The line is bad for 0.02 / (0.02 + 0.25) of the time, for 1 / 0.25 frames each. The seed makes each run the same.
    assert sum(runs) / 5000 == pytest.approx(0.074, rel=0.3)
    assert sum(runs) / len(runs) == pytest.approx(4, rel=0.3)


def test_the_rate_follows_the_trace_and_begins_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    trace = write_trace(tmp_path_factory.mktemp("trace") / "steps", [(200, 8), (100, 0), (200, 2)])
    with wire(Conditions(rate=5, trace=trace, queue=2000)) as line:
        line.send(range(500))
        arrivals = line.arrivals(quiet=0.3)
        assert line.emulator.stats()["ab"].overflow == 0
    assert numbers(arrivals) == list(range(500))
    start = min(arrival.at - arrival.delay for arrival in arrivals)
    # In each half second 200 frames of 1 ms, none for 100 ms, 50 frames of 4 ms.
    expected = [(0.2, 200), (0.3, 200), (0.5, 250), (0.7, 450), (0.8, 450), (1.0, 500)]
    for until, count in expected:
        came = sum(arrival.at - start < until + 0.002 for arrival in arrivals)
        assert count - 12 <= came <= count + 3, f"{came} frames after {until} s"


def test_the_queue_before_a_trace_is_that_of_its_mean_rate(tmp_path_factory: pytest.TempPathFactory) -> None:
    trace = write_trace(tmp_path_factory.mktemp("trace") / "steps", [(200, 0), (200, 16)])
    with wire(Conditions(rate=8, trace=trace, queue=100)) as line:
        line.send(range(300))
        arrivals = line.arrivals(quiet=0.4)
        overflow = line.emulator.stats()["ab"].overflow
    # 100 ms at 8 Mbit/s, though the waiting frames have to wait for 250 ms.
    assert len(arrivals) == pytest.approx(100, abs=3)
    assert overflow == 300 - len(arrivals)
    assert 0.2 < arrivals[0].delay <= arrivals[-1].delay < 0.3


@pytest.mark.parametrize("text", ["", "# nothing\n", "100 0\n", "100\n", "0 5\n", "-1 5\n", "100 5 6\n", "x 5\n"])
def test_a_trace_that_makes_no_sense_is_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("trace") / "bad"
    path.write_text(text)
    done = subprocess.run(
        [str(build()), "--ab", f"trace={path}", "a", "b"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"linkemu: not understood: trace={path}\n"


def test_a_dead_line_says_nothing_and_comes_back() -> None:
    with wire(Conditions(delay=50)) as line:
        line.send(range(10))
        time.sleep(0.01)
        line.emulator.apply("ab", Conditions(delay=50, up=False))
        line.send(range(10, 20))
        assert line.arrivals() == []
        assert line.emulator.stats()["ab"].down == 20
        assert "state UP" in line.host.run("ip", "link", "show", "wa0")
        line.emulator.apply("ab", Conditions(delay=50))
        line.send(range(20, 30))
        assert numbers(line.arrivals()) == list(range(20, 30))


def test_lateness_is_told() -> None:
    with wire(Conditions(delay=300)) as line:
        line.send(range(200))
        line.arrivals(quiet=0.5)
        fresh = line.emulator.stats()["ab"]
        line.emulator.reset_stats()
        line.send(range(200))
        time.sleep(0.01)
        # The emulator does not run when the frames are due.
        with line.stopped():
            time.sleep(0.6)
        line.arrivals(quiet=0.5)
        late = line.emulator.stats()["ab"]
    assert 0 < fresh.late_p99_us <= fresh.late_max_us + 20
    assert late.tx == 200
    assert late.late_p99_us > 40_000
    assert late.late_max_us > 50_000
