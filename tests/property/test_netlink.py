"""Any bytes from a netlink socket are news or nothing, and any news leave the mirror consistent."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from mlvpnd.net.mirror import Mirror
from mlvpnd.net.netlink import AddressNews, DumpEnd, LinkNews, RouteLost, parse

PORT = 7
BODIES = st.one_of(
    st.binary(max_size=80),
    # A header of either kind, with almost right attributes.
    st.builds(
        lambda family, rest, attributes: struct.pack("=B", family) + rest + b"".join(attributes),
        st.sampled_from([0, 2, 7, 10]),
        st.binary(min_size=7, max_size=15),
        st.lists(
            st.builds(
                lambda length, kind, value: struct.pack("=HH", length, kind) + value,
                st.integers(0, 24),
                st.integers(0, 4),
                st.binary(max_size=20),
            ),
            max_size=4,
        ),
    ),
)
MESSAGES = st.builds(
    lambda kind, flags, port, body, more: struct.pack("=IHHII", 16 + len(body) + more, kind, flags, 1, port) + body,
    st.sampled_from([2, 3, 16, 17, 20, 21, 24, 25, 33]) | st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.sampled_from([0, PORT]),
    BODIES,
    st.sampled_from([0, 0, 0, -8, 4, 1 << 20]),
)


@given(st.binary(max_size=300) | st.lists(MESSAGES, max_size=6).map(b"".join))
def test_any_bytes(data: bytes) -> None:
    told = list(parse(data, PORT))
    assert len(told) <= len(data) // 16 + 1
    for news, asked in told:
        if isinstance(news, DumpEnd):
            assert asked
        elif isinstance(news, AddressNews):
            assert len(news.address) in (4, 16)
        elif isinstance(news, RouteLost):
            assert 0 <= news.number < 1 << 32
        else:
            assert news.up or not news.running


NUMBERS, NAMES, ADDRESSES = st.integers(1, 3), st.sampled_from(["", "a", "b"]), st.sampled_from([b"aaaa", b"bbbb"])
NEWS = st.one_of(
    st.builds(LinkNews, NUMBERS, NAMES, st.booleans(), st.booleans(), st.booleans()),
    st.builds(AddressNews, NUMBERS, ADDRESSES, st.booleans()),
)


@given(st.lists(NEWS, max_size=20))
def test_any_news(all_news: list[LinkNews | AddressNews]) -> None:
    mirror = Mirror()
    for news in all_news:
        mirror.take(news)
        assert not mirror.take(news)  # the mirror knows it now
        uplink = mirror.uplink(news.number)
        if isinstance(news, LinkNews):
            assert (uplink is None) == news.gone
        else:
            assert (news.number in mirror.holders(news.address)) == news.usable
    for name in ("a", "b"):
        if number := mirror.number(name):
            found = mirror.uplink(number)
            assert found is not None
            assert name in {found.name, *found.alternatives}
