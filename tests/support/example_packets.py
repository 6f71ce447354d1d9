"""A key and packets for the scapy layer's tests."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from mlvpnd.scapy_layer import derive_key

KEY = derive_key(b"secret")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # given, or scapy asks the network by ARP
PING = bytes(IP(src="10.42.43.1", dst="10.42.43.2") / ICMP())
PING6 = bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=7, dport=9) / b"hello")
