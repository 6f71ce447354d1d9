"""Words that no packet of a tunnel matches, found as libpcap's scanner finds them."""

from __future__ import annotations

import pytest

from mlvpnd.config.expressions import deaf_word_problem
from mlvpnd.config.model import DeviceKind
from mlvpnd.net import bpf
from mlvpnd.net.bpf import LinkType

KINDS = {DeviceKind.TUN: LinkType.RAW, DeviceKind.TAP: LinkType.ETHERNET}


@pytest.mark.parametrize("word", ["inbound", "outbound", "ifindex"])
@pytest.mark.parametrize("kind", [DeviceKind.TUN, DeviceKind.TAP, None])
def test_words_of_captures_are_named(word: str, kind: DeviceKind | None) -> None:
    for expression in (word, f"{word} 3 or udp", f"udp and not({word})", f"tcp\t{word}", f"!{word}"):
        assert deaf_word_problem(expression, kind).startswith(f"'{word}' has a meaning only in a capture"), expression


@pytest.mark.parametrize(
    "expression",
    [
        "udp port 53",
        "host inbound.example.org",
        "host mail-inbound",
        "host inbound-1",
        "host inbound_mail.example.org",
        r"host \inbound",
        r"port \outbound",
        "host inbound9",
        "host INBOUND",
        "host 53-inbound",
        "",
    ],
)
def test_names_that_hold_such_a_word_are_none(expression: str) -> None:
    assert deaf_word_problem(expression, DeviceKind.TUN) == ""


def test_a_session_of_pppoe_is_in_frames_only() -> None:
    assert "'pppoes' has a meaning only in Ethernet frames" in deaf_word_problem(
        "pppoes or udp port 53", DeviceKind.TUN
    )
    assert deaf_word_problem("pppoes or udp port 53", DeviceKind.TAP) == ""
    assert deaf_word_problem("pppoed or udp port 53", DeviceKind.TUN) == ""


# Words of pcap-filter(7) that may stand before an `or`.
OTHERS = """arp rarp stp atalk aarp iso clnp esis isis l1 l2 ipx netbeui lat moprc mopdl sca pppoed vlan mpls llc
    broadcast multicast ip ip6 icmp6 ah esp vrrp carp igrp pim sctp fddi lane oam fisu msu""".split()


@pytest.mark.parametrize("word", OTHERS)
def test_all_other_words_are_refused_by_libpcap_or_do_no_harm_on_ip(word: str) -> None:
    packet = bytes.fromhex("45000028 00000000 40110000 0a000001 0a000002 9c4013c4").ljust(40, b"\0")
    try:
        program = bpf.compile(f"{word} or udp port 5060", LinkType.RAW)
    except bpf.FilterError:
        return
    assert program.matches(packet)
