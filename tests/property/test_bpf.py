"""Any text compiles or raises a FilterError, and a compiled filter takes any packet."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address

from hypothesis import example, given
from hypothesis import strategies as st

from mlvpnd.net import bpf
from mlvpnd.net.bpf import FilterError, LinkType

WORDS = st.sampled_from(
    r"""ip ip6 tcp udp icmp arp ether vlan mpls pppoes host net port portrange src dst proto protochain gateway
    less greater and or not ! ( ) [ ] : + - * / % & | ^ << >> < > = != len multicast broadcast inbound ifname
    mask geneve isis llc stp atalk 0 1 9 255 65535 65536 4294967296 0x1 10.0.0.1 10.0.0.0/8 10.0 1.2.3.4/33 ::1
    2001:db8::/32 02:00:00:00:00:01 \tcp \ip tcpflags tcp-syn 1-2 80-90 sip ospf # ' " ;""".split()
)
EXPRESSIONS = st.one_of(
    st.lists(WORDS, max_size=20).map(" ".join),
    st.builds(
        lambda words, count: " ".join(words * count), st.lists(WORDS, min_size=1, max_size=4), st.integers(1, 90)
    ),
    st.text(alphabet=st.characters(max_codepoint=0x7F)),
    st.text(),
)
LINK_TYPES = st.sampled_from(LinkType)


@given(EXPRESSIONS, LINK_TYPES, st.binary(max_size=100))
@example("1 / 0 = 1", LinkType.RAW, b"")
@example("ip[4294967295] = 0", LinkType.RAW, b"E")
@example("ip proto " + "\\" * 30, LinkType.RAW, b"")
def test_any_text_is_a_filter_or_a_filter_error(expression: str, link_type: LinkType, packet: bytes) -> None:
    with contextlib.suppress(FilterError):
        assert bpf.compile(expression, link_type).matches(packet) in (True, False)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_nets_match_as_a_mask_does(net: int, length: int, source: int) -> None:
    mask = (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF
    program = bpf.compile(f"ip src net {IPv4Address(net & mask)}/{length}", LinkType.RAW)
    packet = bytes.fromhex("4500001400000000401100 00") + source.to_bytes(4, "big") + bytes(4)
    assert program.matches(packet) is (source & mask == net & mask)
