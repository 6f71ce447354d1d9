"""The header before each packet of an interface with IFF_VNET_HDR: `struct virtio_net_hdr` (linux/virtio_net.h)."""

from __future__ import annotations

from struct import Struct

VNET = Struct("=BBHHHH")
"""Flags, kind of super-packet, bytes of all headers, bytes of a segment, checksum's start, and offset of its field from
there. In the machine's byte order, unless TUNSETVNETLE or TUNSETVNETBE change it."""
VNET_SIZE = VNET.size
NEEDS_CSUM = 1
"""Flag: the checksum field holds the pseudo header's sum; the rest must be added."""

GSO_NONE = 0
GSO_TCPV4 = 1
GSO_TCPV6 = 4
GSO_UDP = 5
"""VIRTIO_NET_HDR_GSO_UDP_L4: datagrams of equal size, not one datagram's fragments."""
GSO_ECN = 0x80
"""Flag with the TCP kinds: the first segment has CWR."""

TCP = 6
UDP = 17
IPV4_HEADER = 20
IPV6_HEADER = 40
TCP_HEADER = 20
UDP_HEADER = 8
ETHERNET_HEADER = 14
VLAN_TAG = 4
VLAN_TYPES = frozenset({b"\x81\x00", b"\x88\xa8"})
IPV4_TYPE = b"\x08\x00"
IPV6_TYPE = b"\x86\xdd"

TCP_CHECKSUM = 16
"""Offset of the field in the header."""
UDP_CHECKSUM = 6
TCP_FLAGS = 13
"""Offset of the byte in the header."""
FIN, SYN, PSH, ACK, CWR = 0x01, 0x02, 0x08, 0x10, 0x80
