from __future__ import annotations

from pathlib import Path

from mlvpnd.ctl.doctor.capacity import check_bandwidths, check_connections, check_unread, is_unread
from mlvpnd.ctl.doctor.finding import Finding
from mlvpnd.ctl.doctor.routing import Uplink
from mlvpnd.ctl.model import LinkView
from tests.unit.ctl.views import link_view, tunnel_view

from .facts import CLIENT, ETH0, SERVER, bad, config_of, ends, only, system_of
from .test_system import UDP

QUEUED = {"SmoothedRttUSec": 250_000, "MinRttUSec": 20_000}


def check(root: Path, bandwidth: int, *views: LinkView, speed: str = "1000", good: bool = True) -> list[Finding]:
    config = config_of(CLIENT.replace("bandwidth_upload = 2500000", f"bandwidth_upload = {bandwidth}"))
    uplinks = [Uplink(one, ETH0, good=good) for one in ends(config)]
    system = system_of(root, sys__class__net__eth0__speed=speed)
    return [*check_bandwidths(config, system, uplinks, tunnel_view(*views) if views else None)]


def test_bandwidths_of_interfaces(tmp_path: Path) -> None:
    assert check(tmp_path, 2_500_000) == []
    assert check(tmp_path, 125_000_000, speed="-1") == []
    found = only(check(tmp_path, 125_000_000), "bandwidth")
    assert found.text.startswith("adsl1: its bandwidth_upload is 1.0 Gbit/s. This is the speed of the interface eth0")
    assert "but eth0 takes 1.0 Gbit/s only" in only(check(tmp_path, 250_000_000), "bandwidth").text


def test_packets_that_wait_in_the_line(tmp_path: Path) -> None:
    found = only(check(tmp_path, 2_500_000, link_view("adsl1", **QUEUED), link_view("adsl2")), "bandwidth")
    assert "is 20.0 Mbit/s, but its packets wait in the line: the round trip is 250 ms, and it was 20 ms" in found.text
    for fine in ({"State": "down"}, {"MinRttUSec": 0}, {"MinRttUSec": 200_000}, {"SmoothedRttUSec": 60_000}):
        assert check(tmp_path, 2_500_000, link_view("adsl1", **QUEUED | fine)) == []
    # A route that is wrong, as into the tunnel itself, has a finding of its own.
    assert check(tmp_path, 2_500_000, link_view("adsl1", **QUEUED), good=False) == []


def test_weights_are_no_rates(tmp_path: Path) -> None:
    assert check(tmp_path, 1, link_view("adsl1", **QUEUED)) == []


def test_sockets_that_are_not_read(tmp_path: Path) -> None:
    uplinks = [Uplink(one, ETH0) for one in ends(config_of(SERVER))]
    system = system_of(tmp_path, proc__net__udp=UDP)
    (found,) = check_unread(system, uplinks, tunnel_view())
    assert found.text.startswith("adsl1: the kernel dropped 170 datagrams")
    assert [*check_unread(system, uplinks, None)] == []
    assert [is_unread(system, one) for one in uplinks] == [True, False]


def test_connections(tmp_path: Path) -> None:
    name = "proc__sys__net__netfilter__nf_conntrack"
    for count, full in (("89", False), ("90", True)):
        found = bad([*check_connections(system_of(tmp_path, **{f"{name}_count": count, f"{name}_max": "100"}))])
        assert bool(found) is full
    assert [*check_connections(system_of(tmp_path / "none"))] == []
