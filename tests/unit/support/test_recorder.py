"""A recorder keeps whole UDP datagrams of its ports, and nothing else."""

from __future__ import annotations

import socket
import threading

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from tests.support.lab import wait_until
from tests.support.recorder import Recorded, Recorder

HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_what_is_recorded() -> None:
    passing = [
        b"",
        bytes(28),
        bytes(IP(src=HERE, dst=THERE) / UDP(sport=5080, dport=9) / b"one"),
        bytes(IP(src=HERE, dst=THERE, options=[bytes([1, 1, 1, 0])]) / UDP(sport=9, dport=5081) / b"two") + b"padding",
        bytes(IP(src=HERE, dst=THERE) / UDP(sport=9, dport=9) / b"another port"),
        bytes(IP(src=HERE, dst=THERE, flags="MF") / UDP(sport=9, dport=5080) / b"a fragment"),
        bytes(IP(src=HERE, dst=THERE, frag=3) / UDP(sport=9, dport=5080) / b"a fragment"),
        bytes(IP(src=HERE, dst=THERE) / TCP(sport=9, dport=5080) / b"no datagram"),
        bytes(IP(src=HERE, dst=THERE) / ICMP() / b"no datagram at all"),
        bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=9, dport=5080) / b"of the other family"),
        bytes(IP(src=THERE, dst=HERE) / UDP(sport=9, dport=5080) / b"three"),
    ]
    recorder = Recorder([5080, 5081], limit=10)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        thread = threading.Thread(target=recorder.record, args=(there,))
        thread.start()
        for packet in passing:
            here.send(packet)
        assert wait_until(lambda: len(recorder.recorded) == 3, 5)
        recorder.stop()
        thread.join()
    assert recorder.recorded == [
        Recorded((HERE, 5080), (THERE, 9), b"one"),
        Recorded((HERE, 9), (THERE, 5081), b"two"),
        Recorded((THERE, 9), (HERE, 5080), b"three"),
    ]
    assert recorder.sent_to(5080, 5081) == [b"two", b"three"]
    assert recorder.sent_from(5080) == [b"one"]


def test_it_ends_when_it_has_enough() -> None:
    recorder = Recorder([9], limit=2)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        for number in range(5):
            here.send(bytes(IP(src=HERE, dst=THERE) / UDP(sport=9, dport=9) / (b"%d" % number)))
        recorder.record(there)
    assert recorder.sent_to(9) == [b"0", b"1"]
