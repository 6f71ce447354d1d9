#!/bin/sh
# mlvpnd example: a status command. It brings the interface up and down where `configure_interface` is not set.
#
# Copy it to a directory that only root can change, owned by root, mode 0700, and name it in the configuration:
#   statuscommand = "/etc/mlvpn/mlvpn_updown.sh"
#
# It is run as root: mlvpn_updown.sh DEVICE EVENT [LINK]
#   rtun_up, rtun_down      LINK came up or went down
#   tuntap_up, tuntap_down  the first link came up, the last one went down
# with IP4, IP6, IP4_GATEWAY, IP6_GATEWAY, IP4_ROUTES, IP6_ROUTES and MTU from the configuration in its environment,
# empty where the file has none, and DEVICE. What it prints goes to the log.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
device=$1
event=$2

# add_routes FAMILY GATEWAY ROUTE...
add_routes() {
	family=$1 gateway=$2
	shift 2
	for route; do
		ip "$family" route replace "$route" ${gateway:+via "$gateway"} dev "$device"
	done
}

case $event in
tuntap_up)
	ip link set dev "$device" mtu "$MTU" up
	[ -z "$IP4" ] || ip -4 addr replace "$IP4" dev "$device"
	[ -z "$IP6" ] || ip -6 addr replace "$IP6" dev "$device"
	# shellcheck disable=SC2086  # one word a route
	add_routes -4 "$IP4_GATEWAY" $IP4_ROUTES
	# shellcheck disable=SC2086
	add_routes -6 "$IP6_GATEWAY" $IP6_ROUTES
	;;
tuntap_down)
	ip link set dev "$device" down
	;;
rtun_up | rtun_down)
	# A place for what depends on a single link, "$3".
	;;
esac
