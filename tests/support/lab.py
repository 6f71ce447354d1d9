"""Two hosts joined by emulated lines, in network namespaces of their own.

    client                      wire                     server
    adsl1 198.18.1.2/24  ===  c1 linkemu s1  ===  wan1 198.18.1.1/24
    adsl2 198.18.2.2/24  ===  c2 linkemu s2  ===  wan2 198.18.2.1/24
                                                  lo   198.19.0.1/32

Line i has 198.18.i.0/24 and 2001:db8:i::/64, hosts 1 (server) and 2 (client). The client has a default route for
each line, as a host with several access lines has. The route is in the main table by metric, and alone in table
100+i, for packets from this line's addresses. The server has one more address, on lo, which every line reaches.

Needs root. Several labs may run at once. At the end of its `with` block, everything that a lab made is removed. This
holds even if this process is killed: a janitor waits for the end of the process and cleans up then.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import itertools
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from .linkemu import PROJECT, Conditions, Counters, Emulator
from .noise import Patience

SERVER_IPV4 = "198.19.0.1"
SERVER_IPV6 = "2001:db8:ffff::1"

SEEDS_APART = 1000
"""Distance between the seeds of a line in two labs. Each line of a lab has its own seed."""

HOSTS_DIR = Path("/etc/netns")
"""`ip netns exec NAME` shows HOSTS_DIR/NAME/hosts as /etc/hosts."""

# When standard input ends: ends every process in the named namespaces, and removes the namespaces.
_JANITOR = """
trap '' INT TERM HUP
cat >/dev/null
dir=$1 hosts=$2; shift 2
for ns; do
    for round in 1 2 3; do
        pids=$(ip netns pids "$ns" 2>/dev/null)
        [ -n "$pids" ] || break
        kill -KILL $pids 2>/dev/null
        sleep 0.05
    done
    ip netns del "$ns" 2>/dev/null
    if [ -d "$hosts/$ns" ]; then
        rm -rf "$hosts/$ns"
        rmdir "$hosts" 2>/dev/null
    fi
done
rm -rf "$dir"
"""

Stream = int | IO[bytes] | None
"""Where a program reads or writes, as for subprocess."""

_numbers = itertools.count(1)


class LabError(Exception):
    """The lab could not be made, or a program in it failed."""


class Direction(enum.Enum):
    """A direction of a line; the value is linkemu's word."""

    TO_SERVER = "ab"
    TO_CLIENT = "ba"


@dataclass(frozen=True, slots=True)
class Line(Conditions):
    """The conditions of a line. Both directions are alike, except for the rate if `rate_to_server` is given."""

    rate_to_server: float | None = None
    """Mbit/s; None: `rate`."""

    def towards(self, direction: Direction) -> Conditions:
        """The conditions of one direction."""
        conditions = Conditions(**{field.name: getattr(self, field.name) for field in fields(Conditions)})
        if direction is Direction.TO_SERVER and self.rate_to_server is not None:
            return replace(conditions, rate=self.rate_to_server)
        return conditions


class Host:
    """A network namespace as a host."""

    def __init__(self, name: str) -> None:
        """`name` is the name of the namespace. It exists already, or `create` makes it."""
        self.name = name
        self.enter = ("ip", "netns", "exec", name)
        """The words that run a program here."""
        self._processes: list[subprocess.Popen[bytes]] = []

    def create(self) -> None:
        """Makes the namespace; only `lo` is up in it."""
        _run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def run(self, *argv: str, check: bool = True, timeout: float = 30) -> str:
        """Runs a program to its end and returns its standard output; if it fails, LabError with its errors."""
        return _run(*self.enter, *argv, check=check, timeout=timeout)

    def ip(self, *commands: str, ipv6: bool = False) -> None:
        """Runs `ip` commands, written without the leading `ip`. The family comes from the addresses, or is given."""
        family = ["-6"] if ipv6 else []
        _run("ip", *family, "-n", self.name, "-batch", "-", stdin="\n".join(commands) + "\n")

    def start(
        self, *argv: str, stdin: Stream = subprocess.DEVNULL, stdout: Stream = None, stderr: Stream = None
    ) -> subprocess.Popen[bytes]:
        """Starts a program in the project's directory, in its own session. The end of the lab kills it."""
        process = subprocess.Popen(
            [*self.enter, *argv], stdin=stdin, stdout=stdout, stderr=stderr, cwd=PROJECT, start_new_session=True
        )
        self._processes.append(process)
        return process

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this host for use in this process."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as namespace:
            _enter_namespace(namespace.fileno())
            try:
                return socket.socket(family, kind, protocol)
            finally:
                _enter_namespace(home.fileno())

    def sysctl(self, **settings: int) -> None:
        """Sets `net` parameters; two underscores stand for a dot: `ipv4__tcp_no_metrics_save=1`."""
        self.run("sysctl", "-q", "-w", *(f"net.{key.replace('__', '.')}={value}" for key, value in settings.items()))

    def write_hosts(self, names: Mapping[str, str | Sequence[str]]) -> None:
        """Sets /etc/hosts: names to address or addresses. Programs started after the first call see it."""
        directory = HOSTS_DIR / self.name
        directory.mkdir(parents=True, exist_ok=True)
        text = "127.0.0.1 localhost\n"
        for name, found in names.items():
            text += "".join(f"{address} {name}\n" for address in ([found] if isinstance(found, str) else found))
        # Written in place, because the running programs have this very file mounted.
        (directory / "hosts").write_text(text)

    def end_processes(self) -> None:
        """Kills the programs of `start` that still run."""
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


class LineEnd:
    """A host's interface to a line."""

    def __init__(self, host: Host, wire: Host, device: str, wire_device: str, line: int, *, is_client: bool) -> None:
        self.host = host
        self.device = device
        self._wire = wire
        self._wire_device = wire_device
        self._line = line
        self._is_client = is_client
        self._number = 2 if is_client else 1

    @property
    def ipv4(self) -> str:
        """The address, also while the interface does not have it."""
        return f"198.18.{self._line}.{self._number}"

    @property
    def ipv6(self) -> str:
        """The address, also while the interface does not have it."""
        return f"2001:db8:{self._line}::{self._number}"

    @property
    def cable(self) -> tuple[str, ...]:
        """The words of a program. With `down` behind them it pulls the cable, with `up` it plugs it."""
        return ("ip", "-n", self._wire.name, "link", "set", self._wire_device)

    def attach(self) -> None:
        """Makes the interface, with its other end in the wire. It is up and has addresses."""
        self._wire.ip(
            f"link add {self._wire_device} type veth peer name {self.device} netns {self.host.name}",
            f"link set {self._wire_device} up",
        )
        # Frames as on a wire: of MTU size, with real checksums that are checked.
        offloads = [word for name in ("tx", "rx", "sg", "tso", "gso", "gro") for word in (name, "off")]
        self.host.run("ethtool", "-K", self.device, *offloads)
        self._configure()

    def _configure(self) -> None:
        self.host.ip(f"link set {self.device} up")
        self.add_addresses()

    def add_addresses(self, number: int | None = None) -> None:
        """Gives the interface its addresses and the routes that go with them; `number` is a new host number."""
        if number is not None:
            self._number = number
        commands = [
            f"addr replace {self.ipv4}/24 dev {self.device}",
            f"addr replace {self.ipv6}/64 dev {self.device} nodad",
        ]
        if self._is_client:
            for gateway in (f"198.18.{self._line}.1", f"2001:db8:{self._line}::1"):
                route = f"route replace default via {gateway} dev {self.device}"
                commands += [f"{route} metric {100 + self._line}", f"{route} table {100 + self._line}"]
        self.host.ip(*commands)

    def remove_addresses(self) -> None:
        """Takes the addresses away; their routes go with them."""
        self.host.ip(f"addr del {self.ipv4}/24 dev {self.device}", f"addr del {self.ipv6}/64 dev {self.device}")

    def set_carrier(self, *, up: bool) -> None:
        """Pulls or plugs the cable: the interface stays up and keeps its addresses."""
        self._wire.ip(f"link set {self._wire_device} {'up' if up else 'down'}")

    def unplug(self) -> None:
        """Takes the interface away from the host, like a USB modem that is pulled."""
        self.host.ip(f"link set {self.device} netns {self._wire.name}")

    def plug(self) -> None:
        """Gives the interface back, with addresses."""
        self._wire.ip(f"link set {self.device} netns {self.host.name}")
        self._configure()


class LabLine:
    """A line of a running lab."""

    def __init__(self, number: int, client: LineEnd, server: LineEnd, emulator: Emulator) -> None:
        self.number = number
        self.client = client
        self.server = server
        self._emulator = emulator

    @property
    def pid(self) -> int:
        """The emulator's process."""
        return self._emulator.pid

    def conditions(self, direction: Direction) -> Conditions:
        """The present conditions."""
        return self._emulator.conditions(direction.value)

    def set(self, direction: Direction | None = None, **changes: Any) -> None:
        """Changes conditions by name: `set(up=False)`, `set(loss=0.02)`. Without a direction, changes both."""
        for way in Direction if direction is None else (direction,):
            self._emulator.apply(way.value, replace(self.conditions(way), **changes))

    def stats(self) -> dict[Direction, Counters]:
        """The counters of each direction."""
        return {Direction(word): counters for word, counters in self._emulator.stats().items()}

    def reset_stats(self) -> None:
        """Sets the counters to zero."""
        self._emulator.reset_stats()


class Lab:
    """A context manager: inside, the hosts exist and the lines carry frames."""

    def __init__(self, lines: Sequence[Line], *, seed: int = 0) -> None:
        """Line i, counted from 1, is `lines[i - 1]`. `seed` is the seed of all lines' random numbers."""
        self._specs = tuple(lines)
        self._seed = seed
        self.name = f"mlvpnd-{os.getpid()}-{next(_numbers)}"
        self.client = Host(f"{self.name}-client")
        self.server = Host(f"{self.name}-server")
        self._wire = Host(f"{self.name}-wire")
        self._lines: list[LabLine] = []
        self._cleanup = contextlib.ExitStack()

    @property
    def lines(self) -> tuple[LabLine, ...]:
        """All lines."""
        return tuple(self._lines)

    def line(self, number: int) -> LabLine:
        """A line by its number, from 1."""
        return self._lines[number - 1]

    def add_host(self, label: str) -> Host:
        """Adds a host without any cable."""
        host = Host(f"{self.name}-{label}")
        directory = self.directory / label
        directory.mkdir()
        self._cleanup.callback(start_janitor(directory, host))
        host.create()
        self._cleanup.callback(host.end_processes)
        return host

    def __enter__(self) -> Self:
        if os.geteuid():
            raise LabError("a lab needs root: it makes network namespaces")
        self.directory = Path(tempfile.mkdtemp(prefix="mlvpnd-lab-", dir="/run"))
        """Directory for files of the lab's programs. It is in /run, because the helper trusts no file below /tmp."""
        try:
            self.directory.chmod(0o711)
            self._cleanup.callback(start_janitor(self.directory, self.client, self.server, self._wire))
            self._make_hosts()
            for number, spec in enumerate(self._specs, start=1):
                self._make_line(number, spec)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _make_hosts(self) -> None:
        for host in (self.client, self.server, self._wire):
            host.create()
            self._cleanup.callback(host.end_processes)
        self._wire.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        for host in (self.client, self.server):
            # Without duplicate address detection, addresses work at once. Without saved metrics, a transfer
            # does not depend on the one before.
            host.sysctl(
                ipv6__conf__all__accept_dad=0,
                ipv6__conf__default__accept_dad=0,
                ipv4__conf__all__rp_filter=0,
                ipv4__conf__default__rp_filter=0,
                ipv4__tcp_no_metrics_save=1,
            )
        self.server.ip(f"addr add {SERVER_IPV4}/32 dev lo", f"addr add {SERVER_IPV6}/128 dev lo nodad")

    def _make_line(self, number: int, spec: Line) -> None:
        client = LineEnd(self.client, self._wire, f"adsl{number}", f"c{number}", number, is_client=True)
        server = LineEnd(self.server, self._wire, f"wan{number}", f"s{number}", number, is_client=False)
        client.attach()
        server.attach()
        rule = f"lookup {100 + number} priority {1000 + number}"
        self.client.ip(f"rule add from 198.18.{number}.0/24 {rule}")
        self.client.ip(f"rule add from 2001:db8:{number}::/64 {rule}", ipv6=True)
        emulator = Emulator(
            self._wire.enter,
            f"c{number}",
            f"s{number}",
            ab=spec.towards(Direction.TO_SERVER),
            ba=spec.towards(Direction.TO_CLIENT),
            seed=self._seed * SEEDS_APART + number,
        )
        self._cleanup.callback(emulator.stop)
        self._lines.append(LabLine(number, client, server, emulator))


def start_janitor(directory: Path, *hosts: Host) -> Callable[[], None]:
    """At the end of this process, however it ends, cleans up hosts, their programs, and a directory.

    Returns a function that cleans up at once.
    """
    janitor = subprocess.Popen(
        ["/bin/sh", "-c", _JANITOR, "janitor", str(directory), str(HOSTS_DIR), *(host.name for host in hosts)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def clean() -> None:
        janitor.communicate(timeout=60)

    return clean


def wait_until(done: Callable[[], bool], timeout: float) -> bool:
    """Calls `done` every 20 ms until it is true; False after `timeout` seconds of our own time."""
    patience = Patience(timeout)
    while not done():
        if patience.left <= 0:
            return False
        time.sleep(0.02)
    return True


def _enter_namespace(descriptor: int) -> None:
    """Moves this thread. Python has os.setns only since 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    if libc.setns(descriptor, clone_newnet):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _run(*argv: str, stdin: str = "", check: bool = True, timeout: float = 30) -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=timeout)
    if check and done.returncode:
        raise LabError(f"{' '.join(argv)}: {stdin}exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
