"""Captures of a short session, and `mlvpn-decode` run on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet
from scapy.utils import wrpcap

from mlvpnd.cli.decode import main
from mlvpnd.scapy_layer import AUTH, AUTH_OK, DATA, DISCONNECT, KEEPALIVE, MLVPN, seal
from tests.support.example_packets import ETHER, KEY, PING, PING6

CONVERSATION = (
    (MLVPN(type=AUTH, flow_id=1, seq=0, timestamp=100) / b"AU", False),
    (MLVPN(type=AUTH_OK, flow_id=2, seq=0, timestamp=200, timestamp_reply=101) / b"OK", True),
    (MLVPN(type=KEEPALIVE, flow_id=1, seq=1), False),
    (MLVPN(type=DATA, flow_id=1, seq=2, data_seq=7) / PING, False),
    (MLVPN(type=DATA, flow_id=2, seq=1, data_seq=3, reorder=0) / PING6, True),
    (MLVPN(type=DISCONNECT, flow_id=1, seq=3), False),
)


def conversation(*, cleartext: bool = False, ip6: bool = False) -> list[Packet]:
    """The captured packets of a short session between a client and a server on port 5080."""
    ends = ("2001:db8::1", "2001:db8::2") if ip6 else ("192.0.2.1", "192.0.2.2")
    layer = IPv6 if ip6 else IP
    packets: list[Packet] = []
    for number, (packet, backwards) in enumerate(CONVERSATION):
        source, destination = reversed(ends) if backwards else ends
        udp = UDP(sport=5080, dport=40000) if backwards else UDP(sport=40000, dport=5080)
        captured = ETHER / layer(src=source, dst=destination) / udp / seal(packet, KEY, cleartext=cleartext)
        captured.time = 1795333267 + number / 8
        packets.append(captured)
    return packets


class Decoding:
    """Runs the decoder in this process and keeps what it said."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.capture = directory / "capture.pcap"
        self._password = directory / "password"
        self._password.write_bytes(b"secret\nsecond line\n")
        self._capsys = capsys
        self.lines: list[str] = []
        self.errors = ""

    def write_password(self, data: bytes) -> None:
        self._password.write_bytes(data)

    def __call__(self, *options: str) -> int:
        status = main([str(self.capture), "--password-file", str(self._password), *options])
        said = self._capsys.readouterr()
        self.lines, self.errors = said.out.splitlines(), said.err
        assert "Traceback" not in said.out + said.err
        return status

    @property
    def totals(self) -> str:
        return self.lines[-1]


def write(path: Path, packets: list[Any], **options: Any) -> None:
    wrpcap(str(path), packets, **options)
