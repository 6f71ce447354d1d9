"""The scapy layer against C MLVPN's own datagrams."""

from __future__ import annotations

import pytest

from mlvpnd.scapy_layer import MLVPN, OpenError, derive_key, nonce, open_, plaintext, seal
from tests.support.vectors import KEYS, PASSWORD, VECTORS, Vector

HEADER_FIELDS = ("version", "type", "reorder", "timestamp", "timestamp_reply", "flow_id", "seq", "data_seq")

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


def test_all_six_are_there() -> None:
    assert [vector.name[:2] for vector in VECTORS] == ["V1", "V2", "V3", "V4", "V5", "V6"]
    assert len(KEYS) == 3


@pytest.mark.parametrize("password", KEYS)
def test_key(password: bytes) -> None:
    assert derive_key(password) == KEYS[password]


@each_vector
def test_nonce(vector: Vector) -> None:
    assert nonce(vector.seq, vector.flow_id) == vector.nonce


@each_vector
def test_builds(vector: Vector) -> None:
    fields = {name: getattr(vector, name) for name in HEADER_FIELDS}
    sealed = seal(MLVPN(**fields) / vector.plaintext, derive_key(PASSWORD), cleartext=vector.cleartext)
    assert bytes(sealed) == vector.datagram


@each_vector
def test_dissects(vector: Vector) -> None:
    packet = MLVPN(vector.datagram)
    assert {name: getattr(packet, name) for name in HEADER_FIELDS} == {
        name: getattr(vector, name) for name in HEADER_FIELDS
    }
    assert packet.len == len(vector.datagram) - 28
    assert packet.unused == 0
    assert bytes(packet)[:28] == vector.header


@each_vector
def test_opens(vector: Vector) -> None:
    packet = MLVPN(vector.datagram)
    assert plaintext(packet, derive_key(PASSWORD), cleartext=vector.cleartext) == vector.plaintext
    opened = open_(packet, derive_key(PASSWORD), cleartext=vector.cleartext)
    assert bytes(opened.payload) == vector.plaintext
    if vector.type == 3:
        assert opened.summary() == "MLVPN / IP / ICMP 10.42.43.1 > 10.42.43.2 echo-request 0 / Raw"


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.cleartext], ids=lambda vector: vector.name)
@pytest.mark.parametrize("name", ["flow_id", "seq"])
def test_box_is_bound_to_the_numbers_of_its_nonce(vector: Vector, name: str) -> None:
    packet = MLVPN(vector.datagram)
    setattr(packet, name, getattr(packet, name) ^ 1)
    with pytest.raises(OpenError, match="box does not open"):
        open_(packet, derive_key(PASSWORD))


@each_vector
def test_every_changed_payload_bit_is_noticed_or_seen(vector: Vector) -> None:
    for place in range(28, len(vector.datagram)):
        changed = bytearray(vector.datagram)
        changed[place] ^= 0x80
        packet = MLVPN(bytes(changed))
        if vector.cleartext:
            assert plaintext(packet, derive_key(PASSWORD), cleartext=True) != vector.plaintext
        else:
            with pytest.raises(OpenError):
                plaintext(packet, derive_key(PASSWORD))
