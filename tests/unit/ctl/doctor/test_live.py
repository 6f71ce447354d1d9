from __future__ import annotations

import dataclasses
import errno
from ipaddress import ip_address

import pytest

from mlvpnd.config import Mode
from mlvpnd.ctl.doctor.finding import Finding, problem
from mlvpnd.ctl.doctor.live import (
    check_boot,
    check_helper,
    check_interface,
    check_link,
    check_password,
    check_remote,
    check_reorder,
    check_unit,
    together,
)
from mlvpnd.ctl.doctor.network import Interface, Route
from mlvpnd.ctl.doctor.routing import Uplink
from mlvpnd.ctl.model import LinkView
from tests.unit.ctl.views import link_view, tunnel_view

from .facts import CLIENT, ETH0, SERVER, FakeNetwork, bad, config_of, ends, only

UPLINK = Uplink(ends(config_of())[0], ETH0, Route(ETH0.index, ip_address("192.0.2.1")), good=True)


@pytest.mark.parametrize(
    ("state", "running", "severity", "text"),
    [
        ({"ActiveState": "active"}, True, "ok", "is running"),
        (None, True, "ok", "is running"),
        ({"ActiveState": "inactive"}, True, "ok", "started by hand"),
        (None, False, "warning", "is not running, or cannot be asked"),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, False, "problem", "no unit mlvpn@t"),
        ({"LoadState": "masked", "ActiveState": "inactive"}, False, "problem", "is masked"),
        ({"ActiveState": "failed", "Result": "watchdog"}, False, "problem", "has failed (watchdog)"),
        ({"ActiveState": "active"}, False, "warning", "runs but cannot be asked"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, False, "warning", "activating (auto-restart)"),
        ({"ActiveState": "inactive"}, False, "warning", "is not running"),
    ],
)
def test_the_service(state: dict[str, str] | None, *, running: bool, severity: str, text: str) -> None:
    (found,) = check_unit("t", state, tunnel_view() if running else None)
    assert found.severity.value == severity
    assert text in found.text


@pytest.mark.parametrize(
    ("service", "socket", "told"),
    [
        ("disabled", "disabled", True),
        ("enabled-runtime", "disabled", True),
        ("enabled", "disabled", False),
        ("disabled", "enabled", False),
        ("linked", "disabled", False),
    ],
)
def test_a_tunnel_that_no_boot_starts(service: str, socket: str, *, told: bool) -> None:
    found = [*check_boot("t", [{"UnitFileState": service}, {"UnitFileState": socket}])]
    assert [one.commands for one in found] == [("systemctl enable mlvpn@t",)] * told
    assert [*check_boot("t", [{"UnitFileState": "disabled"}, {}])] == []  # an older systemd, or no such unit


def test_the_helpers_sockets() -> None:
    sockets = {"mlvpn-helper@t.socket": {"ActiveState": "inactive"}, "mlvpn-script@t.socket": {"ActiveState": "active"}}
    (found,) = check_helper("t", {"ActiveState": "active"}, sockets)
    assert found.commands == ("systemctl restart mlvpn-helper@t.socket",)
    for state in ("inactive", "failed"):
        assert [*check_helper("t", {"ActiveState": state}, sockets)] == []
    assert [*check_helper("t", {"ActiveState": "active"}, {"a": {"ActiveState": "active"}})] == []


def test_another_password_is_told_once_for_all_links() -> None:
    closed = {"State": "waiting", "Drops": {"not_authentic": 3}}
    tunnel = tunnel_view(
        link_view("a", **closed), link_view("b", **closed), link_view("c", Drops={"not_authentic": 9}), name="t"
    )
    (found,) = check_password(config_of(), tunnel)
    assert found.text.startswith("a and b: 6 datagrams came that do not open: the server has another password. ")
    (found,) = check_password(config_of(SERVER), tunnel_view(link_view("a", **closed), name="t"))
    assert "the client has another password" in found.text
    assert found.link == "a"
    for fine in ({"State": "waiting"}, closed | {"Enabled": False}):
        assert [*check_password(config_of(), tunnel_view(link_view("a", **fine)))] == []


def test_an_address_that_the_name_no_longer_has() -> None:
    (found,) = check_remote(UPLINK, tunnel_view(link_view("adsl1", RemoteAddress=["192.0.2.77", 5080]), name="t"))
    assert found.severity.value == "warning"
    assert found.text == "adsl1: the link goes to 192.0.2.77, but 198.51.100.1 is 198.51.100.1 now"
    assert found.commands == ("mlvpnctl link t adsl1 reconnect",)
    gone = link_view("adsl1", State="down", RemoteAddress=["192.0.2.77", 5080])
    (found,) = check_remote(UPLINK, tunnel_view(gone))
    assert found.severity.value == "problem"
    for address in (["198.51.100.1", 5080], ["", 0], None):
        assert [*check_remote(UPLINK, tunnel_view(link_view("adsl1", RemoteAddress=address)))] == []
    unknown = dataclasses.replace(UPLINK, ends=dataclasses.replace(UPLINK.ends, remotes=()))
    assert [*check_remote(unknown, tunnel_view(gone))] == []


def interface(*devices: Interface, running: bool = True, link_state: str = "up") -> list[Finding]:
    tunnel = tunnel_view(link_view("a", State=link_state)) if running else None
    return [*check_interface(config_of(), FakeNetwork(devices=[*devices]), tunnel)]


def test_the_tunnels_interface() -> None:
    up = Interface(9, "mlvpn0", up=True, carrier=True, mtu=1428)
    down = Interface(9, "mlvpn0", up=False, carrier=False, mtu=1428)
    assert bad(interface(up)) == []
    assert "is gone" in interface()[0].text
    assert interface(down)[0].commands[0] == "ip link set mlvpn0 up"
    assert bad(interface(down, link_state="down")) == []
    assert "other than this tunnel" in interface(up, running=False)[0].text
    assert interface(down, running=False) == interface(running=False) == []


def test_a_bridge_with_longer_frames() -> None:
    tap = Interface(9, "mlvpn0", up=True, carrier=True, mtu=1414, bridge=7)
    lan = Interface(8, "lan0", up=True, carrier=True, mtu=1500, bridge=7)
    elsewhere = Interface(6, "eth5", up=True, carrier=True, mtu=9000, bridge=5)
    found = only(interface(tap, lan, elsewhere, ETH0), "bridge-mtu")
    assert found.text.startswith("the bridge drops frames of more than 1414 bytes for mlvpn0 without a message: ")
    assert "its other port lan0 takes 1500 bytes. " in found.text
    assert "'mtu = 1500'" in found.text
    for others in ((elsewhere,), (dataclasses.replace(lan, mtu=1414),), (dataclasses.replace(lan, bridge=0),)):
        assert bad(interface(tap, *others)) == []
    assert bad(interface(dataclasses.replace(tap, mtu=1500), lan)) == []


def peer(
    link: LinkView | None, probed: int | None = None, *, gateway_dead: bool = False, mode: Mode = Mode.CLIENT
) -> Finding:
    tunnel = tunnel_view(link, name="srv-1") if link is not None else None
    (found,) = check_link(UPLINK, tunnel, probed, mode=mode, gateway_dead=gateway_dead, explained=False)
    return found


def test_links_that_answer() -> None:
    assert peer(link_view("adsl1")).text == "adsl1: the peer answers by eth0, round trip 23 ms"
    lossy = peer(link_view("adsl1", State="lossy", LossPercent=14))
    assert (lossy.severity.value, lossy.text) == (
        "warning",
        "adsl1: the peer answers by eth0, but the link loses 14 % of its packets",
    )
    assert "loses 3 %" in peer(link_view("adsl1", LossPercent=3)).text
    assert "is slow, round trip 23 ms" in peer(link_view("adsl1", State="slow")).text


def test_a_link_out_of_use() -> None:
    found = peer(link_view("adsl1", State="down", Enabled=False))
    assert (found.check, found.text, found.commands) == (
        "disabled",
        "adsl1: disabled by an operator",
        ("mlvpnctl link srv-1 adsl1 enable",),
    )


@pytest.mark.parametrize(
    ("probed", "text"),
    [
        (errno.ECONNREFUSED, "nothing listens at its port 5080"),
        (errno.EHOSTUNREACH, "the way to the peer 198.51.100.1 ends: no route to host"),
        (errno.EACCES, "a firewall refuses packets to 198.51.100.1 port 5080"),
        (errno.EMSGSIZE, "packets to the peer 198.51.100.1 fail: message too long"),
    ],
)
def test_errors_that_come_back(probed: int, text: str) -> None:
    for link in (None, link_view("adsl1", State="down")):
        found = peer(link, probed)
        assert found.severity.value == "problem"
        assert text in found.text
        assert found.text.startswith("adsl1: the link is down; " if link else "adsl1: ")


def test_what_links_have_together_is_told_once() -> None:
    refused = [
        problem(
            "peer",
            f"{name}: the link is down; the peer is there, but nothing listens at its port {port}: why?",
            link=name,
        )
        for name, port in (("a", 5080), ("b", 5081))
    ]
    dead = [problem("peer", f"{name}: the router does not answer", f"ping {name}", link=name) for name in "ab"]
    first, *others = together([*refused, *dead])
    assert (
        first.text == "a and b: the link is down; the peer is there, but nothing listens at its ports 5080, 5081: why?"
    )
    assert others == dead
    silent = [problem("peer", f"{name}: no packet comes back", f"log {name}", link=name) for name in "ab"]
    assert [one.commands for one in together(silent)] == [("log a", "log b")]
    assert [*together(silent[:1])] == silent[:1]


def test_silence() -> None:
    found = peer(link_view("adsl1", State="waiting"), 0)
    assert "is the password the same" in found.text
    assert "has not called" in peer(link_view("adsl1", State="waiting"), mode=Mode.SERVER).text
    assert found.commands == ("mlvpnctl log srv-1 adsl1",)
    assert peer(None, 0).severity.value == "ok"
    options = {"mode": Mode.CLIENT, "gateway_dead": False}
    assert [*check_link(UPLINK, None, None, explained=False, **options)] == []  # type: ignore[arg-type]
    dead = peer(link_view("adsl1", State="down"), 0, gateway_dead=True)
    assert "the router 192.0.2.1 on eth0 does not answer" in dead.text


@pytest.mark.parametrize(
    ("size", "slow_ms", "wanted"),
    [(512, 200, ""), (128, 200, "reorder_buffer_size = 536"), (64, 40, ""), (63, 900, "= 2412"), (0, 900, "")],
)
def test_the_reorder_buffer(size: int, slow_ms: int, wanted: str) -> None:
    """The buffer must hold 3.75 MB/s while the slow link's packets are late: for half the difference of round trips."""
    config = config_of(CLIENT.replace("reorder_buffer_size = 512", f"reorder_buffer_size = {size}"))
    links = [link_view("a", SmoothedRttUSec=0), link_view("b", SmoothedRttUSec=20_000)]
    links.append(link_view("c", SmoothedRttUSec=20_000 + slow_ms * 1000))
    found = [*check_reorder(config, tunnel_view(*links))]
    text = " ".join(one.text for one in found if one.severity.value == "warning")
    assert (wanted in text) if wanted else not text
