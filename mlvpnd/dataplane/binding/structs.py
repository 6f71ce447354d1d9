"""What all of the binding shares: fields of C structs, packets, addresses, and the names of links."""

from __future__ import annotations

import secrets
import socket
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from mlvpnd.dataplane import _native
from mlvpnd.dataplane._native import ffi, lib
from mlvpnd.protocol.links.path import Address
from mlvpnd.protocol.wire.drops import DropReason

REASONS = tuple(DropReason)
"""In the order of C's `enum drop`."""
KNOWN_ADDRESSES = 1024
"""Addresses that are kept in the form of the other language, for each direction."""
_FAMILY_SIZE = {socket.AF_INET: ffi.sizeof("struct sockaddr_in"), socket.AF_INET6: ffi.sizeof("struct sockaddr_in6")}

if lib.sodium_init() < 0:
    raise ImportError("libsodium cannot be initialised")
if len(REASONS) != len(ffi.new("struct path_state *").drops):
    raise ImportError("the native data plane knows other reasons for drops: it is of another version")


def field(place: str) -> Any:
    """An attribute that is a field of the C struct in the object's `struct`; `place` is its path from there."""
    whole = f"struct.{place}"
    owner, _, name = whole.rpartition(".")
    owner_of: Callable[[object], object] = attrgetter(owner)

    def write(self: object, value: object) -> None:
        setattr(owner_of(self), name, value)

    return property(attrgetter(whole), write)


def pointer(data: _native.CData, *place: str) -> Any:
    """The address of a field. The struct must live for as long as it is used."""
    return ffi.addressof(data, *place)


def new_engine(*, layer2: bool) -> _native.Engine:
    """An engine without links."""
    engine = lib.engine_new(layer2, secrets.token_bytes(lib.RETRANSMISSIONS_KEY))
    if not engine:
        raise MemoryError
    return ffi.gc(engine, lib.engine_free)


def take_drops(counts: _native.Array[int], into: Counter[DropReason]) -> None:
    """Moves what C has counted to the counts of Python."""
    for at, count in enumerate(counts):
        if count:
            into[REASONS[at]] += count
            counts[at] = 0


# Packets.


def packet_of(data: bytes) -> _native.Packet:
    """An owned packet with these bytes."""
    packet = lib.packet_copy(data, len(data))
    if not packet:
        raise MemoryError
    return packet


def take_packet(packets: _native.PacketList) -> bytes:
    """The first packet of a list, which is shorter then; empty: there is none."""
    packet = lib.packet_list_pop(packets)
    if not packet:
        return b""
    data = bytes(ffi.buffer(packet.data, packet.size))
    lib.packet_free(packet)
    return data


def take_packets(packets: _native.PacketList) -> list[bytes]:
    """All packets of a list, which is empty then."""
    out: list[bytes] = []
    while packet := lib.packet_list_pop(packets):
        out.append(bytes(ffi.buffer(packet.data, packet.size)))
        lib.packet_free(packet)
    return out


def new_list() -> _native.PacketList:
    """An empty list of packets. What is left in it goes with it."""
    return ffi.gc(ffi.new("struct packet_list *"), lib.packet_list_free)


# Addresses.


@lru_cache(KNOWN_ADDRESSES)
def _packed(address: Address) -> bytes:
    """The bytes of `struct address`; size 0 for what is no socket address, so that no datagram comes from it."""
    made = ffi.new("struct address *")
    plain = 2 if len(address) < 4 else 4
    host, port, *more = address
    try:
        if plain == 2:
            family, place = socket.AF_INET, pointer(made, "v4", "sin_addr")
            made.v4.sin_port = socket.htons(port)
        else:
            family, place = socket.AF_INET6, pointer(made, "v6", "sin6_addr")
            made.v6.sin6_port = socket.htons(port)
            made.v6.sin6_flowinfo, made.v6.sin6_scope_id = socket.htonl(int(more[0])), int(more[1])
            host = host.partition("%")[0]  # the scope is a number of its own in the tuple
        ffi.buffer(place)[:] = socket.inet_pton(family, host)
    except (OSError, OverflowError, TypeError, ValueError):
        return bytes(ffi.sizeof("struct address"))
    made.any.sa_family, made.size = family, _FAMILY_SIZE[family]
    if called := address[plain:]:
        octets = socket.inet_pton(family, str(called[0]))
        ffi.buffer(pointer(made, "called", "address"), len(octets))[:] = octets
        made.called.scope = int(called[1]) if len(called) > 1 else 0
    return bytes(ffi.buffer(made))


@lru_cache(KNOWN_ADDRESSES)
def _unpacked(octets: bytes) -> Address | None:
    made = ffi.new("struct address *")
    ffi.buffer(made)[:] = octets
    if not made.size:
        return None
    called, known = bytes(ffi.buffer(pointer(made, "called"))), lib.called_known(pointer(made, "called"))
    if made.any.sa_family == socket.AF_INET:
        host = socket.inet_ntop(socket.AF_INET, ffi.buffer(pointer(made, "v4", "sin_addr")))
        local: tuple[int | str, ...] = (socket.inet_ntop(socket.AF_INET, called[:4]),) if known else ()
        return (host, socket.ntohs(made.v4.sin_port), *local)
    host = socket.inet_ntop(socket.AF_INET6, ffi.buffer(pointer(made, "v6", "sin6_addr")))
    local = (socket.inet_ntop(socket.AF_INET6, called[:16]), made.called.scope) if known else ()
    info, scope = socket.ntohl(made.v6.sin6_flowinfo), made.v6.sin6_scope_id
    return (host, socket.ntohs(made.v6.sin6_port), info, scope, *local)


_NOWHERE = bytes(ffi.sizeof("struct address"))


def write_address(address: Address | None, into: _native.Address) -> None:
    """Puts an address where a pointer says; None, and what is no socket address, as one of size 0."""
    ffi.buffer(into)[:] = _NOWHERE if address is None else _packed(address)


def new_address(address: Address | None) -> _native.Address:
    """The same in a struct of its own."""
    made = ffi.new("struct address *")
    write_address(address, made)
    return made


@lru_cache(KNOWN_ADDRESSES)
def known_address(address: Address) -> _native.Address:
    """The same for reading alone: each address has one struct."""
    return new_address(address)


def read_address(address: _native.Address) -> Address | None:
    """The address that a pointer leads to, as Python's sockets give it; None for one of size 0."""
    return _unpacked(bytes(ffi.buffer(address)))


# Names.

_NAMES: dict[str, int] = {}


def link_number(name: str) -> int:
    """The number by which C knows the name of a link, for the life of the process. Configurations name few."""
    return _NAMES.setdefault(name, len(_NAMES))


def link_name(number: int) -> str:
    """The name with that number."""
    return tuple(_NAMES)[number]
