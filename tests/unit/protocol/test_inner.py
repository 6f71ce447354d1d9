"""What counts as a packet."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.inner import packet_from
from tests.support.session_pair import frame_of, packet_of

IPV4 = packet_of(7)
IPV6 = b"\x60\x00\x00\x00" + (12).to_bytes(2, "big") + b"\x3b\x40" + bytes(32) + b"twelve bytes"


@pytest.mark.parametrize("packet", [IPV4, IPV6, b"\x45\x00\x00\x14" + bytes(16), b"\x60" + bytes(39)])
def test_a_packet_is_itself(packet: bytes) -> None:
    assert packet_from(packet, layer2=False) == packet


@pytest.mark.parametrize("packet", [IPV4, IPV6])
def test_the_tail_of_bsd_peers_is_cut(packet: bytes) -> None:
    assert packet_from(packet + b"tail", layer2=False) == packet


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"AU",
        b"OK",
        b"\x45",
        IPV4[:19],
        IPV4[:-1],
        IPV6[:39],
        IPV6[:-1],
        b"\x45\x00\x00\x13" + bytes(20),
        b"\x45\x00\x00\x00" + bytes(20),
        b"\x55" + IPV4[1:],
        b"\x00\x00\x00\x02" + IPV4,
    ],
)
def test_no_packet(plaintext: bytes) -> None:
    assert packet_from(plaintext, layer2=False) is None


def test_a_frame_has_at_least_its_header() -> None:
    assert packet_from(frame_of(1), layer2=True) == frame_of(1)
    assert packet_from(bytes(14), layer2=True) == bytes(14)
    assert packet_from(bytes(13), layer2=True) is None
    assert packet_from(b"", layer2=True) is None
