"""Fragments of datagrams: what a filter or rule sees of them, and how the later ones follow the first.

Ports stand only in the first fragment of a datagram, and no filter looks for them behind IPv6's extension headers. So a
filter is shown a packet without extension headers. What is decided for the first fragment is kept for the later ones,
under the fields that reassembly goes by. A later fragment that comes before its first has nothing but addresses and the
protocol.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from mlvpnd.protocol.wire.inner import ip_in_frame

REMEMBERED = 1024
"""Datagrams whose first fragment is remembered; the next with the same checksum of its name, modulo this, takes the
place."""
LIFETIME = 30.0
"""Seconds that a first fragment is remembered: as long as Linux waits for the last one (net.ipv4.ipfrag_time)."""
LONGEST_NAME = 36
"""Bytes of the longest name: two IPv6 addresses and an identification."""
_IPV4_HEADER = 20
_USUAL_FIRST = 0x45
"""The first byte of an IPv4 header without options."""
_IPV6_HEADER = 40
_FRAGMENT = 44
_EXTENSIONS = frozenset({0, 43, _FRAGMENT, 60})
"""Hop-by-hop options, routing, fragment, destination options (RFC 8200)."""
_MOST_HEADERS = 8
"""IPv6 extension headers that are looked through, at most; each kind is to come once, destination options twice."""
_MORE_FRAGMENTS_OR_OFFSET = 0x3F
"""Mask of these bits in the upper byte of IPv4's flags and offset."""
_OFFSET = 0x1F
"""Mask of the offset alone in this byte."""


class Piece(NamedTuple):
    """A packet of which a filter does not see all."""

    plain: bytes | None
    """What a filter is shown: no extension headers, except a later fragment's own. None: the packet itself."""
    name: bytes
    """What all fragments of a datagram have in common, LONGEST_NAME bytes at most; empty: it is no fragment."""
    first: bool
    """Whether it is the first fragment."""


def piece_of(packet: bytes, *, layer2: bool) -> Piece | None:
    """What is to be known of an IP packet, or of a frame with `layer2`; None: all stands where filters look.

    Any bytes may be given. A packet with a cut header, or with too many headers, is left to filters as it is.
    """
    start = ip_in_frame(packet) if layer2 else 0
    if (layer2 and not start) or len(packet) < start + _IPV4_HEADER:
        return None
    version = packet[start] >> 4
    if version == 4:
        if packet[start] < _USUAL_FIRST:  # no header is so short, and `classify` knows of no IP packet there
            return None
        upper, lower = packet[start + 6], packet[start + 7]
        if not (upper & _MORE_FRAGMENTS_OR_OFFSET or lower):
            return None
        name = packet[start + 12 : start + 20] + packet[start + 9 : start + 10] + packet[start + 4 : start + 6]
        return Piece(None, name, not (upper & _OFFSET or lower))
    if version == 6 and len(packet) >= start + _IPV6_HEADER and packet[start + 6] in _EXTENSIONS:
        return _ipv6_piece(packet, start)
    return None


def _ipv6_piece(packet: bytes, start: int) -> Piece | None:
    kind, at, name = packet[start + 6], start + _IPV6_HEADER, b""
    for _ in range(_MOST_HEADERS):
        if kind not in _EXTENSIONS:
            break
        if at + 8 > len(packet):
            return None
        if kind == _FRAGMENT:
            place = packet[at + 2] << 8 | packet[at + 3]  # offset in units of 8 bytes above 3 bits of flags
            if place & 0xFFF9:
                name = packet[start + 8 : start + 40] + packet[at + 4 : at + 8]
            if place & 0xFFF8:
                return Piece(_without(packet, start, at, kind), name, first=False)
            kind = packet[at]
            at += 8
        else:
            kind, at = packet[at], at + 8 + 8 * packet[at + 1]
    if kind in _EXTENSIONS or at > len(packet):
        return None
    return Piece(_without(packet, start, at, kind), name, first=bool(name))


def _without(packet: bytes, start: int, at: int, kind: int) -> bytes:
    """The packet without the headers between IPv6's own at `start` and `at`, where a header of this kind begins."""
    return packet[: start + 6] + bytes((kind,)) + packet[start + 7 : start + _IPV6_HEADER] + packet[at:]


class FragmentTable:
    """What was decided for the first fragments of datagrams: a number for each. All times are of one clock."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[bytes, int, float]] = {}

    def note(self, name: bytes, decision: int, now: float) -> None:
        """The first fragment of that name has come; `decision` is 0 to 65535."""
        self._places[crc32(name) % REMEMBERED] = (name, decision, now)

    def find(self, name: bytes, now: float) -> int | None:
        """What was decided for the first fragment, if it is known."""
        noted, decision, at = self._places.get(crc32(name) % REMEMBERED, (b"", 0, 0.0))
        return decision if noted == name and now - at < LIFETIME else None

    def clear(self) -> None:
        """Forgets all."""
        self._places.clear()
