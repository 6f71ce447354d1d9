"""The daemon's codec against the scapy layer, written apart. One opens what the other builds, field by field."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.packet import Packet

from mlvpnd import scapy_layer
from mlvpnd.protocol.wire.box import Box, derive_key
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import Header, PacketType, pack, parse
from mlvpnd.scapy_layer import MLVPN
from tests.support.vectors import KEYS, PASSWORD, VECTORS, Vector

KEY = derive_key(b"secret")

stamps = st.integers(0, 0xFFFF)
counters = st.integers(0, 2**64 - 1)
flow_ids = st.integers(0, 2**32 - 1)
headers = st.builds(
    Header,
    length=st.just(0),  # the test sets it
    type=st.sampled_from(PacketType).map(int),
    reorder=st.booleans(),
    timestamp=stamps,
    timestamp_reply=stamps,
    flow_id=flow_ids,
    seq=counters,
    data_seq=counters,
)


def header_of(packet: Packet) -> Header:
    """The same fields as in scapy's packet."""
    return Header(
        length=packet.len,
        type=packet.type,
        reorder=bool(packet.reorder),
        timestamp=packet.timestamp,
        timestamp_reply=packet.timestamp_reply,
        flow_id=packet.flow_id,
        seq=packet.seq,
        data_seq=packet.data_seq,
    )


def layer_of(header: Header) -> Packet:
    """The same fields, for scapy to build. Scapy computes `len`."""
    packet = MLVPN()
    for name, value in header._asdict().items():
        if name != "length":
            packet.setfieldval(name, int(value))
    return packet


@given(password=st.binary(max_size=100))
@example(password=b"")
def test_keys_are_equal(password: bytes) -> None:
    assert derive_key(password) == scapy_layer.derive_key(password)


@given(header=headers, payload=st.binary(max_size=1456), clear=st.booleans())
def test_built_by_the_daemon_opens_in_scapy(header: Header, payload: bytes, clear: bool) -> None:
    body = payload if clear else Box(KEY).seal(payload, header.flow_id, header.seq)
    header = header._replace(length=len(body), type=int(PacketType.DATA) if clear else header.type)
    packet = MLVPN(pack(header) + body)
    assert header_of(packet) == header
    assert (packet.version, packet.unused) == (1, 0)
    assert scapy_layer.plaintext(packet, KEY, cleartext=clear) == payload


@given(header=headers, payload=st.binary(min_size=1, max_size=1456), clear=st.booleans())
def test_built_by_scapy_opens_in_the_daemon(header: Header, payload: bytes, clear: bool) -> None:
    datagram = bytes(scapy_layer.seal(layer_of(header) / payload, KEY, cleartext=clear))
    parsed = parse(datagram)
    assert isinstance(parsed, Header)
    assert parsed == header._replace(length=len(datagram) - HEADER_SIZE)
    body = datagram[HEADER_SIZE:]
    if clear and header.type == PacketType.DATA:
        assert body == payload
    else:
        assert Box(KEY).open(body, header.flow_id, header.seq) == payload


@given(header=headers, payload=st.binary(max_size=200))
def test_both_build_the_same_bytes(header: Header, payload: bytes) -> None:
    body = Box(KEY).seal(payload, header.flow_id, header.seq)
    ours = pack(header._replace(length=len(body))) + body
    assert ours == bytes(scapy_layer.seal(layer_of(header) / payload, KEY))


@given(data=st.binary(max_size=120))
@example(data=b"\x00\x01\x31\x04" + bytes(24) + b"x")
@example(data=b"\x00\x01\x31\xfc" + bytes(24) + b"x")  # unused bits set: ignored by both
def test_any_bytes_are_read_alike(data: bytes) -> None:
    parsed, packet = parse(data), MLVPN(data)
    if isinstance(parsed, Header):
        assert header_of(packet) == parsed
        assert packet.version == 1
        return
    body = len(data) - HEADER_SIZE
    wrong = {
        DropReason.EMPTY: not data,
        DropReason.SHORT: body < 0,
        DropReason.BAD_LENGTH: body >= 0 and (packet.len == 0 or packet.len != body),
        DropReason.BAD_VERSION: body >= 0 and packet.version != 1,
        DropReason.UNKNOWN_TYPE: body >= 0 and packet.type not in scapy_layer.TYPES,
    }
    assert wrong[parsed]


@given(box=st.binary(max_size=100), flow_id=flow_ids, seq=counters, flip=st.integers(0, 10**6))
def test_what_one_refuses_the_other_refuses(box: bytes, flow_id: int, seq: int, flip: int) -> None:
    sealed = bytearray(Box(KEY).seal(box, flow_id, seq))
    place, bit = divmod(flip % (len(sealed) * 8), 8)
    sealed[place] ^= 1 << bit
    for body in (bytes(sealed), box, bytes(sealed[: MAC_SIZE - 1])):
        assert Box(KEY).open(body, flow_id, seq) is None
        with pytest.raises(scapy_layer.OpenError):
            scapy_layer.plaintext(MLVPN(type=2, flow_id=flow_id, seq=seq) / body, KEY)


@pytest.mark.parametrize("password", KEYS)
def test_upstreams_keys(password: bytes) -> None:
    assert derive_key(password) == KEYS[password]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_upstreams_vectors(vector: Vector) -> None:
    header = parse(vector.datagram)
    assert isinstance(header, Header)
    assert header == header_of(MLVPN(vector.datagram))
    body = vector.datagram[HEADER_SIZE:]
    assert pack(header) == vector.header
    if vector.cleartext:
        assert body == vector.plaintext
    else:
        box = Box(derive_key(PASSWORD))
        assert box.open(body, vector.flow_id, vector.seq) == vector.plaintext
        assert box.seal(vector.plaintext, vector.flow_id, vector.seq) == body
