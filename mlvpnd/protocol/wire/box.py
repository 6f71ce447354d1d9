"""The secretbox of protocol v1: XSalsa20-Poly1305 under one key for all links and both directions.

key    BLAKE2b-256 of the password, without key, salt or personalisation
nonce  seq (8 bytes little-endian), flow_id (4 bytes little-endian), 12 zero bytes
box    MAC (16 bytes), then the ciphertext

libsodium is called with buffers that are kept: PyNaCl's own function makes two objects and three copies of each packet,
which take as long as the cipher. libsodium has a private name in PyNaCl. Where it is not found, PyNaCl's function is
used.
"""

from __future__ import annotations

import hashlib
import struct

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from .constants import MAC_SIZE

try:
    from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # it has no types
except ImportError:
    ffi = lib = None

_NONCE = struct.Struct("<QI12x")
KEY_SIZE = 32
_PLAIN_AT = 32
"""Bytes of zeros that crypto_secretbox wants in front of a plaintext: NaCl's own interface."""
_BOX_AT = 16
"""Bytes of zeros that crypto_secretbox leaves in front of a box."""
_BUFFER_SIZE = _PLAIN_AT + (1 << 16)
"""Bytes: room for the largest payload of a datagram, and more."""


def derive_key(password: bytes) -> bytes:
    """The key of a password, which is the bytes that the configuration gives, without terminator."""
    return hashlib.blake2b(password, digest_size=KEY_SIZE).digest()


class Box:
    """Seals and opens payloads under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
        self._key = key
        if lib is None:
            return
        # Two buffers that are read, whose zeros in front stay, and one that is written.
        self._plain, self._box, made = bytearray(_BUFFER_SIZE), bytearray(_BUFFER_SIZE), bytearray(_BUFFER_SIZE)
        self._plain_at, self._box_at, self._made_at = map(ffi.from_buffer, (self._plain, self._box, made))
        self._made = memoryview(made)

    @property
    def key(self) -> bytes:
        """The key, of `KEY_SIZE` bytes."""
        return self._key

    def seal(self, plaintext: bytes, flow_id: int, seq: int) -> bytes:
        """MAC and ciphertext, `MAC_SIZE` bytes longer than the plaintext, which is at most 65536 bytes long."""
        if lib is None:
            return crypto_secretbox(plaintext, _NONCE.pack(seq, flow_id), self.key)
        end = _PLAIN_AT + len(plaintext)
        self._plain[_PLAIN_AT:end] = plaintext
        lib.crypto_secretbox(self._made_at, self._plain_at, end, _NONCE.pack(seq, flow_id), self.key)
        return self._made[_BOX_AT:end].tobytes()

    def open(self, box: bytes, flow_id: int, seq: int) -> bytes | None:
        """The plaintext, or None if the box is not authentic."""
        if len(box) < MAC_SIZE:
            return None
        if lib is None:
            try:
                return crypto_secretbox_open(box, _NONCE.pack(seq, flow_id), self.key)
            except CryptoError:
                return None
        end = _BOX_AT + len(box)
        self._box[_BOX_AT:end] = box
        if lib.crypto_secretbox_open(self._made_at, self._box_at, end, _NONCE.pack(seq, flow_id), self.key):
            return None
        return self._made[_PLAIN_AT:end].tobytes()
