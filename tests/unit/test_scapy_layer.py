"""The scapy layer: fields and boxes; its decoder is in test_scapy_layer_decode.py."""

from __future__ import annotations

import ast
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from mlvpnd import scapy_layer
from mlvpnd.scapy_layer import (
    AUTH,
    DATA,
    HEADER_SIZE,
    KEEPALIVE,
    MLVPN,
    PLAINTEXTS,
    MLVPNBox,
    OpenError,
    derive_key,
    inner_packet,
    open_,
    plaintext,
    seal,
)
from tests.support.example_packets import ETHER, KEY, PING, PING6

header_fields = st.fixed_dictionaries(
    {
        "unused": st.integers(0, 31),
        "reorder": st.integers(0, 1),
        "type": st.integers(0, 63),
        "version": st.integers(0, 15),
        "timestamp": st.integers(0, 0xFFFF),
        "timestamp_reply": st.integers(0, 0xFFFF),
        "flow_id": st.integers(0, 2**32 - 1),
        "seq": st.integers(0, 2**64 - 1),
        "data_seq": st.integers(0, 2**64 - 1),
    }
)


# The layer stands alone.


def test_imports_nothing_of_mlvpnd() -> None:
    tree = ast.parse(Path(scapy_layer.__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not [name.name for name in node.names if name.name.split(".")[0] == "mlvpnd"]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module is not None
            assert node.module.split(".")[0] != "mlvpnd"


def test_loads_nothing_of_mlvpnd() -> None:
    code = "import sys, mlvpnd.scapy_layer; print(sorted(name for name in sys.modules if name.startswith('mlvpnd')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['mlvpnd', 'mlvpnd.scapy_layer']"


# Header.


@given(fields=header_fields, payload=st.binary(max_size=64))
def test_built_is_dissected_equal(fields: dict[str, Any], payload: bytes) -> None:
    datagram = bytes(MLVPN(**fields) / payload)
    packet = MLVPN(datagram)
    assert {name: getattr(packet, name) for name in fields} == fields
    assert packet.len == len(payload) == len(datagram) - HEADER_SIZE
    assert bytes(packet.payload) == payload


@given(data=st.binary(max_size=200))
def test_any_bytes_dissect_and_build_again(data: bytes) -> None:
    packet = MLVPN(data)
    packet.clear_cache()
    assert bytes(packet) == data


@given(fields=header_fields)
def test_word_is_little_endian(fields: dict[str, Any]) -> None:
    datagram = bytes(MLVPN(**fields))
    (word,) = struct.unpack("<H", datagram[2:4])
    assert word == fields["version"] | fields["type"] << 4 | fields["reorder"] << 10 | fields["unused"] << 11


def test_defaults_are_what_upstream_sends() -> None:
    assert bytes(MLVPN()) == bytes.fromhex("00003104 0000ffff 00000000 0000000000000000 0000000000000000")


def test_type_by_name() -> None:
    assert [MLVPN(type=name).type for name in ("AUTH", "AUTH_OK", "KEEPALIVE", "DATA", "DISCONNECT")] == [0, 1, 2, 3, 4]


def test_bytes_after_len_are_padding() -> None:
    packet = MLVPN(bytes(MLVPN(len=3, type=DATA)) + b"abcdef")
    assert bytes(packet.payload.load) == b"abc"
    assert packet.payload.payload.name == "Padding"


def test_control_payload_is_dissected_as_a_box() -> None:
    packet = MLVPN(bytes(seal(MLVPN(type=AUTH) / PLAINTEXTS[AUTH], KEY)))
    assert isinstance(packet.payload, MLVPNBox)
    assert len(packet.payload.mac) == 16
    assert len(packet.payload.ciphertext) == 2


def test_rides_on_udp() -> None:
    sealed = seal(MLVPN(type=KEEPALIVE, seq=9, flow_id=1), KEY)
    udp = UDP(bytes(UDP(sport=5080, dport=5080) / sealed))
    assert MLVPN(bytes(udp.payload)).summary() == "MLVPN KEEPALIVE seq 9 flow 0x1 / MLVPNBox"


# Box.


@given(fields=header_fields, data=st.binary(max_size=100), cleartext=st.booleans())
def test_sealed_opens_again(fields: dict[str, Any], data: bytes, cleartext: bool) -> None:
    received = MLVPN(bytes(seal(MLVPN(**fields) / data, KEY, cleartext=cleartext)))
    clear = cleartext and fields["type"] == DATA
    assert received.len == len(data) + (0 if clear else 16)
    assert plaintext(received, KEY, cleartext=cleartext) == data


@given(data=st.binary(max_size=200), cleartext=st.booleans(), tap=st.booleans())
def test_any_bytes_open_or_say_why(data: bytes, cleartext: bool, tap: bool) -> None:
    try:
        opened = open_(MLVPN(data), KEY, cleartext=cleartext, tap=tap)
    except OpenError:
        return
    assert cleartext
    assert opened.type == DATA


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "shorter than a header"),
        (bytes(27), "shorter than a header"),
        (bytes(MLVPN(len=17, type=KEEPALIVE)) + bytes(16), "len says 17, 16 bytes are there"),
        (bytes(MLVPN(type=KEEPALIVE) / bytes(15)), "shorter than a MAC"),
        (bytes(MLVPN(type=KEEPALIVE) / bytes(16)), "box does not open"),
        (bytes(seal(MLVPN(type=KEEPALIVE), derive_key(b"other"))), "box does not open"),
    ],
)
def test_reasons(datagram: bytes, reason: str) -> None:
    with pytest.raises(OpenError, match=re.escape(reason)):
        open_(MLVPN(datagram), KEY)


def test_clear_data_does_not_open_as_a_box_nor_control_in_clear() -> None:
    clear = MLVPN(bytes(seal(MLVPN(type=DATA) / PING, KEY, cleartext=True)))
    with pytest.raises(OpenError):
        open_(clear, KEY)
    assert open_(clear, KEY, cleartext=True)[IP].dst == "10.42.43.2"
    control = MLVPN(bytes(seal(MLVPN(type=AUTH) / b"AU", KEY, cleartext=True)))
    assert plaintext(control, KEY) == b"AU"


@pytest.mark.parametrize(
    ("data", "tap", "layer"),
    [
        (PING, False, IP),
        (PING6, False, IPv6),
        (bytes(ETHER / IP(PING)), True, Ether),
        (PING + bytes(4), False, IP),  # what upstream on a BSD appends
        (b"", False, Raw),
        (b"", True, Raw),
        (b"\x45", False, Raw),
        (b"\x60\x00", False, Raw),
        (b"\x00" * 40, False, Raw),
    ],
)
def test_inner_packet(data: bytes, tap: bool, layer: type[Packet]) -> None:
    packet = inner_packet(data, tap=tap)
    assert type(packet) is layer
    assert bytes(packet) == data
