from __future__ import annotations

import dataclasses
from ipaddress import ip_address
from pathlib import Path

import pytest

from mlvpnd.ctl.doctor.advice import Networkd, WayAdviser
from mlvpnd.ctl.doctor.ends import Ends
from tests.support.linkemu import PROJECT

from .facts import ETH0, ETH1, PPP0, FakeNetwork, config_of, ends

FIRST, SECOND = ends(config_of())
BOUND = dataclasses.replace(FIRST, local=None, link=dataclasses.replace(FIRST.link, bindhost="", binddevice="eth0"))


@pytest.fixture
def networkd(tmp_path: Path) -> Networkd:
    """A host where systemd-networkd configures eth1, from a file of netplan's."""
    (tmp_path / "run/links").mkdir(parents=True)
    (tmp_path / "run/state").touch()
    (tmp_path / "run/links/3").write_text("ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-wan.network\n")
    (tmp_path / "run/links/2").write_text("ADMIN_STATE=unmanaged\n")
    return Networkd(tmp_path / "run", Path("/etc/systemd/network"))


def adviser(network: FakeNetwork | None = None, networkd: Networkd | None = None) -> WayAdviser:
    return WayAdviser(network or FakeNetwork(), networkd or Networkd(Path("/nowhere"), Path("/nowhere")))


def test_each_line_gets_a_table() -> None:
    """Also lines that are bound to devices: a second default route in one table is refused."""
    one = adviser(FakeNetwork(used_tables={101, 254}))
    assert one.own_table(SECOND, ETH1).commands == (
        "ip route replace default via 203.0.113.1 dev eth1 table 102",
        "ip rule add from 203.0.113.2 lookup 102",
    )
    assert one.own_table(BOUND, ETH0).commands == (
        "ip route replace default via 192.0.2.1 dev eth0 table 103",
        "ip rule add oif eth0 lookup 103",
    )
    note = one.own_table(SECOND, ETH1).note
    assert note.startswith("These commands last until the next reboot. /usr/share/doc/mlvpnd/examples/network has")
    # What the note names is there.
    directory = PROJECT / "examples" / "network"
    assert {"ifupdown", "NetworkManager", "systemd-networkd"} <= {path.name for path in directory.iterdir()}


def test_what_is_there_is_used() -> None:
    there = FakeNetwork(device_tables={"eth0": 7})
    assert adviser(there).own_table(BOUND, ETH0).commands == (
        "ip route replace default via 192.0.2.1 dev eth0 table 7",
    )
    there = FakeNetwork(own_tables={"eth0": 9})
    assert adviser(there).own_table(BOUND, ETH0).commands == ("ip rule add oif eth0 lookup 9",)


def test_routers_that_are_not_known() -> None:
    unknown = dataclasses.replace(ETH0, index=77)
    advice = adviser().own_table(FIRST, unknown)
    assert advice.commands[0] == "ip route replace default via GATEWAY dev eth0 table 101"
    assert "the line's router in the place of GATEWAY" in advice.note
    assert "GATEWAY" not in adviser().own_table(FIRST, PPP0).note


def test_ipv6() -> None:
    one = dataclasses.replace(FIRST, local=ip_address("2001:db8::2"), remote=ip_address("2001:db8:1::1"))
    assert adviser().own_table(one, PPP0).commands == (
        "ip -6 route replace default dev ppp0 table 101",
        "ip -6 rule add from 2001:db8::2 lookup 101",
    )
    assert adviser().way_out(one, PPP0).commands == ("ip -6 route replace 2001:db8:1::1 dev ppp0",)


def test_without_a_peer_there_is_no_way() -> None:
    server = Ends(FIRST.link, FIRST.local, 5080)
    assert adviser().own_table(server, ETH0).commands == adviser().way_out(server, ETH0).commands == ()


def test_networkd_gets_lines_of_its_own(networkd: Networkd) -> None:
    """They are a drop-in of the file that configures the line, so they last."""
    advice = adviser(networkd=networkd).own_table(SECOND, ETH1)
    assert advice.commands == (
        "mkdir -p /etc/systemd/network/10-wan.network.d",
        r"printf '[Route]\nGateway=203.0.113.1\nTable=101\n\n[RoutingPolicyRule]\nFrom=203.0.113.2\nTable=101\n'"
        " >/etc/systemd/network/10-wan.network.d/mlvpn.conf",
        "networkctl reload",
        "networkctl reconfigure eth1",
    )
    assert advice.note == "systemd-networkd configures eth1. These lines of a .network file last over a reboot."
    to_device = dataclasses.replace(BOUND, link=dataclasses.replace(BOUND.link, binddevice="eth1"))
    (_, written, *_) = adviser(networkd=networkd).own_table(to_device, ETH1).commands
    assert r"OutgoingInterface=eth1\nTable=101\nFamily=ipv4\n" in written
    tunnel_like = dataclasses.replace(ETH1, point_to_point=True)
    (_, written, *_) = adviser(networkd=networkd).own_table(SECOND, tunnel_like).commands
    assert r"[Route]\nDestination=0.0.0.0/0\nScope=link\nTable=101\n" in written


def test_networkd_removes_the_rules_of_others(networkd: Networkd) -> None:
    advice = adviser(networkd=networkd).own_table(FIRST, ETH0)
    assert advice.commands[1] == "ip rule add from 192.0.2.2 lookup 101"
    assert "unless networkd.conf has ManageForeignRoutingPolicyRules=no" in advice.note
