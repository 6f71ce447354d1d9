"""Internet checksums, on both twins."""

from __future__ import annotations

import pytest

from mlvpnd.offload.checksum import checksum, ipv4_checksum, ones_sum, pseudo_sum


def test_the_example_of_rfc_1071() -> None:
    data = bytes.fromhex("0001f203f4f5f6f7")
    assert ones_sum(data) == 0xDDF2
    assert checksum(data) == 0x220D


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 1348, 65535])
def test_any_length(size: int) -> None:
    data = bytes(number * 7 + 3 & 0xFF for number in range(size))
    words = [int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, size, 2)]
    assert ones_sum(data) == sum(words) % 65535
    assert checksum(data, 12345) == -(sum(words) + 12345) % 65535


def test_carries_come_in_again() -> None:
    assert ones_sum(b"\xff" * 640) == 0
    assert ones_sum(b"\xff" * 640 + b"\x00\x01") == 1
    assert checksum(b"\xff" * 64) == 0


def test_an_ipv4_header_of_a_capture() -> None:
    header = bytes.fromhex("4500003c1c4640004006b1e6ac100a63ac100a0c")
    assert ipv4_checksum(header) == 0xB1E6
    assert ones_sum(header) == 0
    assert ipv4_checksum(header + b"\x01\x01\x01\x00") == checksum(header[:10] + header[12:] + b"\x01\x01\x01\x00")


def test_pseudo_headers() -> None:
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2])
    assert pseudo_sum(addresses, 6, 20) == ones_sum(addresses + b"\x00\x06\x00\x14")
    addresses = bytes(range(32))
    assert pseudo_sum(addresses, 17, 70000) == ones_sum(addresses + (70000).to_bytes(4, "big") + b"\x00\x00\x00\x11")
