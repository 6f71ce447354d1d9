"""Key, nonce and box against upstream's vectors."""

from __future__ import annotations

import struct
from importlib.util import find_spec

import pytest
from nacl.bindings import crypto_secretbox

from mlvpnd.protocol.wire.box import KEY_SIZE, Box, derive_key
from mlvpnd.protocol.wire.constants import HEADER_SIZE, MAC_SIZE
from tests.support.vectors import KEYS, PASSWORD, VECTORS, Vector

BOXED = [vector for vector in VECTORS if not vector.cleartext]
each_box = pytest.mark.parametrize("vector", BOXED, ids=lambda vector: vector.name)


@pytest.fixture(autouse=True, params=["kept buffers", "PyNaCl's own"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A way to call libsodium. The second is for a PyNaCl that lacks what the first calls."""
    assert find_spec("nacl._sodium"), "it is found in what Debian has"
    if request.param != "kept buffers":
        monkeypatch.setattr("mlvpnd.protocol.wire.box.lib", None)


@pytest.mark.parametrize("password", KEYS)
def test_key(password: bytes) -> None:
    assert derive_key(password) == KEYS[password]


@each_box
def test_seals_as_upstream(vector: Vector) -> None:
    sealed = Box(derive_key(PASSWORD)).seal(vector.plaintext, vector.flow_id, vector.seq)
    assert sealed == vector.datagram[HEADER_SIZE:]
    assert len(sealed) == len(vector.plaintext) + MAC_SIZE


@each_box
def test_opens_upstream(vector: Vector) -> None:
    box = Box(derive_key(PASSWORD))
    assert box.open(vector.datagram[HEADER_SIZE:], vector.flow_id, vector.seq) == vector.plaintext


@each_box
def test_other_numbers_or_another_key_do_not_open(vector: Vector) -> None:
    payload = vector.datagram[HEADER_SIZE:]
    assert Box(derive_key(PASSWORD)).open(payload, vector.flow_id ^ 1, vector.seq) is None
    assert Box(derive_key(PASSWORD)).open(payload, vector.flow_id, vector.seq ^ 1) is None
    assert Box(derive_key(b"x")).open(payload, vector.flow_id, vector.seq) is None


@each_box
def test_no_bit_may_change(vector: Vector) -> None:
    box = Box(derive_key(PASSWORD))
    payload = vector.datagram[HEADER_SIZE:]
    for place in range(len(payload)):
        changed = bytearray(payload)
        changed[place] ^= 1
        assert box.open(bytes(changed), vector.flow_id, vector.seq) is None


def test_each_size_as_libsodium() -> None:
    """The native twin composes the box from the parts of libsodium, in pieces."""
    box = Box(derive_key(PASSWORD))
    for size in (*range(1600), *range(2000, 2100), 4096, 9000, 65000):
        plaintext = bytes(octet % 251 for octet in range(size))
        sealed = crypto_secretbox(plaintext, struct.pack("<QI12x", 7, 9), box.key)
        assert box.seal(plaintext, 9, 7) == sealed
        assert box.open(sealed, 9, 7) == plaintext
        assert box.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), 9, 7) is None


@pytest.mark.parametrize("size", [0, 1, MAC_SIZE - 1])
def test_less_than_a_mac(size: int) -> None:
    assert Box(derive_key(PASSWORD)).open(bytes(size), 0, 0) is None


@pytest.mark.parametrize("size", [0, KEY_SIZE - 1, KEY_SIZE + 1])
def test_a_key_has_its_size(size: int) -> None:
    with pytest.raises(ValueError, match="a key has 32 bytes"):
        Box(bytes(size))


def test_one_packet_leaves_nothing_in_the_next() -> None:
    """The buffers are kept: a short packet after a long one, and sealing after opening."""
    box, long, short = Box(derive_key(PASSWORD)), bytes(range(256)) * 255, b"short"
    sealed = {plaintext: Box(derive_key(PASSWORD)).seal(plaintext, 1, 2) for plaintext in (long, short)}
    for plaintext in (long, short, b"", long, short):
        if plaintext in sealed:
            assert box.open(sealed[plaintext], 1, 2) == plaintext
            assert box.seal(plaintext, 1, 2) == sealed[plaintext]
        assert box.open(bytes(40), 1, 2) is None
        assert len(box.seal(plaintext, 3, 4)) == len(plaintext) + MAC_SIZE
