"""Captures that are whole, cut off or hostile."""

from __future__ import annotations

import contextlib
import logging
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap, wrpcapng

from mlvpnd import scapy_layer
from mlvpnd.capture.decoder import Decoder
from mlvpnd.capture.reader import DamagedError, read_capture
from tests.support.captures import Decoding, conversation, write
from tests.support.example_packets import KEY


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
    decoder = Decoder(KEY, ports=frozenset(), cleartext=False, tap=False, show=True)
    with contextlib.suppress(DamagedError):
        for packet in read_capture(str(path)):
            list(decoder.lines(packet))
