"""What a filter sees of the pieces of a datagram, and what is remembered of the first piece."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.sending.fragments import LIFETIME, REMEMBERED, FragmentTable, piece_of
from tests.support.inner_packets import frame, ipv4, ipv6, tcp, udp
from tests.support.pieces import FRAGMENT, OTHER, SIP, extended, framed, pieces

UDP = 17


def test_an_ordinary_packet_is_none() -> None:
    for packet in (ipv4(UDP, udp(b"x")), ipv6(UDP, udp(b"x")), ipv4(6, tcp()), b"", b"\x45", ipv4(UDP, b"")[:19]):
        assert piece_of(packet, layer2=False) is None
        assert piece_of(frame(0x0800, packet), layer2=True) is None
    assert piece_of(framed(pieces(4))[0][:14], layer2=True) is None
    assert piece_of(frame(0x0806, pieces(4)[0]), layer2=True) is None


@pytest.mark.parametrize("tags", [None, (), (0x8100,)])
def test_what_has_no_whole_header_is_none(tags: tuple[int, ...] | None) -> None:
    for packet in pieces(4):
        short = b"\x44" + packet[1:]
        found = piece_of(short if tags is None else framed([short], *tags)[0], layer2=tags is not None)
        assert found is None


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tags", [None, (), (0x8100,)])
def test_all_fragments_of_a_datagram_have_one_name(version: int, tags: tuple[int, ...] | None) -> None:
    def names(**changes: object) -> list[tuple[bytes, bool]]:
        packets = pieces(version, **changes)  # type: ignore[arg-type]
        packets = packets if tags is None else framed(packets, *tags)
        found = [piece_of(packet, layer2=tags is not None) for packet in packets]
        return [(one[1], one[2]) for one in found if one is not None]

    first, *later = names()
    assert first[1] is True
    assert later == [(first[0], False)] * 2
    assert names(ports=OTHER)[0] == first
    assert names(ident=8)[0] != first
    assert names(source="10.42.0.9" if version == 4 else "fd00:42::9")[0] != first
    if version == 4:
        assert names(protocol=6)[0] != first  # IPv6 reassembles without the protocol (RFC 8200 §4.5)


@pytest.mark.parametrize("headers", [(), (0,), (0, 43, 60)])
def test_ipv6_headers_are_left_out(headers: tuple[int, ...]) -> None:
    plain = ipv6(UDP, udp(bytes(100), ports=SIP))
    if headers:
        packet = ipv6(*extended(UDP, plain[40:], *headers))
        found = piece_of(packet, layer2=False)
        assert found is not None
        assert found[1:] == (b"", False)
        assert found[0] == packet[:6] + b"\x11" + packet[7:40] + plain[40:]
        (framed_packet,) = framed([packet], 0x8100)
        (framed_plain,) = framed([found[0] or b""], 0x8100)
        framed_found = piece_of(framed_packet, layer2=True)
        assert framed_found is not None
        assert framed_found[0] == framed_plain
    first, later, _ = pieces(6, headers=headers)
    found = piece_of(first, layer2=False)
    assert found is not None
    assert found[0] == first[:6] + b"\x11" + first[7:40] + udp(bytes(4000), ports=SIP)[:1400]
    found = piece_of(later, layer2=False)
    assert found is not None
    # A later piece has no ports. Its fragment header stays, so that nothing takes its payload for ports.
    assert found[0] is not None
    assert found[0][6] == FRAGMENT
    assert found[0][40:] == later[-1408:]


def test_a_fragment_that_is_all_is_none() -> None:
    """RFC 6946: this fragment is not reassembled with any other."""
    (whole,) = pieces(6, size=100)
    found = piece_of(whole, layer2=False)
    assert found is not None
    assert found[1:] == (b"", False)
    assert found[0] == whole[:6] + b"\x11" + whole[7:40] + udp(bytes(100), ports=SIP)


def test_headers_that_are_cut_or_too_many_are_left() -> None:
    packet = pieces(6, headers=(0, 60))[0]
    for size in range(40 + 8 + 16 + 8):
        assert piece_of(packet[:size], layer2=False) is None
    assert piece_of(ipv6(*extended(UDP, udp(b""), *[60] * 8)), layer2=False) is not None
    assert piece_of(ipv6(*extended(UDP, udp(b""), *[60] * 9)), layer2=False) is None
    assert piece_of(ipv6(0, b"\x11\xff" + bytes(6)), layer2=False) is None


def test_what_was_decided_is_known_for_a_while() -> None:
    table = FragmentTable()
    assert table.find(b"one", 0.0) is None
    table.note(b"one", 3, 10.0)
    table.note(b"one, longer", 65535, 10.0)
    assert (table.find(b"one", 10.0), table.find(b"one, longer", 10.0)) == (3, 65535)
    table.note(b"one", 0, 11.0)
    assert table.find(b"one", 11.0 + LIFETIME - 0.001) == 0
    assert table.find(b"one", 11.0 + LIFETIME) is None
    assert table.find(b"one, longer", 10.0 + LIFETIME) is None
    table.note(b"one", 1, 50.0)
    table.clear()
    assert table.find(b"one", 50.0) is None


def test_no_more_than_so_many_are_remembered() -> None:
    table = FragmentTable()
    names = [number.to_bytes(4, "big") for number in range(20 * REMEMBERED)]
    for name in names:
        table.note(name, 1, 1.0)
    known = [name for name in names if table.find(name, 1.0) is not None]
    assert REMEMBERED // 2 < len(known) <= REMEMBERED
    assert names[-1] in known
