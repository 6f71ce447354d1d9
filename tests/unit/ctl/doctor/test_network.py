"""Against the kernel of the machine: its loopback is the one thing that every namespace has.

Hosts with more are in tests/netns/test_doctor.py.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from mlvpnd.ctl.doctor.network import KernelNetwork


def test_the_loopback() -> None:
    with KernelNetwork() as network:
        (loopback,) = [one for one in network.interfaces() if one.name == "lo"]
        assert (loopback.loopback, loopback.up, loopback.carrier, loopback.mtu) == (True, True, True, 65536)
        address = ip_address("127.0.0.1")
        assert network.owner(address) == loopback
        assert network.owner(ip_address("192.0.2.99")) is None
        route = network.route(address, None, None)
        assert route is not None
        assert (route.interface, route.gateway) == (loopback.index, None)
        assert network.route(ip_address("127.0.0.2"), ip_address("192.0.2.99"), None) is None  # not our address
        assert network.gateway(loopback, 4) is None
        assert network.own_table(loopback, 4) is None
        assert network.device_table(loopback, 4) is None
        assert (loopback, ip_interface("127.0.0.1/8")) in network.addresses()
        assert 255 in network.tables()
        assert not network.dead_neighbour(loopback.index, address)
        assert network.strict_source_check(loopback) in (True, False)
        assert all(rule.source.version == 4 for rule in network.rules(4))
