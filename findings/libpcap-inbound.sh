#!/bin/sh
# libpcap 1.10.3 (Debian libpcap0.8 1.10.3-1): "inbound", "outbound" and "ifindex N" compile for a handle of
# pcap_open_dead(3pcap), where no packet has a direction or an interface. The program then loads from offset 0xfffff004
# (or 0xfffff008), which only the kernel understands. bpf_filter(3pcap) takes that for a load behind the end of the packet,
# and returns 0 for the whole program: what stands behind such a word in the expression is never looked at.
#
# Seen on a UDP packet of IPv4, DLT_RAW:
#     udp                  matches
#     inbound or udp       does not match
#     outbound or udp      does not match
#     not inbound          does not match
#     ifindex 1 or udp     does not match
#     udp or inbound       matches
#
# Fetches the pinned package of Debian 12 by apt into a folder of its own. Exit status 0: as stated; 1: it is no longer so.
set -eu

version=1.10.3-1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download "libpcap0.8=$version"
dpkg -x libpcap0.8_*.deb unpacked
library=$(find "$folder/unpacked" -name 'libpcap.so.0.8')

cat >matches.py <<'PYTHON'
import ctypes
import sys


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.c_void_p)]


pcap = ctypes.CDLL(sys.argv[1])
pcap.pcap_lib_version.restype = ctypes.c_char_p
pcap.pcap_open_dead.restype = ctypes.c_void_p
pcap.pcap_geterr.restype = ctypes.c_char_p
pcap.pcap_geterr.argtypes = [ctypes.c_void_p]
pcap.pcap_compile.argtypes = [ctypes.c_void_p, ctypes.POINTER(Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32]
pcap.bpf_filter.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint]
pcap.bpf_filter.restype = ctypes.c_uint
DLT_RAW = 12
packet = bytes.fromhex("4500001c000040004011000a0a0000010a0000021388003500080000")
print(pcap.pcap_lib_version().decode())
for expression in ("udp", "inbound or udp", "outbound or udp", "not inbound", "ifindex 1 or udp", "udp or inbound"):
    handle, program = pcap.pcap_open_dead(DLT_RAW, 65535), Program()
    if pcap.pcap_compile(handle, program, expression.encode(), 1, 0xFFFFFFFF):
        print(f"{expression}: {pcap.pcap_geterr(handle).decode()}")
        continue
    found = pcap.bpf_filter(program.instructions, packet, len(packet), len(packet))
    print(f"{expression}: {'matches' if found else 'does not match'}")
PYTHON

cat >expected <<'TEXT'
libpcap version 1.10.3 (with TPACKET_V3)
udp: matches
inbound or udp: does not match
outbound or udp: does not match
not inbound: does not match
ifindex 1 or udp: does not match
udp or inbound: matches
TEXT

python3 matches.py "$library" >seen
cat seen
diff expected seen >&2
