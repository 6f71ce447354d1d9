from __future__ import annotations

import pytest

from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.dataplane.binding import structs
from mlvpnd.dataplane.binding.structs import (
    field,
    known_address,
    link_name,
    link_number,
    new_address,
    new_list,
    packet_of,
    read_address,
    take_packet,
    take_packets,
    write_address,
)
from mlvpnd.protocol.links.path import Address


@pytest.mark.parametrize(
    "address",
    [
        ("192.0.2.1", 5080),
        ("192.0.2.1", 0),
        ("192.0.2.1", 65535, "198.51.100.7"),
        ("2001:db8::1", 5080, 0, 0),
        ("fe80::5", 5080, 7, 3),
        ("fe80::5", 5080, 7, 3, "fe80::9", 4),
        ("::ffff:192.0.2.1", 5080, 0, 0),
    ],
)
def test_an_address_comes_back_as_it_was(address: Address) -> None:
    assert read_address(new_address(address)) == address
    assert read_address(known_address(address)) == address
    assert known_address(address) is known_address(address)


def test_a_scope_by_name_is_the_number_beside_it() -> None:
    assert read_address(new_address(("fe80::5%eth0", 5080, 0, 3))) == ("fe80::5", 5080, 0, 3)


@pytest.mark.parametrize(
    "address", [None, ("localhost", 5080), ("192.0.2.1", -1), ("192.0.2.1", 65536), ("192.0.2.1", 5080, 0, 0), ("", 1)]
)
def test_what_is_no_socket_address_is_none(address: Address | None) -> None:
    made = new_address(("192.0.2.9", 1))
    write_address(address, made)
    assert made.size == 0
    assert read_address(made) is None


def test_packets_keep_their_bytes_and_order() -> None:
    packets, given = new_list(), [b"", b"\0", b"abc", bytes(range(256)) * 200]
    for data in given:
        lib.packet_list_push(packets, packet_of(data))
    assert take_packet(packets) == b""
    assert take_packets(packets) == given[1:]
    assert take_packets(packets) == []
    assert take_packet(packets) == b""


def test_names_have_numbers() -> None:
    one, other = link_number("one of this test"), link_number("another of this test")
    assert one != other
    assert link_number("one of this test") == one
    assert (link_name(one), link_name(other)) == ("one of this test", "another of this test")


class Fields:
    srtt_ms: float = field("rtt.srtt_ms")
    ready: bool = field("ready")
    number: int = field("number")

    def __init__(self) -> None:
        self.struct = ffi.new("struct path_state *")


def test_a_field_is_that_of_c() -> None:
    made = Fields()
    made.struct.rtt.srtt_ms, made.struct.ready = 2.5, True
    assert (made.srtt_ms, made.ready, made.number) == (2.5, True, 0)
    made.srtt_ms, made.ready, made.number = 7, False, -3
    assert (made.struct.rtt.srtt_ms, made.struct.ready, made.struct.number) == (7.0, False, -3)


@pytest.mark.parametrize(("name", "value"), [("number", 1 << 31), ("number", "1"), ("srtt_ms", None), ("ready", 2)])
def test_what_does_not_fit_is_refused(name: str, value: object) -> None:
    with pytest.raises((OverflowError, TypeError)):
        setattr(Fields(), name, value)


def test_few_addresses_are_kept() -> None:
    """Whoever writes from many addresses takes no memory by it."""
    for port in range(2 * structs.KNOWN_ADDRESSES):
        assert read_address(new_address(("192.0.2.1", port))) == ("192.0.2.1", port)
    for cache in (structs._packed, structs._unpacked):
        assert cache.cache_info().currsize <= structs.KNOWN_ADDRESSES
