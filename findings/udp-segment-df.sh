#!/bin/sh
# Linux sets DF on single UDP datagrams over IPv4, and not on those of a UDP_SEGMENT run that is longer than the MTU.
#
# Seen on Linux 6.18.44, with the default IP_MTU_DISCOVER. The whole run is compared with the MTU, before it is cut. So a
# sender of long runs never learns the path's MTU, while its single datagrams of the same size do. A router splits the former.
#
#     single 1400: DF
#     run 2 x 350: DF DF
#     run 3 x 1400: - - -
#
# Needs root and python3; works in a network namespace and a folder of its own. Fails if it is not so any more.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
echo "kernel $(uname -r)"
cat >seen.py <<'PROGRAM'
import socket, struct, subprocess

UDP_SEGMENT, ETH_P_ALL = 103, 3
subprocess.run(["sh", "-ec", """
    ip link add va type veth peer name vb
    ip addr add 198.18.9.1/24 dev va
    ip link set va up
    ip link set vb up
    ip neigh add 198.18.9.2 lladdr 02:00:00:00:00:01 dev va
"""], check=True)
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
tap.bind(("vb", ETH_P_ALL))
tap.settimeout(0.3)
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def flags(sizes, segment=0):
    """DF or - of each datagram; a run that is still one packet here counts once for each of its datagrams."""
    control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", segment))] if segment else []
    out.sendmsg([bytes(size) for size in sizes], control, 0, ("198.18.9.2", 9))
    found = []
    try:
        while True:
            frame = tap.recv(65536)
            if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP:
                count = max(1, (len(frame) - 42) // segment) if segment else 1
                found += ["DF" if frame[20] & 0x40 else "-"] * count
    except TimeoutError:
        return " ".join(found)


print("single 1400:", flags([1400]))
print("run 2 x 350:", flags([350] * 2, 350))
print("run 3 x 1400:", flags([1400] * 3, 1400))
PROGRAM
unshare --net python3 seen.py | tee seen
cat >expected <<'SEEN'
single 1400: DF
run 2 x 350: DF DF
run 3 x 1400: - - -
SEEN
cmp seen expected
echo "as described"
