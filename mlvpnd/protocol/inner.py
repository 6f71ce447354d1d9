"""The packet inside: what DATA must look like to be what its header says.

A header is not authenticated, so the type of any packet can be changed on the way; a DATA that holds no packet
was no DATA.
"""

from __future__ import annotations

_IPV4_HEADER = 20
_IPV6_HEADER = 40
_ETHERNET_HEADER = 14


def packet_from(plaintext: bytes, *, layer2: bool) -> bytes | None:
    """The IP packet or Ethernet frame in the payload of a DATA, or None if there is none.

    BSD peers send 4 stray bytes after each IP packet (mlvpn-protocol(7)); the IP length rules.
    """
    size = len(plaintext)
    if layer2:
        return plaintext if size >= _ETHERNET_HEADER else None
    if not size:
        return None
    version = plaintext[0] >> 4
    if version == 4 and size >= _IPV4_HEADER:
        length = plaintext[2] << 8 | plaintext[3]
        minimum = _IPV4_HEADER
    elif version == 6 and size >= _IPV6_HEADER:
        length = _IPV6_HEADER + (plaintext[4] << 8 | plaintext[5])
        minimum = _IPV6_HEADER
    else:
        return None
    if length == size:
        return plaintext
    return plaintext[:length] if minimum <= length < size else None
