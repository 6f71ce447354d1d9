"""What `mlvpn-decode` does, and only it: needs scapy, which nothing else of mlvpnd does.

`reader` reads a capture packet by packet; `decoder` makes lines of them by `mlvpnd.scapy_layer`.
"""
