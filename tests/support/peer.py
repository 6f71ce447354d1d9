"""`ScapyPeer`: an MLVPN peer that shares no code with the daemon, over a real UDP socket.

It is built on the scapy layer, and behaves like C MLVPN on the wire. It has no replay check, and accepts every datagram
that opens. The peer's address follows the last datagram that opened. Timestamps are echoed once, within a second. It
keeps every datagram that it receives, dissected. Drive it by hand (`send_*`, `receive`), or by `run_until`, which does
a peer's own work. Or let a thread do this work (`with peer:`).
"""

from __future__ import annotations

import enum
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from scapy.packet import Packet

from mlvpnd.scapy_layer import (
    AUTH,
    AUTH_OK,
    DATA,
    DISCONNECT,
    KEEPALIVE,
    MLVPN,
    NO_TIMESTAMP,
    PLAINTEXTS,
    OpenError,
    derive_key,
    open_,
    plaintext,
    seal,
)

from .lab import Host
from .noise import Patience

Address = tuple[str, int]

TICK = 1.0
"""Seconds between AUTHs and between KEEPALIVEs."""
ECHO_LIMIT = 1.0
"""Seconds after which a received timestamp is no longer echoed."""
RTT_LIMIT = 5.0
"""Seconds; a round trip of this length or more is no sample."""


class Style(enum.Enum):
    """The program whose numbers a peer imitates."""

    CLOCK = "seq starts from the clock, data_seq anywhere"
    UPSTREAM = "seq and data_seq start at 0, answers to KEEPALIVE wait for the next tick or DATA"
    OLD = "as 2.3.0 and 2.3.1: seq, data_seq and reorder are 0 in every datagram"


@dataclass(frozen=True, slots=True)
class Received:
    """A datagram that arrived."""

    at: float
    """Monotonic time of the arrival."""
    source: Address
    datagram: bytes
    header: Packet
    """MLVPN as dissected, sealed; Raw if the datagram is shorter than a header."""
    opened: Packet | None
    """MLVPN over the contents of the box; None if the box did not open."""
    plaintext: bytes | None
    refused: str
    """Why the box did not open; empty if it did."""

    @property
    def type(self) -> int | None:
        """The type of a datagram that opened."""
        return None if self.opened is None else int(self.opened.type)


@dataclass(slots=True)
class _Clocks:
    """Times of one peer, monotonic; None: not yet."""

    next_tick: float | None = None
    last_keepalive: float = 0.0
    last_answer: float = 0.0
    last_sent_keepalive: float = 0.0


@dataclass(slots=True)
class _Echo:
    """The newest timestamp of the far end, echoed at most once."""

    stamp: int | None = None
    at: float = 0.0

    def take(self, now: float) -> int:
        stamp, self.stamp = self.stamp, None
        if stamp is None or now - self.at >= ECHO_LIMIT:
            return NO_TIMESTAMP
        return (stamp + int((now - self.at) * 1000)) & 0xFFFF


def udp_socket(address: Address, *, host: Host | None = None) -> socket.socket:
    """A UDP socket bound to `address`, IPv4 or IPv6, on a lab's host (None: here); port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = (socket.socket if host is None else host.socket)(family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def altered(datagram: bytes, **fields: int) -> bytes:
    """A datagram with other header fields. The payload stays as it was, sealed or not."""
    packet = MLVPN(datagram)
    for name, value in fields.items():
        packet.setfieldval(name, value)
    return bytes(packet)


@dataclass
class ScapyPeer:
    """One link's end. A client needs `remote`; a server learns it. Close it, or use `with`, which runs a thread.

    `data_seqs`, shared between the peers of several links, makes them one tunnel.
    """

    sock: socket.socket
    password: bytes
    server: bool = False
    remote: Address | None = None
    cleartext: bool = False
    tap: bool = False
    style: Style = Style.CLOCK
    flow_id: int = field(default_factory=lambda: random.getrandbits(32))
    seq: int = -1
    """`seq` of the next datagram; -1: the start of the style."""
    data_seqs: Iterator[int] | None = None
    timeout: float = 10.0
    """Seconds without a KEEPALIVE after which the link is down."""
    answers: bool = True
    """False: it neither answers nor ticks; only `send_*` sends."""

    def __post_init__(self) -> None:
        self.key = derive_key(self.password)
        if self.seq < 0:
            self.seq = time.time_ns() // 1000 if self.style is Style.CLOCK else 0
        if self.data_seqs is None:
            self.data_seqs = itertools.count(random.getrandbits(48) if self.style is Style.CLOCK else 0)
        self.up = False
        self.ups = 0
        self.downs = 0
        self.received: list[Received] = []
        self.sent: list[bytes] = []
        self.send_errors: list[OSError] = []
        self.rtt_samples: list[float] = []
        """Round trips in seconds."""
        self._clocks = _Clocks()
        self._echo = _Echo()
        self._owes_keepalive = False
        self._changed = threading.Condition(threading.RLock())
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # Sending.

    @property
    def address(self) -> Address:
        """The bound address of its socket."""
        host, port = self.sock.getsockname()[:2]
        return host, port

    def build(self, packet_type: int, payload: bytes | None = None, /, **fields: int) -> bytes:
        """The next datagram of a type: numbered, stamped and sealed. If `payload` is None, it has the type's own."""
        with self._changed:
            now = time.monotonic()
            header = {
                "type": packet_type,
                "flow_id": self.flow_id,
                "seq": 0 if self.style is Style.OLD else self.seq & 0xFFFF_FFFF_FFFF_FFFF,
                "data_seq": 0,
                "reorder": 0 if self.style is Style.OLD else 1,
                "timestamp": _stamp(),
                "timestamp_reply": self._echo.take(now),
            }
            self.seq += 1
            if packet_type == DATA and self.style is not Style.OLD and "data_seq" not in fields:
                assert self.data_seqs is not None
                header["data_seq"] = next(self.data_seqs) & 0xFFFF_FFFF_FFFF_FFFF
            header.update(fields)
            plain = PLAINTEXTS[packet_type] if payload is None else payload
            packet = MLVPN()
            for name, value in header.items():
                packet.setfieldval(name, value)
            return bytes(seal(packet / plain, self.key, cleartext=self.cleartext))

    def send_raw(self, datagram: bytes, *, to: Address | None = None) -> None:
        """Sends any bytes, to the far end or elsewhere. Errors of the system are kept in `send_errors`."""
        target = to or self.remote
        if target is None:
            raise ValueError("nobody to send to: a server without a client")
        try:
            self.sock.sendto(datagram, target)
        except OSError as error:
            self.send_errors.append(error)

    def _send(self, datagram: bytes) -> bytes:
        self.sent.append(datagram)
        self.send_raw(datagram)
        return datagram

    def send_auth(self, **fields: int) -> bytes:
        """Each `send_*` returns the datagram; `fields` override header fields."""
        return self._send(self.build(AUTH, **fields))

    def send_auth_ok(self, **fields: int) -> bytes:
        return self._send(self.build(AUTH_OK, **fields))

    def send_keepalive(self, **fields: int) -> bytes:
        with self._changed:
            self._clocks.last_sent_keepalive = time.monotonic()
        return self._send(self.build(KEEPALIVE, **fields))

    def send_disconnect(self, **fields: int) -> bytes:
        """Says goodbye and goes down."""
        datagram = self._send(self.build(DISCONNECT, **fields))
        self._go_down()
        return datagram

    def send_data(self, packet: bytes | Packet, **fields: int) -> bytes:
        """Sends a packet or frame through the tunnel."""
        datagram = self._send(self.build(DATA, bytes(packet), **fields))
        self._settle_debt()
        return datagram

    # Receiving.

    def receive(self, timeout: float) -> Received | None:
        """Waits for one datagram, keeps it, and answers it as a peer does; None after `timeout` seconds.

        Not for use while a thread runs.
        """
        self.sock.settimeout(max(timeout, 0.001))
        try:
            datagram, source = self.sock.recvfrom(65536)
        except TimeoutError:
            return None
        except ConnectionError as error:  # an ICMP error about an earlier datagram
            self.send_errors.append(error)
            return None
        return self._accept(datagram, (source[0], source[1]))

    def _accept(self, datagram: bytes, source: Address) -> Received:
        header = MLVPN(datagram)
        data: bytes | None = None
        opened: Packet | None = None
        refused = ""
        try:
            data = plaintext(header, self.key, cleartext=self.cleartext)
            opened = open_(header, self.key, cleartext=self.cleartext, tap=self.tap)
        except OpenError as error:
            refused = str(error)
        received = Received(time.monotonic(), source, datagram, header, opened, data, refused)
        with self._changed:
            self.received.append(received)
            if opened is not None:
                self._learn(opened, source, received.at)
                if self.answers:
                    self._react(int(opened.type), received.at)
            self._changed.notify_all()
        return received

    def _learn(self, header: Packet, source: Address, now: float) -> None:
        if header.timestamp != NO_TIMESTAMP:
            self._echo.stamp, self._echo.at = header.timestamp, now
        if header.timestamp_reply != NO_TIMESTAMP:
            sample = ((_stamp() - header.timestamp_reply) & 0xFFFF) / 1000
            if sample < RTT_LIMIT:
                self.rtt_samples.append(sample)
        self.remote = source

    def _react(self, packet_type: int, now: float) -> None:
        if packet_type in (AUTH, AUTH_OK):
            if self.server:
                self.send_auth_ok()
                self._go_up()
            elif not self.up:
                self._go_up()
        elif packet_type == KEEPALIVE and self.up:
            self._clocks.last_keepalive = now
            if now - self._clocks.last_answer > TICK:
                self._clocks.last_answer = now
                self._owes_keepalive = True
                if self.style is not Style.UPSTREAM:
                    self._settle_debt()
        elif packet_type == DISCONNECT:
            self._go_down()

    def _settle_debt(self) -> None:
        with self._changed:
            owes, self._owes_keepalive = self._owes_keepalive, False
        if owes:
            self.send_keepalive()

    def _go_up(self) -> None:
        with self._changed:
            now = time.monotonic()
            self._clocks.last_keepalive = self._clocks.last_sent_keepalive = now
            self.ups += not self.up
            self.up = True
            self._changed.notify_all()

    def _go_down(self) -> None:
        with self._changed:
            self.downs += self.up
            self.up = False
            self._owes_keepalive = False
            self._changed.notify_all()

    # The peer's own work.

    def tick(self) -> None:
        """A peer's work of each second: AUTH, KEEPALIVE, or noticing that the other has gone."""
        with self._changed:
            now = time.monotonic()
            self._clocks.next_tick = now + TICK
            if self.up and now - self._clocks.last_keepalive > self.timeout:
                self._go_down()
            if self.up:
                self._settle_debt()
                if now - self._clocks.last_sent_keepalive >= TICK * 0.9:
                    self.send_keepalive()
            elif not self.server:
                self.send_auth()

    def _step(self, longest: float) -> None:
        """Receives one datagram or waits, at most `longest` seconds, and ticks when it is time."""
        now = time.monotonic()
        if self.answers:
            if self._clocks.next_tick is None or now >= self._clocks.next_tick:
                self.tick()
            assert self._clocks.next_tick is not None
            longest = min(longest, self._clocks.next_tick - now)
        self.receive(longest)

    def run_until(self, done: Callable[[], bool], timeout: float) -> bool:
        """Whether `done` came true within `timeout` seconds of our own. Without a thread it does its work."""
        patience = Patience(timeout)
        if self._thread is not None:
            with self._changed:
                while not self._changed.wait_for(done, max(patience.left, 0.0)):
                    if patience.left <= 0:
                        return False
            return True
        while not done():
            left = patience.left
            if left <= 0:
                return False
            self._step(left)
        return True

    def run(self, seconds: float) -> None:
        """Does a peer's work for `seconds`."""
        deadline = time.monotonic() + seconds
        if self._thread is not None:
            time.sleep(seconds)
        while (left := deadline - time.monotonic()) > 0:
            self._step(left)

    def connect(self, timeout: float = 10.0) -> bool:
        """Whether the link came up in time."""
        return self.run_until(lambda: self.up, timeout)

    def expect(self, packet_type: int, timeout: float = 5.0, *, after: int = 0) -> Received | None:
        """The first datagram of a type that opened, counted from the `after`th received; None if none comes in time."""

        def find() -> Received | None:
            return next((r for r in self.received[after:] if r.type == packet_type), None)

        self.run_until(lambda: find() is not None, timeout)
        return find()

    @property
    def packets(self) -> list[bytes]:
        """The packets that DATA has carried here, in order of arrival."""
        return [r.plaintext for r in list(self.received) if r.type == DATA and r.plaintext is not None]

    # Life.

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._live, name=f"ScapyPeer {self.address}")
        self._thread.start()
        return self

    def _live(self) -> None:
        while not self._stopping.is_set():
            self._step(0.1)

    def stop(self) -> None:
        """Ends the thread; the socket stays."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Ends the thread and closes the socket; says nothing to the far end."""
        self.stop()
        self.sock.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _stamp() -> int:
    """Unix time in ms modulo 65536, never 65535."""
    stamp = time.time_ns() // 1_000_000 & 0xFFFF
    return 0 if stamp == NO_TIMESTAMP else stamp
