"""The secretbox of protocol v1: XSalsa20-Poly1305 under one key for all links and both directions.

key    BLAKE2b-256 of the password, without key, salt or personalisation
nonce  seq (8 bytes little-endian), flow_id (4 bytes little-endian), 12 zero bytes
box    MAC (16 bytes), then the ciphertext
"""

from __future__ import annotations

import hashlib
import struct

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from .constants import MAC_SIZE

_NONCE = struct.Struct("<QI12x")
KEY_SIZE = 32


def derive_key(password: bytes) -> bytes:
    """The key of a password: the bytes that the configuration gives, without terminator."""
    return hashlib.blake2b(password, digest_size=KEY_SIZE).digest()


class Box:
    """Seals and opens payloads under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
        self.key = key

    def seal(self, plaintext: bytes, flow_id: int, seq: int) -> bytes:
        """MAC and ciphertext, `MAC_SIZE` bytes longer than the plaintext."""
        return crypto_secretbox(plaintext, _NONCE.pack(seq, flow_id), self.key)

    def open(self, box: bytes, flow_id: int, seq: int) -> bytes | None:
        """The plaintext, or None if the box is not authentic."""
        if len(box) < MAC_SIZE:
            return None
        try:
            return crypto_secretbox_open(box, _NONCE.pack(seq, flow_id), self.key)
        except CryptoError:
            return None
