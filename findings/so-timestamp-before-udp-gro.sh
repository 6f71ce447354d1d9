#!/bin/sh
# With SO_TIMESTAMP on a UDP socket its control message comes before that of UDP_GRO, and IP_PKTINFO behind both.
#
# Seen on Linux 6.18.44. Who takes the first control message for UDP_GRO, or has room for that one only, takes a whole run
# for one datagram. A service gets such a socket from systemd by "Timestamping=us" in its socket unit.
#
#     UDP_GRO: UDP_GRO
#     with SO_TIMESTAMP: SO_TIMESTAMP UDP_GRO
#     with IP_PKTINFO too: SO_TIMESTAMP UDP_GRO IP_PKTINFO
#     room for one: SO_TIMESTAMP, truncated
#
# Needs python3; works in a folder of its own. Fails if it is not so any more.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
echo "kernel $(uname -r)"
cat >seen.py <<'PROGRAM'
import socket, struct

SO_TIMESTAMP, UDP_SEGMENT, UDP_GRO, IP_PKTINFO = 29, 103, 104, 8
NAMES = {
    (socket.SOL_SOCKET, SO_TIMESTAMP): "SO_TIMESTAMP",
    (socket.IPPROTO_UDP, UDP_GRO): "UDP_GRO",
    (socket.IPPROTO_IP, IP_PKTINFO): "IP_PKTINFO",
}
near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
near.bind(("127.0.0.1", 0))
near.settimeout(2)
far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def order(room=512):
    segment = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", 100))]
    far.sendmsg([bytes(300)], segment, 0, near.getsockname())
    data, control, flags, _ = near.recvmsg(65535, room)
    assert len(data) == 300, "the run was not joined"
    words = " ".join(NAMES[level, kind] for level, kind, _ in control)
    return words + (", truncated" if flags & socket.MSG_CTRUNC else "")


near.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
print("UDP_GRO:", order())
near.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
print("with SO_TIMESTAMP:", order())
near.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
print("with IP_PKTINFO too:", order())
print("room for one:", order(socket.CMSG_SPACE(16)))
PROGRAM
python3 seen.py | tee seen
cat >expected <<'SEEN'
UDP_GRO: UDP_GRO
with SO_TIMESTAMP: SO_TIMESTAMP UDP_GRO
with IP_PKTINFO too: SO_TIMESTAMP UDP_GRO IP_PKTINFO
room for one: SO_TIMESTAMP, truncated
SEEN
cmp seen expected
echo "as described"
