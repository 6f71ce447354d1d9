"""The scapy layer's decoder of captures."""

from __future__ import annotations

import contextlib
import logging
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import CookedLinux
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap, wrpcapng

from mlvpnd import scapy_layer
from mlvpnd.scapy_layer import AUTH, AUTH_OK, DATA, DISCONNECT, KEEPALIVE, MLVPN, seal, split_segments
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
        status = scapy_layer.main(["decode", str(self.capture), "--password-file", str(self._password), *options])
        said = self._capsys.readouterr()
        self.lines, self.errors = said.out.splitlines(), said.err
        assert "Traceback" not in said.out + said.err
        return status

    @property
    def totals(self) -> str:
        return self.lines[-1]


@pytest.fixture
def decoding(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Decoding:
    monkeypatch.setenv("TZ", "UTC")
    return Decoding(tmp_path, capsys)


def write(path: Path, packets: list[Any], **options: Any) -> None:
    wrpcap(str(path), packets, **options)


def test_decode_boxed(decoding: Decoding) -> None:
    write(decoding.capture, conversation())
    assert decoding() == 0
    assert decoding.errors == ""
    stamp = r"2026-11-22 \d\d:41:07\.\d{6}"
    assert re.fullmatch(
        stamp + re.escape(
            " 192.0.2.1:40000 > 192.0.2.2:5080 AUTH seq 0 data_seq 0 reorder 1 timestamp 100 reply - flow 0x00000001"
            " length 46 opened AU"
        ),
        decoding.lines[0],
    )  # fmt: skip
    said = [line.split(" ", 2)[2] for line in decoding.lines[1:6]]
    assert said == [
        "192.0.2.2:5080 > 192.0.2.1:40000 AUTH_OK seq 0 data_seq 0 reorder 1 timestamp 200 reply 101"
        " flow 0x00000002 length 46 opened OK",
        "192.0.2.1:40000 > 192.0.2.2:5080 KEEPALIVE seq 1 data_seq 0 reorder 1 timestamp 0 reply -"
        " flow 0x00000001 length 44 opened (empty)",
        "192.0.2.1:40000 > 192.0.2.2:5080 DATA seq 2 data_seq 7 reorder 1 timestamp 0 reply -"
        " flow 0x00000001 length 72 opened IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0",
        "192.0.2.2:5080 > 192.0.2.1:40000 DATA seq 1 data_seq 3 reorder 0 timestamp 0 reply -"
        " flow 0x00000002 length 97 opened IPv6 / UDP fd00::1:echo > fd00::2:discard / Raw",
        "192.0.2.1:40000 > 192.0.2.2:5080 DISCONNECT seq 3 data_seq 0 reorder 1 timestamp 0 reply -"
        " flow 0x00000001 length 44 opened (empty)",
    ]
    assert decoding.totals == (
        "6 MLVPN datagrams: 1 AUTH, 1 AUTH_OK, 2 DATA, 1 DISCONNECT, 1 KEEPALIVE; 6 opened, 0 not opened;"
        " 0 IP fragments, not read; 0 other packets"
    )


def test_decode_clear(decoding: Decoding) -> None:
    write(decoding.capture, conversation(cleartext=True))
    assert decoding("--cleartext") == 0
    assert decoding.lines[3].endswith("length 56 clear IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0")
    assert "6 opened, 0 not opened" in decoding.totals
    assert decoding() == 0
    assert decoding.lines[3].endswith("length 56 not opened: box does not open")
    assert "4 opened, 2 not opened" in decoding.totals


def test_decode_tap(decoding: Decoding) -> None:
    write(decoding.capture, [ETHER / IP() / UDP() / seal(MLVPN() / (ETHER / IP(PING)), KEY)])
    assert decoding("--tap") == 0
    assert decoding.lines[0].endswith("opened Ether / IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0")


def test_decode_wrong_password(decoding: Decoding) -> None:
    write(decoding.capture, conversation())
    decoding.write_password(b"wrong\n")
    assert decoding() == 1
    assert all(line.endswith("not opened: box does not open") for line in decoding.lines[:6])
    assert "0 opened, 6 not opened" in decoding.totals
    assert decoding.errors == "mlvpnd.scapy_layer: nothing opened: is the password right?\n"


def test_decode_ipv6_outside(decoding: Decoding) -> None:
    write(decoding.capture, conversation(ip6=True))
    assert decoding() == 0
    assert " [2001:db8::1]:40000 > [2001:db8::2]:5080 AUTH " in decoding.lines[0]
    assert "6 opened" in decoding.totals


@pytest.mark.parametrize(
    "below", [CookedLinux() / IP(), ETHER / PPPoE() / PPP() / IP(), IP()], ids=["any", "pppoe", "raw"]
)
def test_decode_links_other_than_ethernet(decoding: Decoding, below: Packet) -> None:
    write(decoding.capture, [below / UDP() / seal(MLVPN() / PING, KEY)])
    assert decoding() == 0
    assert "1 opened" in decoding.totals


def test_decode_pcapng(decoding: Decoding) -> None:
    wrpcapng(str(decoding.capture), conversation())
    assert decoding() == 0
    assert "6 opened" in decoding.totals


def test_decode_shows_fields(decoding: Decoding) -> None:
    write(decoding.capture, conversation()[3:4])
    assert decoding("--show") == 0
    assert any(re.fullmatch(r" +data_seq *= 7", line) for line in decoding.lines)
    assert any("echo-request" in line for line in decoding.lines[1:])


def test_decode_segmentation_offload(decoding: Decoding) -> None:
    datagrams = [bytes(seal(MLVPN(seq=n, data_seq=n) / PING, KEY)) for n in range(5)]
    datagrams.append(bytes(seal(MLVPN(type=KEEPALIVE, seq=5), KEY)))
    write(decoding.capture, [ETHER / IP() / UDP() / b"".join(datagrams)])
    assert decoding() == 0
    assert decoding.totals.startswith("6 MLVPN datagrams: 5 DATA, 1 KEEPALIVE; 6 opened")


@pytest.mark.parametrize("form", ["ipv4", "ipv6"])
def test_decode_counts_fragments(decoding: Decoding, form: str) -> None:
    udp = UDP() / seal(MLVPN() / bytes(1432), KEY)
    whole6 = IPv6(src="::1", dst="::2") / IPv6ExtHdrFragment() / udp
    parts = (
        fragment(IP() / udp, fragsize=1480)  # type: ignore[no-untyped-call]  # scapy types it not
        if form == "ipv4"
        else fragment6(whole6, 1500)  # type: ignore[no-untyped-call]  # nor this
    )
    write(decoding.capture, [*(ETHER / part for part in parts), *conversation()])
    assert decoding() == 0
    assert "6 opened, 0 not opened; 2 IP fragments, not read; 0 other packets" in decoding.totals


def test_split_needs_segments_of_one_size() -> None:
    short, long = (bytes(seal(MLVPN() / bytes(size), KEY)) for size in (1, 2))
    assert split_segments(long * 3 + short) == [long, long, long, short]
    for whole in (short + long, long + short + long, short + b"\0", short + bytes(28), b"", bytes(100)):
        assert split_segments(whole) == [whole]


@given(data=st.binary(max_size=200))
def test_split_of_any_bytes_loses_none(data: bytes) -> None:
    assert b"".join(split_segments(data)) == data


def test_decode_port_takes_what_has_no_sane_header(decoding: Decoding) -> None:
    write(
        decoding.capture,
        [
            ETHER / IP() / UDP(sport=1, dport=5080) / b"short",
            ETHER / IP() / UDP(sport=5081, dport=1) / MLVPN(version=9, type=40, len=500),
            ETHER / IP() / UDP(sport=1, dport=2) / seal(MLVPN() / PING, KEY),
            ETHER / IP() / TCP(sport=1, dport=5080),
            *conversation(),
        ],
    )
    assert decoding("--port", "5080", "--port", "5081") == 0
    assert decoding.lines[0].endswith(" malformed length 5 not opened: shorter than a header")
    assert " type-40 version 9 " in decoding.lines[1]
    assert decoding.lines[1].endswith(" length 28 not opened: len says 500, 0 bytes are there")
    assert (
        "1 malformed, 1 type-40; 6 opened, 2 not opened; 0 IP fragments, not read; 2 other packets" in decoding.totals
    )
    assert decoding() == 0
    assert "7 opened, 0 not opened; 0 IP fragments, not read; 3 other packets" in decoding.totals


def test_decode_unexpected_control_payload(decoding: Decoding) -> None:
    flipped = bytearray(bytes(seal(MLVPN(type=DATA) / PING, KEY)))
    flipped[2] = (flipped[2] & 0x0F) | DISCONNECT << 4
    write(decoding.capture, [ETHER / IP() / UDP() / bytes(flipped)])
    assert decoding() == 0
    assert decoding.lines[0].endswith("opened unexpected payload of 28 bytes")


def test_decode_other_protocols(decoding: Decoding) -> None:
    write(decoding.capture, [ETHER / IP() / TCP(), ETHER / IP() / UDP() / b"other", ETHER / b"garbage"])
    assert decoding() == 1
    assert decoding.lines == [
        "0 MLVPN datagrams: none; 0 opened, 0 not opened; 0 IP fragments, not read; 3 other packets"
    ]
    assert decoding.errors == "mlvpnd.scapy_layer: no MLVPN datagram found\n"


def record_ends(capture: bytes, form: str) -> set[int]:
    """The sizes at which a capture can be cut without harm to a record."""
    ends = {24} if form == "pcap" else set()
    at = max(ends, default=0)
    while at < len(capture):
        at += 16 + struct.unpack_from("<I", capture, at + 8)[0] if form == "pcap" else 0
        at += struct.unpack_from("<I", capture, at + 4)[0] if form == "pcapng" else 0
        ends.add(at)
    return ends


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_decode_every_truncation_is_reported(decoding: Decoding, form: str) -> None:
    (wrpcap if form == "pcap" else wrpcapng)(str(decoding.capture), conversation()[:2])
    whole = decoding.capture.read_bytes()
    sound = set()
    for size in range(len(whole) + 1):
        decoding.capture.write_bytes(whole[:size])
        if decoding() == 0 or "no MLVPN datagram found" in decoding.errors:
            sound.add(size)
    assert sound == record_ends(whole, form)


def test_decode_truncated_after_good_packets_prints_them(decoding: Decoding) -> None:
    write(decoding.capture, conversation())
    decoding.capture.write_bytes(decoding.capture.read_bytes()[:-1])
    assert decoding() == 1
    assert decoding.totals.startswith("5 MLVPN datagrams")
    assert decoding.errors.endswith("capture.pcap: the file ends inside a record\n")


def test_decode_names_a_kind_of_link_that_is_unknown(decoding: Decoding) -> None:
    write(decoding.capture, conversation(), linktype=147)
    assert decoding() == 1
    assert "unknown LL type [147]" in decoding.errors


def test_decode_warning_about_a_packet_is_no_damage(decoding: Decoding, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(data: bytes, *, tap: bool) -> Packet:
        logging.getLogger("scapy.runtime").warning("strange packet")
        return Raw(data)

    monkeypatch.setattr(scapy_layer, "inner_packet", warn)
    write(decoding.capture, conversation())
    assert decoding() == 0
    assert decoding.errors == ""
    assert "6 opened" in decoding.totals


def test_decode_hostile_record_length_takes_no_memory(decoding: Decoding) -> None:
    write(decoding.capture, conversation()[:1])
    head = decoding.capture.read_bytes()[:24]
    decoding.capture.write_bytes(head + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + bytes(100))
    assert decoding() == 1
    assert "the file ends inside a record" in decoding.errors


@given(data=st.binary(max_size=300), magic=st.sampled_from([b"", b"\xd4\xc3\xb2\xa1\x02\0\x04\0", b"\n\r\r\n"]))
def test_read_capture_of_any_bytes_ends_in_its_error(tmp_path_factory: Any, data: bytes, magic: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pcap"
    path.write_bytes(magic + data)
    decoder = scapy_layer.Decoder(KEY, ports=frozenset(), cleartext=False, tap=False, show=True)
    with contextlib.suppress(scapy_layer.DamagedError):
        for packet in scapy_layer.read_capture(str(path)):
            list(decoder.lines(packet))


def test_decode_terminal_codes_do_not_reach_the_terminal(decoding: Decoding) -> None:
    write(decoding.capture, [ETHER / IP() / UDP() / seal(MLVPN(type=AUTH) / b"\x1b[2J\n", KEY)])
    assert decoding("--show") == 0
    assert not any(c != "\n" and not c.isprintable() for c in "\n".join(decoding.lines))


def test_decode_names_a_missing_file(decoding: Decoding) -> None:
    assert decoding() == 1
    assert decoding.errors == f"mlvpnd.scapy_layer: {decoding.capture}: No such file or directory\n"


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"\n", "empty"), (b"\nsecret\n", "empty")])
def test_decode_refuses_an_empty_password(decoding: Decoding, content: bytes, reason: str) -> None:
    write(decoding.capture, conversation())
    decoding.write_password(content)
    assert decoding() == 1
    assert reason in decoding.errors
    assert decoding.lines == []


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_decode_refuses_a_port_that_is_none(decoding: Decoding, port: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        decoding("--port", port)
    assert exit_.value.code == 2


def test_runs_as_a_module_and_survives_a_closed_pipe(decoding: Decoding, tmp_path: Path) -> None:
    write(decoding.capture, conversation() * 200)
    command = [sys.executable, "-m", "mlvpnd.scapy_layer", "decode", str(decoding.capture), "--password-file"]
    with subprocess.Popen(
        [*command, str(tmp_path / "password")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b" AUTH seq 0 " in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1
