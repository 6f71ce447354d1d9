"""Any header survives the wire, and any bytes give a header or a reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.protocol.wire import wire
from mlvpnd.protocol.wire.box import Box
from mlvpnd.protocol.wire.constants import HEADER_SIZE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import Header, PacketType

U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
HEADERS = st.builds(Header, st.integers(1, 0xFFFF), st.sampled_from(PacketType), st.booleans(), U16, U16, U32, U64, U64)


@given(HEADERS)
def test_a_header_survives(header: Header) -> None:
    assert wire.parse(wire.pack(header) + bytes(header.length)) == header


@given(st.binary(max_size=200))
def test_any_bytes(datagram: bytes) -> None:
    assert isinstance(wire.parse(datagram), Header | DropReason)


@given(HEADERS.map(lambda header: header._replace(length=8)), st.integers(0, 27), st.integers(0, 255))
def test_a_changed_byte_changes_the_header_or_is_refused_or_was_unused(header: Header, place: int, value: int) -> None:
    datagram = bytearray(wire.pack(header) + bytes(8))
    changed = datagram[place] != value
    datagram[place] = value
    parsed = wire.parse(bytes(datagram))
    if isinstance(parsed, DropReason):
        assert place < 4
    elif place != 3:
        assert (parsed != header) is changed
    if isinstance(parsed, Header):
        assert wire.parse(wire.pack(parsed) + bytes(8)) == parsed


@given(st.binary(max_size=100), U32, U64, st.binary(min_size=32, max_size=32))
def test_what_is_sealed_opens(plaintext: bytes, flow_id: int, seq: int, key: bytes) -> None:
    box = Box(key)
    assert box.open(box.seal(plaintext, flow_id, seq), flow_id, seq) == plaintext


@given(st.binary(max_size=100), U32, U64)
def test_any_bytes_open_to_nothing(payload: bytes, flow_id: int, seq: int) -> None:
    assert Box(bytes(32)).open(payload, flow_id, seq) is None


def test_the_header_is_all_there_is() -> None:
    assert len(wire.pack(Header(1, PacketType.DATA, True, 0, 0, 0, 0, 0))) == HEADER_SIZE
