"""The Internet checksum (RFC 1071): of bytes, of an IPv4 header, and with the pseudo headers of TCP and UDP.

Ones' complement addition of 16-bit words is addition modulo 65535, where 0 and 65535 are the same. So a sum is kept as
a number from 0 to 65534. A checksum is 65535 only if the caller makes it so (for UDP, where 0 means "none").
"""

from __future__ import annotations

_MODULUS = 0xFFFF


def ones_sum(data: bytes) -> int:
    """The sum of the big-endian words in `data`, 0 to 65534. An odd last byte is a word's upper half."""
    number = int.from_bytes(data, "big")
    return (number << 8 if len(data) & 1 else number) % _MODULUS


def checksum(data: bytes, start: int = 0) -> int:
    """The checksum over `data` and a sum so far, 0 to 65534."""
    rest = (start + ones_sum(data)) % _MODULUS
    return _MODULUS - rest if rest else 0


def pseudo_sum(addresses: bytes, protocol: int, length: int) -> int:
    """The sum of a pseudo header (RFC 9293 §3.1, RFC 8200 §8.1).

    `addresses` are both addresses as in the IP header; `length` is the segment's, below 2^32 bytes.
    """
    return (ones_sum(addresses) + protocol + length) % _MODULUS


def ipv4_checksum(header: bytes) -> int:
    """The checksum of an IPv4 header of at least 20 bytes; the checksum field's value does not matter."""
    return checksum(header[:10] + b"\0\0" + header[12:])
