"""Words in expressions of pcap-filter(7) that libpcap compiles, and that no packet of a tunnel can match.

Libpcap reads for them what only a capture knows beside a packet. There is none here, so its program ends where it reads
that: neither the word nor anything behind it in the expression matches. All other words that mean nothing on this kind
of interface libpcap refuses itself, or takes for a test that is false and goes on.
"""

from __future__ import annotations

import re

from .model import DeviceKind

_OF_A_CAPTURE = frozenset({"inbound", "outbound", "ifindex"})
"""Which way a packet went, and by which interface: SKF_AD_PKTTYPE and SKF_AD_IFINDEX of linux/filter.h."""
_OF_FRAMES = frozenset({"pppoes"})
"""It has all that follows looked for in a PPPoE session, of which no IP packet is one."""
# As libpcap's scanner parts a text: what follows a backslash is a name, as is what only begins with a keyword.
_WORD = re.compile(r"\\[^ !()\t\n]+|[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9.])?")


def deaf_word_problem(expression: str, kind: DeviceKind | None) -> str:
    """What is wrong with an expression that has such a word; empty: it has none. `kind` may be unknown."""
    refused = _OF_A_CAPTURE | _OF_FRAMES if kind is DeviceKind.TUN else _OF_A_CAPTURE
    for word in _WORD.findall(expression):
        if word in refused:
            what = "is of captures" if word in _OF_A_CAPTURE else "is of Ethernet frames"
            return f"'{word}' {what}: nothing matches it here, nor what follows it; leave it out"
    return ""
