"""What is known of interfaces after news of them has come."""

from __future__ import annotations

from mlvpnd.net.mirror import Mirror
from mlvpnd.net.netlink import AddressNews, LinkNews, RouteLost

A, B = b"\xc0\0\2\1", b"\xc0\0\2\2"


def link(number: int, name: str = "eth0", *, up: bool = True, running: bool = True, gone: bool = False) -> LinkNews:
    return LinkNews(number, name, up, running, gone)


def test_an_interface_comes_changes_and_goes() -> None:
    mirror = Mirror()
    assert mirror.take(link(2))
    assert not mirror.take(link(2))
    assert mirror.number("eth0") == 2
    assert mirror.take(link(2, running=False))
    uplink = mirror.uplink(2)
    assert uplink is not None
    assert (uplink.name, uplink.up, uplink.running) == ("eth0", True, False)
    assert mirror.take(link(2, gone=True))
    assert not mirror.take(link(2, gone=True))
    assert (mirror.number("eth0"), mirror.uplink(2)) == (0, None)


def test_names_move() -> None:
    mirror = Mirror()
    mirror.take(link(2))
    assert mirror.take(link(2, "wan"))
    mirror.take(link(3))
    assert (mirror.number("wan"), mirror.number("eth0")) == (2, 3)
    # The news comes in the other order.
    mirror.take(link(4, "wan"))
    mirror.take(link(2, "old"))
    assert (mirror.number("wan"), mirror.number("old")) == (4, 2)
    mirror.take(link(2, "", running=False))  # the news has no name
    assert mirror.number("old") == 2


def test_alternative_names() -> None:
    mirror = Mirror()
    news = link(2)
    assert mirror.take(news._replace(alternatives=frozenset({"enp1s0", "wan"})))
    assert {name: mirror.number(name) for name in ("eth0", "enp1s0", "wan")} == {"eth0": 2, "enp1s0": 2, "wan": 2}
    assert not mirror.take(news._replace(alternatives=frozenset({"enp1s0", "wan"})))
    assert mirror.take(link(3, "eth1")._replace(alternatives=frozenset({"wan"})))  # the news comes in the other order
    assert mirror.take(news._replace(alternatives=frozenset({"enp1s0"})))
    assert (mirror.number("wan"), mirror.number("enp1s0"), mirror.number("eth0")) == (3, 2, 2)
    mirror.take(link(2, "", running=False))  # the news has no names
    assert mirror.number("enp1s0") == 2
    mirror.take(link(2, gone=True))
    assert (mirror.number("enp1s0"), mirror.number("eth0"), mirror.number("wan")) == (0, 0, 3)


def test_addresses_come_and_go_with_their_interfaces() -> None:
    mirror = Mirror()
    assert mirror.take(AddressNews(3, A, usable=True))  # before any news of the interface
    mirror.take(link(3))
    mirror.take(AddressNews(2, A, usable=True))
    assert not mirror.take(AddressNews(2, A, usable=True))
    assert mirror.holders(A) == {2, 3}
    assert mirror.holders(B) == set()
    assert mirror.take(AddressNews(2, A, usable=False))
    assert not mirror.take(AddressNews(2, A, usable=False))
    assert not mirror.take(AddressNews(9, A, usable=False))
    mirror.take(link(3, gone=True))
    assert mirror.holders(A) == set()


def test_gains_are_what_was_not_there_before() -> None:
    mirror = Mirror()
    counts = []
    for news in (
        link(2, running=False),
        link(2),
        link(2),
        AddressNews(2, A, usable=True),
        AddressNews(2, A, usable=True),
        AddressNews(2, A, usable=False),
        link(2, running=False),
        link(2),
    ):
        mirror.take(news)
        counts.append(mirror.gains)
    assert counts == [0, 1, 1, 2, 2, 2, 2, 3]


def port(number: int, name: str, mtu: int, bridge: int) -> LinkNews:
    return LinkNews(number, name, up=True, running=True, gone=False, mtu=mtu, bridge=bridge)


def test_what_stands_beside_a_port_in_its_bridge() -> None:
    mirror = Mirror()
    assert mirror.widest_beside(2) is None
    for news in (
        port(2, "mlvpn0", 1414, 9),
        port(9, "br0", 1414, 0),
        port(3, "eth0", 9000, 8),
        port(4, "eth1", 9000, 0),
    ):
        assert mirror.take(news)
        assert not mirror.take(news)
    assert mirror.widest_beside(2) is None
    mirror.take(port(5, "eth2", 1500, 9))
    mirror.take(port(6, "eth3", 1400, 9))
    beside = mirror.widest_beside(2)
    assert beside is not None
    assert (beside.name, beside.mtu) == ("eth2", 1500)
    mirror.take(port(5, "eth2", 1300, 9))
    beside = mirror.widest_beside(2)
    assert beside is not None
    assert beside.name == "eth3"
    assert mirror.widest_beside(4) is None
    assert mirror.take(port(2, "mlvpn0", 1414, 0))
    assert mirror.widest_beside(2) is None


def test_each_change_of_an_interface_counts() -> None:
    mirror = Mirror()
    seen = [mirror.changes(7)]

    def changed(*news: LinkNews | AddressNews | RouteLost) -> bool:
        for one in news:
            mirror.take(one)
        seen.append(mirror.changes(7))
        return seen[-1] != seen[-2]

    assert changed(link(7))
    assert not changed(link(7), link(8), AddressNews(8, b"\1\2\3\4", usable=True), RouteLost(8))
    assert changed(AddressNews(7, b"\1\2\3\4", usable=True))
    assert changed(AddressNews(7, b"\1\2\3\4", usable=False))
    assert changed(link(7, up=False))
    assert changed(RouteLost(7))
    assert changed(RouteLost(0))  # of a rule the kernel tells no interface
    assert not mirror.take(RouteLost(7))  # it is nothing to a link


def test_an_interface_that_is_gone_is_not_remembered() -> None:
    mirror = Mirror()
    for number in range(10, 1000):
        mirror.take(link(number))
        mirror.take(link(number, gone=True))
        mirror.take(RouteLost(number))
    assert not mirror._changes
