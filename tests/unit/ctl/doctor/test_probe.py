from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from pathlib import Path

from mlvpnd.config import LinkConfig
from mlvpnd.ctl.doctor.ends import Ends
from mlvpnd.ctl.doctor.probe import port_holders, port_taken, probe_peers

LOOPBACK = ip_address("127.0.0.1")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_what_comes_back() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        port = peer.getsockname()[1]
        links = [
            Ends(LinkConfig("there"), LOOPBACK, 0, LOOPBACK, port),
            Ends(LinkConfig("closed"), None, 0, LOOPBACK, free_port()),
            Ends(LinkConfig("closed6"), None, 0, ip_address("::1"), free_port()),
            Ends(LinkConfig("not ours"), ip_address("192.0.2.99"), 0, LOOPBACK, port),
            Ends(LinkConfig("device", binddevice="nosuchdevice"), None, 0, LOOPBACK, port),
            Ends(LinkConfig("server"), LOOPBACK, 5080),
        ]
        found = probe_peers(links, wait=0.3)
        assert found == {
            "there": 0,
            "closed": errno.ECONNREFUSED,
            "closed6": errno.ECONNREFUSED,
            "not ours": errno.EADDRNOTAVAIL,
            "device": errno.ENODEV,
        }
        assert peer.recv(100) == b""


def test_it_waits_no_longer_than_it_must() -> None:
    links = [Ends(LinkConfig("closed"), None, 0, LOOPBACK, free_port())]
    assert probe_peers(links, wait=3600) == {"closed": errno.ECONNREFUSED}
    assert probe_peers([], wait=3600) == {}


def test_ports() -> None:
    own = Path("/proc/self/comm").read_text().strip()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        taken = Ends(LinkConfig("a"), LOOPBACK, port)
        assert port_taken(taken)
        assert port_holders(port) == [f"{own} (pid {os.getpid()})"]
    assert not port_taken(taken)
    assert port_holders(port) == []
    assert not port_taken(Ends(LinkConfig("b"), ip_address("192.0.2.99"), port))
    assert not port_taken(Ends(LinkConfig("c"), None, port))
