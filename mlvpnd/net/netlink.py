"""What the kernel tells any user about interfaces and addresses: rtnetlink(7), read only; no capability is needed.

The messages are parsed here, not by pyroute2, which the helper uses. Its import would cost the daemon 12 MB and 0.17 s,
a third of what a restart may take. Each message would cost 0.4 ms, so a burst of thousands would stop the tunnel for
seconds. Only a message's names, flags, MTU, bridge or address are needed.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from .interface import ROUTE_PROTOCOL

# linux/netlink.h
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK

# linux/rtnetlink.h
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE = 24, 25
_DELRULE = 33
_LINK_GROUPS = 1 << 0 | 1 << 4 | 1 << 8  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_ROUTE_GROUPS = (
    1 << 6 | 1 << 10 | 1 << 7 | 1 << 18
)  # RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, …IPV6_RULE
_REPLACE = 0x100  # NLM_F_REPLACE

# linux/if_link.h, linux/if.h: struct ifinfomsg
_LINK = struct.Struct("=BxHiII")  # family, type, number, flags, changed flags
_IFNAME, _MTU, _MASTER, _LINKINFO = 3, 4, 10, 18
_SLAVE_KIND = 4  # IFLA_INFO_SLAVE_KIND, in IFLA_LINKINFO
_PROP_LIST, _ALT_IFNAME = 52, 53  # the first holds any number of the second
_NUMBER = struct.Struct("=I")
_UP, _RUNNING, _LOWER_UP = 0x1, 0x40, 0x10000

# linux/if_addr.h: struct ifaddrmsg
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface
_IFA_ADDRESS, _IFA_LOCAL = 1, 2

# linux/rtnetlink.h: struct rtmsg; linux/fib_rules.h: struct fib_rule_hdr, of the same size
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, two lengths, tos, table, protocol, scope, type, flags
_RTA_OIF, _FRA_PROTOCOL = 4, 21
_LENGTH_AT, _PROTOCOL_AT = _HEADER.size + 1, _HEADER.size + 5
"""Places of a route's prefix length and protocol in a message."""
_HALF = 1
"""Prefix length of a route to half of all addresses; a default route's is not longer."""

# linux/filter.h, linux/bpf_common.h; asm-generic/socket.h
_SO_ATTACH_FILTER = 26
_LOAD_HALF, _LOAD_BYTE, _IF_EQUAL, _IF_GREATER, _IF_SET, _RETURN = 0x28, 0x30, 0x15, 0x25, 0x45, 0x06
_INSTRUCTION = struct.Struct("=HBBI")  # code, steps if true, steps if false, number

_OPTIMISTIC, _DAD_FAILED, _TENTATIVE = 0x04, 0x08, 0x40

_SIZES = {socket.AF_INET: 4, socket.AF_INET6: 16}
_READ_SIZE = 1 << 16
_BUFFER_SIZE = 1 << 20
"""Bytes. Buffer asked for waiting events; the system's limit (net.core.rmem_max) may be lower."""


class LinkNews(NamedTuple):
    """An interface's state now, or the news that it is gone."""

    number: int
    name: str
    """Empty: not told."""
    up: bool
    """Whether somebody has set it up."""
    running: bool
    """Whether it has carrier and may be used: IFF_LOWER_UP, and IFF_RUNNING, which stands for the operational state."""
    gone: bool
    mtu: int = 0
    """Bytes; 0: not told."""
    bridge: int = 0
    """The number of the bridge whose port it is; 0: none."""
    alternatives: frozenset[str] = frozenset()
    """Its other names, usable wherever a name is; udev gives them to most devices."""


class AddressNews(NamedTuple):
    """An address of an interface."""

    number: int
    address: bytes
    """4 or 16 bytes."""
    usable: bool
    """False: it is gone, or failed or has not yet passed the test that nobody else has it."""


class RouteLost(NamedTuple):
    """A route or a rule that the helper has set is gone, or may be: a default route has replaced another one."""

    number: int
    """Of the interface; 0: not told, as of a rule."""


class DumpEnd(NamedTuple):
    """The answer to a request is complete."""

    whole: bool
    """False: the request was refused, or the data changed during the answer."""


News = LinkNews | AddressNews | RouteLost | DumpEnd


class Told(NamedTuple):
    """One message."""

    news: News
    asked: bool
    """Whether it belongs to the answer to a request; False: it is an event."""


def parse(data: bytes, port: int) -> Iterator[Told]:
    """The messages in one datagram; any bytes may be given. `port` is the asking socket's.

    Messages that are of no interest or make no sense are left out.
    """
    whole = True
    place, end = 0, len(data)
    while place + _HEADER.size <= end:
        length, kind, flags, _, of = _HEADER.unpack_from(data, place)
        if length < _HEADER.size:
            return
        body = data[place + _HEADER.size : place + length]
        place += _aligned(length)
        asked = of == port
        if asked and flags & _INTERRUPTED and whole:
            whole = False
            yield Told(DumpEnd(whole=False), asked)
        news: News | None = None
        if kind in (_NEWLINK, _DELLINK):
            news = _link(body, gone=kind == _DELLINK)
        elif kind in (_NEWADDR, _DELADDR):
            news = _address(body, gone=kind == _DELADDR)
        elif kind in (_NEWROUTE, _DELROUTE, _DELRULE):
            news = _lost(kind, flags, body)
        elif kind in (_DONE, _ERROR) and asked:
            news = DumpEnd(whole=kind == _DONE and not any(body[:4]))
        if news is not None:
            yield Told(news, asked)


def _link(body: bytes, *, gone: bool) -> LinkNews | None:
    if len(body) < _LINK.size:
        return None
    family, _, number, flags, _ = _LINK.unpack_from(body)
    if family != socket.AF_UNSPEC:  # a bridge tells of its ports; a port that leaves it is not gone
        return None
    found = _attributes(body, _LINK.size, _IFNAME, _MTU, _MASTER, _LINKINFO, _PROP_LIST)
    is_port = _attributes(found.get(_LINKINFO, b""), 0, _SLAVE_KIND).get(_SLAVE_KIND, b"").startswith(b"bridge")
    up = bool(flags & _UP)
    return LinkNews(
        number,
        _text(found.get(_IFNAME, b"")),
        up=up,
        running=up and bool(flags & _RUNNING and flags & _LOWER_UP),
        gone=gone,
        mtu=_number(found.get(_MTU, b"")),
        bridge=_number(found.get(_MASTER, b"")) if is_port else 0,
        alternatives=frozenset(
            _text(value) for kind, value in _each(found.get(_PROP_LIST, b"")) if kind == _ALT_IFNAME
        ),
    )


def _text(value: bytes) -> str:
    return value.partition(b"\0")[0].decode(errors="surrogateescape")


def _number(value: bytes) -> int:
    return int(_NUMBER.unpack(value)[0]) if len(value) == _NUMBER.size else 0


def _address(body: bytes, *, gone: bool) -> AddressNews | None:
    if len(body) < _ADDRESS.size:
        return None
    family, _, flags, _, number = _ADDRESS.unpack_from(body)
    found = _attributes(body, _ADDRESS.size, _IFA_LOCAL, _IFA_ADDRESS)
    # On a point-to-point line IFA_ADDRESS is the other end's; with IPv6 it is often the only attribute.
    address = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS) or b""
    if len(address) != _SIZES.get(family):
        return None
    tested = flags & _DAD_FAILED or (flags & _TENTATIVE and not flags & _OPTIMISTIC)
    return AddressNews(number, address, usable=not gone and not (family == socket.AF_INET6 and tested))


def _lost(kind: int, flags: int, body: bytes) -> RouteLost | None:
    if len(body) < _ROUTE.size:
        return None
    _, length, _, _, _, protocol, _, _, _ = _ROUTE.unpack_from(body)
    if kind == _NEWROUTE:
        return RouteLost(0) if flags & _REPLACE and length <= _HALF else None
    found = _attributes(body, _ROUTE.size, _RTA_OIF, _FRA_PROTOCOL)
    if kind == _DELRULE:
        return RouteLost(0) if found.get(_FRA_PROTOCOL) == bytes([ROUTE_PROTOCOL]) else None
    return RouteLost(_number(found.get(_RTA_OIF, b""))) if protocol == ROUTE_PROTOCOL else None


def _attributes(body: bytes, place: int, *wanted: int) -> dict[int, bytes]:
    """The values of the wanted attributes that are there."""
    found: dict[int, bytes] = {}
    for kind, value in _each(body, place):
        if kind in wanted:
            found[kind] = value
            if len(found) == len(wanted):
                break
    return found


def _each(body: bytes, place: int = 0) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute from `place` on."""
    while place + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, place)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, body[place + _ATTRIBUTE.size : place + length]
        place += _aligned(length)


def _aligned(length: int) -> int:
    return length + 3 & ~3


def _routes_filter() -> bytes:
    """A program for SO_ATTACH_FILTER: of routes, only those of ours that go, and default routes that replace another.

    A host may change thousands of routes a second that are nothing to us.
    """
    kind, flags = (_LOAD_HALF, 0, 0, 4), (_LOAD_HALF, 0, 0, 6)  # offsets in struct nlmsghdr
    program = (
        kind,
        (_IF_EQUAL, 3, 0, socket.htons(_NEWROUTE)),  # loads are in network order
        (_IF_EQUAL, 0, 6, socket.htons(_DELROUTE)),
        (_LOAD_BYTE, 0, 0, _PROTOCOL_AT),
        (_IF_EQUAL, 4, 5, ROUTE_PROTOCOL),
        flags,
        (_IF_SET, 0, 3, socket.htons(_REPLACE)),
        (_LOAD_BYTE, 0, 0, _LENGTH_AT),
        (_IF_GREATER, 1, 0, _HALF),
        (_RETURN, 0, 0, 0xFFFFFFFF),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*one) for one in program)


def attach_filter(sock: socket.socket) -> None:
    """Has the kernel drop what `_routes_filter` does not let pass. Raises OSError."""
    program = ctypes.create_string_buffer(_routes_filter())
    described = struct.pack("HP", len(program) // _INSTRUCTION.size, ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


class NetlinkSocket:
    """Hears of each change to this network namespace's interfaces and addresses from its construction on.

    Of routes and rules it hears what `RouteLost` tells.
    """

    def __init__(self) -> None:
        """Raises OSError."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_SIZE)
            attach_filter(self._socket)
            self._socket.bind((0, _LINK_GROUPS | _ROUTE_GROUPS))
            self._port: int = self._socket.getsockname()[0]
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def ask_links(self) -> None:
        """Asks for all interfaces; a DumpEnd ends the answer. Only one request at a time. Raises OSError."""
        self._ask(_GETLINK, bytes(_LINK.size))

    def ask_addresses(self) -> None:
        """Asks for all addresses in the same way."""
        self._ask(_GETADDR, bytes(_ADDRESS.size))

    def _ask(self, kind: int, body: bytes) -> None:
        self._socket.sendto(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, self._port) + body, (0, 0))

    def receive(self, limit: int) -> list[Told]:
        """The messages in up to `limit` waiting datagrams. Raises OSError; ENOBUFS: messages were lost, unread."""
        told: list[Told] = []
        try:
            for _ in range(limit):
                data, (sender, _) = self._socket.recvfrom(_READ_SIZE)
                if sender == 0:  # the kernel
                    told += parse(data, self._port)
        except BlockingIOError:
            pass
        return told

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()
