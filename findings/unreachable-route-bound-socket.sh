#!/bin/sh
# An `unreachable` default route is no obstacle that a socket bound to a device (SO_BINDTODEVICE) goes round. The kernel
# looks at the kind of the best route before it looks at its device, so the lookup fails. For a bound socket it then takes
# the destination for a neighbour on that device: the device's own default route, with its gateway, does not count any
# more. The send succeeds, and the packet waits for an ARP answer that nobody gives. A route of the kind `unicast` by
# another device, with the same metric as the `unreachable` one had, is passed over as one would guess.
#
#     a better default route by another device: 203.0.113.7 via 192.0.2.1 dev line
#     a better unreachable default route:       203.0.113.7 dev line
#     a send by a socket bound to the line:     sent; asked by ARP for: 203.0.113.7
#
# Works in a network namespace of its own; needs root, and iproute2 of the system. Prints what it saw.
# Seen with Linux 6.18 and iproute2 6.1. Exit code 0: as described; 1: another behaviour.
set -eu
exec unshare --net sh -eu <<'PROGRAM'
uname -r; ip -V
ip link set lo up
ip link add line type veth peer name far
ip link add other type veth peer name beyond
for device in line far other beyond; do ip link set "$device" up; done
ip address add 192.0.2.2/24 dev line
ip address add 198.51.100.2/24 dev other
ip route add default via 192.0.2.1 dev line metric 100

way() { ip route get 203.0.113.7 oif line 2>&1 | sed -n '1s/ src.*//p'; }
bound() {
	python3 -c '
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"line")
try:
    one.sendto(b"x", ("203.0.113.7", 9))
    print("sent")
except OSError as error:
    print(error.strerror)'
}
gateway_asked() { ip neighbour show dev line | sed 's/ .*//' | tr '\n' ' '; }

ip route add default via 198.51.100.1 dev other metric 50
another=$(way)
ip route del default via 198.51.100.1 dev other metric 50
ip route add unreachable default metric 50
unreachable=$(way)
sent=$(bound)
asked=$(gateway_asked)
echo "a better default route by another device: $another"
echo "a better unreachable default route:       $unreachable"
echo "a send by a socket bound to the line:     $sent; asked by ARP for: $asked"
[ "$another" = "203.0.113.7 via 192.0.2.1 dev line" ]
[ "$unreachable" = "203.0.113.7 dev line" ]
[ "$sent" = sent ]
[ "$asked" = "203.0.113.7 " ]
PROGRAM
