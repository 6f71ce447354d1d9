"""rtnetlink messages: made by hand, and the kernel's own against pyroute2's reading of them."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]  # ships no types
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]  # ships no types

from mlvpnd.net.netlink import AddressNews, DumpEnd, LinkNews, NetlinkSocket, RouteLost, Told, attach_filter, parse

PORT = 4711
NEWLINK, DELLINK, NEWADDR, DELADDR = 16, 17, 20, 21
NEWROUTE, DELROUTE, DELRULE = 24, 25, 33
REPLACE = 0x100
UP, RUNNING, LOWER_UP = 0x1, 0x40, 0x10000
IPV4, IPV6 = bytes([192, 0, 2, 1]), bytes.fromhex("20010db8000000000000000000000001")


def message(kind: int, body: bytes, *, flags: int = 0, port: int = 0) -> bytes:
    """One netlink message, padded."""
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, port) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(flags: int, name: str = "eth0", *, family: int = 0, number: int = 2) -> bytes:
    more = attribute(32769, b"\1\0\0\0") + attribute(3, name.encode() + b"\0") if name else b""
    return struct.pack("=BxHiII", family, 1, number, flags, 0) + more


def address(family: int, *attributes: bytes, flags: int = 0x80, number: int = 2) -> bytes:
    return struct.pack("=BBBBI", family, 24, flags, 0, number) + b"".join(attributes)


def read(data: bytes) -> list[Told]:
    return list(parse(data, PORT))


def news(data: bytes) -> object:
    (told,) = read(data)
    assert not told.asked
    return told.news


# linux/if.h: without IFF_LOWER_UP there is no carrier; without IFF_RUNNING it is dormant, or another layer is down.
@pytest.mark.parametrize(
    ("flags", "up", "running"),
    [
        (UP | RUNNING | LOWER_UP, True, True),
        (UP | RUNNING, True, False),
        (UP | LOWER_UP, True, False),
        (UP, True, False),
        (RUNNING | LOWER_UP, False, False),
        (0, False, False),
    ],
)
def test_an_interface(flags: int, up: bool, running: bool) -> None:
    assert news(message(NEWLINK, link(flags))) == LinkNews(2, "eth0", up, running, gone=False)


def test_alternative_names() -> None:
    names = attribute(53, b"enp1s0\0") + attribute(53, b"a-name-of-more-than-fifteen\0")
    body = link(UP) + attribute(52 | 0x8000, names)
    wanted = frozenset({"enp1s0", "a-name-of-more-than-fifteen"})
    assert news(message(NEWLINK, body)) == LinkNews(2, "eth0", True, False, gone=False, alternatives=wanted)
    for size in range(len(names)):  # cut anywhere: what makes sense is taken
        told = news(message(NEWLINK, link(UP) + attribute(52, names[:size])))
        assert isinstance(told, LinkNews)
        assert told.name == "eth0"


def test_an_interface_that_is_gone() -> None:
    assert news(message(DELLINK, link(0))) == LinkNews(2, "eth0", up=False, running=False, gone=True)


def test_the_mtu_and_the_bridge_of_a_port() -> None:
    mtu, master = attribute(4, struct.pack("=I", 1500)), attribute(10, struct.pack("=I", 7))
    for kind, bridge in ((b"bridge\0", 7), (b"bond\0", 0)):
        more = mtu + master + attribute(18, attribute(1, b"veth\0") + attribute(4, kind))
        assert news(message(NEWLINK, link(UP) + more)) == LinkNews(
            2, "eth0", up=True, running=False, gone=False, mtu=1500, bridge=bridge
        )
    assert news(message(NEWLINK, link(UP) + attribute(4, b"\1") + master)) == LinkNews(
        2, "eth0", up=True, running=False, gone=False
    )


def test_a_port_that_leaves_its_bridge_is_not_gone() -> None:
    assert read(message(DELLINK, link(UP, family=socket.AF_BRIDGE))) == []


def test_addresses() -> None:
    local, peer = attribute(2, IPV4), attribute(1, bytes(4))
    # The local address counts, also where the other end's comes first.
    assert news(message(NEWADDR, address(2, peer, local))) == AddressNews(2, IPV4, usable=True)
    assert news(message(NEWADDR, address(10, attribute(1, IPV6)))) == AddressNews(2, IPV6, usable=True)
    assert news(message(DELADDR, address(10, attribute(1, IPV6)))) == AddressNews(2, IPV6, usable=False)


# linux/if_addr.h
@pytest.mark.parametrize(
    ("flags", "usable"), [(0x80, True), (0x20, True), (0x40, False), (0x44, True), (0x08, False), (0x48, False)]
)
def test_an_ipv6_address_counts_when_nobody_else_has_it(flags: int, usable: bool) -> None:
    data = message(NEWADDR, address(10, attribute(1, IPV6), flags=flags))
    assert news(data) == AddressNews(2, IPV6, usable=usable)


def test_an_address_of_the_wrong_size_is_none() -> None:
    for family, value in ((2, IPV6), (10, IPV4), (2, b""), (5, IPV4)):
        assert read(message(NEWADDR, address(family, attribute(2, value)))) == []


def test_the_end_of_what_was_asked_for() -> None:
    done, refused = message(3, bytes(4), port=PORT), message(2, struct.pack("=i", -16) + bytes(16), port=PORT)
    assert read(message(NEWLINK, link(UP), port=PORT) + done) == [
        Told(LinkNews(2, "eth0", up=True, running=False, gone=False), asked=True),
        Told(DumpEnd(whole=True), asked=True),
    ]
    assert read(refused) == [Told(DumpEnd(whole=False), asked=True)]
    assert read(message(3, struct.pack("=i", -4), port=PORT)) == [Told(DumpEnd(whole=False), asked=True)]
    # The end of another's answer is not the end of ours.
    assert read(message(3, bytes(4), port=PORT + 1)) == []


def test_what_changed_while_it_was_told_is_not_whole() -> None:
    data = message(NEWLINK, link(UP), port=PORT, flags=0x10)
    assert Told(DumpEnd(whole=False), asked=True) in read(data)
    assert all(isinstance(told.news, LinkNews) for told in read(message(NEWLINK, link(UP), flags=0x10)))


def test_nonsense() -> None:
    short = struct.pack("=IHHII", 15, NEWLINK, 0, 1, 0)
    for data in (b"", b"x", bytes(100), b"\xff" * 100, short * 3, message(NEWLINK, b"x"), message(99, bytes(40))):
        assert read(data) == []
    # What stands before and behind the bad message counts.
    good = message(NEWLINK, link(UP))
    assert len(read(good + message(99, b"abc") + message(NEWADDR, b"abc") + good + b"rest")) == 2
    # An attribute that has no end.
    assert news(message(NEWLINK, link(UP, name="") + struct.pack("=HH", 0, 3) + b"eth0")) == LinkNews(
        2, "", up=True, running=False, gone=False
    )


def _kernels_answer(kind: int) -> bytes:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHII", 32, kind, 0x301, 1, 0) + bytes(16))
        data = b""
        while not data.endswith(struct.pack("=i", 0)) or struct.unpack_from("=H", data, len(data) - 16)[0] != 3:
            data += sock.recv(1 << 16)
    return data


def _split(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = struct.unpack_from("=I", data)[0]
        found.append(data[:length])
        data = data[length + 3 & ~3 :]
    return found[:-1]


def test_the_kernels_interfaces_are_read_as_pyroute2_reads_them() -> None:
    data = _kernels_answer(18)
    expected = []
    for raw in _split(data):
        decoded = ifinfmsg(raw)
        decoded.decode()
        up = bool(decoded["flags"] & 1)
        running = up and decoded["flags"] & (RUNNING | LOWER_UP) == RUNNING | LOWER_UP
        is_port = decoded.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_KIND") == "bridge"
        bridge = decoded.get_attr("IFLA_MASTER") if is_port else 0
        mtu = decoded.get_attr("IFLA_MTU")
        name = decoded.get_attr("IFLA_IFNAME")
        expected.append(LinkNews(decoded["index"], name, up, running, gone=False, mtu=mtu, bridge=bridge))
    assert [told.news for told in read(data)] == expected
    assert "lo" in {told.name for told in expected}


def test_the_kernels_addresses_are_read_as_pyroute2_reads_them() -> None:
    data = _kernels_answer(22)
    expected = []
    for raw in _split(data):
        decoded = ifaddrmsg(raw)
        decoded.decode()
        host = decoded.get_attr("IFA_LOCAL") or decoded.get_attr("IFA_ADDRESS")
        packed = socket.inet_pton(decoded["family"], host)
        expected.append(AddressNews(decoded["index"], packed, usable=not decoded["flags"] & 0x48))
    assert [told.news for told in read(data)] == expected
    assert expected


def test_a_socket_asks_for_everything_and_gets_it() -> None:
    sock = NetlinkSocket()
    try:
        assert sock.receive(10) == []
        sock.ask_links()
        told = sock.receive(100)
        assert told[-1] == Told(DumpEnd(whole=True), asked=True)
        assert any(isinstance(one.news, LinkNews) and one.news.name == "lo" for one in told if one.asked)
        sock.ask_addresses()
        assert sock.receive(100)[-1] == Told(DumpEnd(whole=True), asked=True)
    finally:
        sock.close()


def route(protocol: int, *attributes: bytes, length: int = 0) -> bytes:
    return struct.pack("=BBBBBBBBI", socket.AF_INET, length, 0, 0, 254, protocol, 0, 1, 0) + b"".join(attributes)


def test_a_route_of_ours_that_is_gone() -> None:
    oif = attribute(4, struct.pack("=I", 7))
    assert news(message(DELROUTE, route(109, oif))) == RouteLost(7)
    assert news(message(DELROUTE, route(109))) == RouteLost(0)
    assert read(message(DELROUTE, route(3, oif))) == []
    assert read(message(DELROUTE, route(109)[:11])) == []


def test_a_default_route_that_replaces_another_one() -> None:
    for length, told in ((0, [RouteLost(0)]), (1, [RouteLost(0)]), (2, [])):
        assert [one.news for one in read(message(NEWROUTE, route(3, length=length), flags=REPLACE))] == told
    assert read(message(NEWROUTE, route(3))) == []


def test_a_rule_of_ours_that_is_gone() -> None:
    assert news(message(DELRULE, route(0, attribute(21, b"m")))) == RouteLost(0)
    assert read(message(DELRULE, route(0, attribute(21, b"\3")))) == []
    assert read(message(DELRULE, route(109))) == []  # this byte of a rule is another field


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        (message(DELROUTE, route(109)), True),
        (message(DELROUTE, route(3)), False),
        (message(NEWROUTE, route(109)), False),
        (message(NEWROUTE, route(3), flags=REPLACE), True),
        (message(NEWROUTE, route(3, length=1), flags=REPLACE), True),
        (message(NEWROUTE, route(3, length=24), flags=REPLACE), False),
        (message(DELRULE, route(0)), True),
        (message(NEWLINK, link(UP)), True),
        (message(DELADDR, address(socket.AF_INET, attribute(1, IPV4))), True),
    ],
)
def test_the_kernel_keeps_other_routes_away(data: bytes, passes: bool) -> None:
    with contextlib.ExitStack() as stack:
        ours, theirs = (stack.enter_context(one) for one in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        attach_filter(ours)
        ours.setblocking(False)
        # The kernel drops it without a word.
        with contextlib.suppress(OSError):
            theirs.send(data)
        if passes:
            assert ours.recv(1000) == data
        else:
            with pytest.raises(BlockingIOError):
                ours.recv(1000)
