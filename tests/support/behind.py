"""Hosts behind the ends of a tunnel: their own network takes 1500 bytes, whatever the tunnel takes.

home 10.77.1.2, fd77:1::2  --  client  ==tunnel==  server  --  site 10.77.2.2, fd77:2::2
"""

from __future__ import annotations

from dataclasses import dataclass

from .lab import Host, Lab
from .tunnels import CLIENT_INNER_IPV4, CLIENT_INNER_IPV6, SERVER_INNER_IPV4, SERVER_INNER_IPV6

HOME, SITE = ("10.77.1.2", "fd77:1::2"), ("10.77.2.2", "fd77:2::2")
"""IPv4 and IPv6 addresses."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A host behind each end; routes lead through the tunnel, which must be up."""

    home: Host
    site: Host


def put_behind(lab: Lab) -> Behind:
    """Adds both hosts. The ends of the tunnel forward their packets."""
    home = _add(lab, lab.client, "home", 1)
    site = _add(lab, lab.server, "site", 2)
    lab.client.ip(f"route add 10.77.2.0/24 via {SERVER_INNER_IPV4}")
    lab.client.ip(f"route add fd77:2::/64 via {SERVER_INNER_IPV6}", ipv6=True)
    lab.server.ip(f"route add 10.77.1.0/24 via {CLIENT_INNER_IPV4}")
    lab.server.ip(f"route add fd77:1::/64 via {CLIENT_INNER_IPV6}", ipv6=True)
    return Behind(home, site)


def tell_nobody(router: Host, number: int) -> None:
    """A router answers nothing to the host behind it, as with filtered ICMP: too long packets vanish.

    The router's forwarding goes on. The host knows the router's link address, because it could not ask for it.
    """
    host = Host(f"{router.name.rpartition('-')[0]}-{'home' if number == 1 else 'site'}")
    address = router.run("cat", "/sys/class/net/lan0/address").strip()
    for gateway in (f"10.77.{number}.1", f"fd77:{number}::1"):
        host.ip(f"neigh replace {gateway} lladdr {address} dev eth0 nud permanent")
    router.ip(f"rule add iif lo to 10.77.{number}.2 blackhole priority 10")
    router.ip(f"rule add iif lo to fd77:{number}::2 blackhole priority 10", ipv6=True)


def _add(lab: Lab, router: Host, label: str, number: int) -> Host:
    host = lab.add_host(label)
    for one in (host, router):
        one.sysctl(ipv6__conf__all__accept_dad=0, ipv6__conf__default__accept_dad=0)
    router.ip(f"link add lan0 type veth peer name eth0 netns {host.name}", "link set lan0 up")
    router.ip(f"addr add 10.77.{number}.1/24 dev lan0", f"addr add fd77:{number}::1/64 dev lan0 nodad")
    router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
    host.ip(
        "link set eth0 up", f"addr add 10.77.{number}.2/24 dev eth0", f"addr add fd77:{number}::2/64 dev eth0 nodad"
    )
    host.ip(f"route add default via 10.77.{number}.1")
    host.ip(f"route add default via fd77:{number}::1", ipv6=True)
    return host
