"""A server that stripes blindly; runs in a namespace. Packets go to its links in turn, whatever becomes of them.

    python -m tests.support.striper --password SECRET --address 10.42.0.1/24 --mtu 1428 --link 198.19.0.1:5080 …

It acts like C MLVPN with equal rates. `seq` and `data_seq` begin at 0, nothing is paced, and each DATA asks to be put
in order. It delivers arrivals as they come. It shares no code with the daemon, and is quick: some hundred Mbit/s. It
writes `ready` and a newline when its interface is up, and runs until it is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from mlvpnd.scapy_layer import (
    AUTH,
    AUTH_OK,
    DATA,
    DISCONNECT,
    HEADER_SIZE,
    KEEPALIVE,
    NO_TIMESTAMP,
    PLAINTEXTS,
    derive_key,
    nonce,
)

Address = tuple[str, int]

TICK = 1.0
"""Seconds between KEEPALIVEs, and between answers to them."""
ECHO_LIMIT = 1.0
"""Seconds after which a received time stamp is no longer echoed."""
BURST = 64
"""Packets taken from the interface before the sockets get their turn."""
SOCKET_BUFFER = 1 << 22

_HEADER = struct.Struct("!H2sHHIQQ")
"""Fields of the header: len, word, timestamp, timestamp_reply, flow_id, seq, data_seq."""
_WORDS = {kind: struct.pack("<H", 1 | kind << 4 | 1 << 10) for kind in (AUTH, AUTH_OK, KEEPALIVE, DATA, DISCONNECT)}
"""The word of each type: version 1, the type, the reorder bit."""

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001


@dataclass(slots=True)
class StriperLink:
    """One link of a Striper."""

    flow_id: int
    remote: Address | None = None
    """The client's address; None: the link has no client."""
    seq: int = 0
    stamp: int = NO_TIMESTAMP
    """The client's time stamp, to be echoed."""
    stamp_at: float = 0.0
    answered_at: float = 0.0
    """Monotonic seconds of the last answer to a KEEPALIVE."""


class Striper:
    """The striper without sockets: bytes, addresses and the time in, datagrams out. Times are monotonic seconds."""

    def __init__(self, key: bytes, flow_ids: Sequence[int]) -> None:
        """One link for each flow_id."""
        self._key = key
        self.links = [StriperLink(flow_id) for flow_id in flow_ids]
        self._turn = 0
        self._data_seq = 0

    def _seal(self, link: StriperLink, kind: int, plaintext: bytes, data_seq: int, now: float) -> bytes:
        reply, link.stamp = link.stamp, NO_TIMESTAMP
        if reply != NO_TIMESTAMP:
            held = now - link.stamp_at
            reply = (reply + int(held * 1000)) & 0xFFFF if held < ECHO_LIMIT else NO_TIMESTAMP
        seq, link.seq = link.seq, link.seq + 1
        box = crypto_secretbox(plaintext, nonce(seq, link.flow_id), self._key)
        stamp = int(time.time() * 1000) & 0xFFFF
        stamp = 0 if stamp == NO_TIMESTAMP else stamp
        return _HEADER.pack(len(box), _WORDS[kind], stamp, reply, link.flow_id, seq, data_seq) + box

    def _control(self, link: StriperLink, kind: int, now: float) -> bytes:
        return self._seal(link, kind, PLAINTEXTS[kind], 0, now)

    def stripe(self, packet: bytes, now: float) -> tuple[int, bytes] | None:
        """The next link that has a client, and the datagram for it; None if no link has one."""
        for _ in self.links:
            number = self._turn
            self._turn = (number + 1) % len(self.links)
            link = self.links[number]
            if link.remote is not None:
                data_seq, self._data_seq = self._data_seq, self._data_seq + 1
                return number, self._seal(link, DATA, packet, data_seq, now)
        return None

    def receive(self, number: int, datagram: bytes, source: Address, now: float) -> tuple[bytes | None, bytes | None]:
        """Takes a datagram of a link; returns the packet in it and the answer to it, each None if there is none."""
        link = self.links[number]
        if len(datagram) < HEADER_SIZE:
            return None, None
        size, word, stamp, _, flow_id, seq, _ = _HEADER.unpack_from(datagram)
        kind = int.from_bytes(word, "little") >> 4 & 63
        try:
            plaintext = crypto_secretbox_open(datagram[HEADER_SIZE:][:size], nonce(seq, flow_id), self._key)
        except (CryptoError, ValueError):
            return None, None
        if stamp != NO_TIMESTAMP:
            link.stamp, link.stamp_at = stamp, now
        if kind == AUTH:
            link.remote = source
            return None, self._control(link, AUTH_OK, now)
        if kind == DISCONNECT:
            link.remote = None
        elif link.remote is not None:
            link.remote = source
            if kind == DATA:
                return plaintext, None
            if kind == KEEPALIVE and now - link.answered_at > TICK:
                link.answered_at = now
                return None, self._control(link, KEEPALIVE, now)
        return None, None

    def tick(self, now: float) -> list[tuple[int, bytes]]:
        """The datagrams of each second, by link."""
        return [
            (number, self._control(link, KEEPALIVE, now))
            for number, link in enumerate(self.links)
            if link.remote is not None
        ]


def open_tun(name: str, address: str, mtu: int) -> int:
    """Makes a TUN interface that is up. Returns its non-blocking descriptor; the interface goes with it."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN_NO_PI))
    commands = f"addr add {address} dev {name}\nlink set {name} mtu {mtu} up\n"
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
    return descriptor


def run(striper: Striper, sockets: Sequence[socket.socket], tun: int) -> None:
    """Carries packets for ever."""
    poll = select.epoll()
    poll.register(tun, select.EPOLLIN)
    numbers = {sock.fileno(): number for number, sock in enumerate(sockets)}
    for sock in sockets:
        poll.register(sock, select.EPOLLIN)

    def send(number: int, datagram: bytes) -> None:
        remote = striper.links[number].remote
        if remote is not None:
            # No room or no route: the packet is lost, as on any line.
            with contextlib.suppress(OSError):
                sockets[number].sendto(datagram, remote)

    def outward() -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(BURST):
                found = striper.stripe(os.read(tun, 65536), now)
                if found is not None:
                    send(*found)

    def inward(number: int) -> None:
        with contextlib.suppress(OSError):
            for _ in range(BURST):
                datagram, source = sockets[number].recvfrom(65536)
                packet, answer = striper.receive(number, datagram, source, now)
                if answer is not None:
                    send(number, answer)
                if packet is not None:
                    with contextlib.suppress(OSError):
                        os.write(tun, packet)

    tick_at = time.monotonic()
    while True:
        ready = poll.poll(max(0.0, tick_at - time.monotonic()))
        now = time.monotonic()
        for descriptor, _ in ready:
            if descriptor == tun:
                outward()
            else:
                inward(numbers[descriptor])
        if now >= tick_at:
            tick_at = now + TICK
            for number, datagram in striper.tick(now):
                send(number, datagram)


def listen(address: Address) -> socket.socket:
    """A non-blocking, bound UDP socket that holds some bursts."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    return sock


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> int:
    """Runs the striper."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.striper")
    parser.add_argument("--password", required=True)
    parser.add_argument("--interface", default="mlvpn0")
    parser.add_argument("--address", required=True, help="of the interface, with its prefix length")
    parser.add_argument("--mtu", type=int, default=1428)
    parser.add_argument("--link", type=_address, action="append", required=True, metavar="ADDRESS:PORT")
    arguments = parser.parse_args()
    sockets = [listen(address) for address in arguments.link]
    tun = open_tun(arguments.interface, arguments.address, arguments.mtu)
    flow_ids = [int.from_bytes(os.urandom(4), "big") for _ in sockets]
    print("ready", flush=True)
    run(Striper(derive_key(arguments.password.encode()), flow_ids), sockets, tun)
    return 0


if __name__ == "__main__":
    sys.exit(main())
