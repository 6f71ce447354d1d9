"""Words of pcap-filter(7) that libpcap compiles, but that no packet of a tunnel can match.

For these words libpcap reads data that only a capture has besides a packet. Here there is no capture, so the program
ends at the read: neither the word nor anything behind it in the expression matches. libpcap refuses other words that
mean nothing on this kind of interface, or takes them for a false test, after which the program goes on.
"""

from __future__ import annotations

import re

from .model import DeviceKind

_OF_A_CAPTURE = frozenset({"inbound", "outbound", "ifindex"})
"""A packet's direction and interface: SKF_AD_PKTTYPE and SKF_AD_IFINDEX of linux/filter.h."""
_OF_FRAMES = frozenset({"pppoes"})
"""Has everything behind it looked for in a PPPoE session; an IP packet is never in one."""
# As libpcap's scanner splits a text: a name follows a backslash, or only begins with a keyword.
_WORD = re.compile(r"\\[^ !()\t\n]+|[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9.])?")


def deaf_word_problem(expression: str, kind: DeviceKind | None) -> str:
    """What is wrong with an expression that has such a word; empty: it has none. `kind` None: unknown."""
    refused = _OF_A_CAPTURE | _OF_FRAMES if kind is DeviceKind.TUN else _OF_A_CAPTURE
    for word in _WORD.findall(expression):
        if word in refused:
            where = "in a capture" if word in _OF_A_CAPTURE else "in Ethernet frames"
            return f"'{word}' has a meaning only {where}: here neither it nor what follows it matches; leave it out"
    return ""
