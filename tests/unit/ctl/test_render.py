from __future__ import annotations

import io

import pytest

from mlvpnd.ctl import render
from mlvpnd.ctl.model import TunnelView
from mlvpnd.ctl.output import Output, OutputOptions

from .views import link_view, tunnel_view

NOW = render.Now(unix=1060.0, monotonic=500.0)


@pytest.fixture
def output() -> Output:
    return Output(OutputOptions(), io.StringIO())


def test_links_as_the_reference_shows_them(output: Output) -> None:
    wifi = link_view(
        "wifi",
        State="lossy",
        Weight=0.0,
        SmoothedRttUSec=210_000,
        LossPercent=14,
        TxBytes=12 << 20,
        RxBytes=83_990_937,
        RemoteAddress=["198.51.100.1", 5082],
        StateChangeTimestamp=1_000_000_000,
        LastPacketTimestampMonotonic=498_000_000,
        Disconnects=3,
    )
    assert render.link_lines([tunnel_view(link_view("adsl1"), wifi)], output, NOW, named=False) == [
        "LINK   STATE  WEIGHT  RTT     LOSS  TX        RX        REMOTE             SINCE  HEARD   OUTAGES",
        "adsl1  up     50.0 %  23 ms   0 %   1.2 GiB   8.0 GiB   198.51.100.1:5080  -      -       0",
        "wifi   lossy  -       210 ms  14 %  12.0 MiB  80.1 MiB  198.51.100.1:5082  1min   2s ago  3",
    ]


def test_links_of_several_tunnels(output: Output) -> None:
    tunnels = [tunnel_view(link_view("a")), tunnel_view(link_view("a"), name="other")]
    lines = render.link_lines(tunnels, output, NOW, named=True)
    assert [line.split()[0] for line in lines] == ["TUNNEL", "mlvpn0", "other"]


def test_a_link_that_is_down_or_taken_out(output: Output) -> None:
    down = link_view("b", State="down", LossPercent=50, SmoothedRttUSec=0, RemoteAddress=["", 0])
    assert render.link_cells(down, NOW)[1:5] == [("bad", "down"), "50.0 %", "-", "-"]
    assert render.link_cells(down, NOW)[-4:] == ["-", "-", "-", "0"]
    assert render.link_cells(link_view("c", State="disabled", Reason="disabled"), NOW)[1] == ("faint", "disabled")
    assert render.link_trouble(link_view("c", State="disabled", Reason="disabled")) == ""


def test_list(output: Output) -> None:
    assert render.list_lines(
        [tunnel_view(), tunnel_view(name="b", StatusText="", StateChangeTimestamp=1)], output, NOW
    ) == [
        "TUNNEL  STATE  MODE    INTERFACE  SINCE      LINKS",
        "mlvpn0  up     client  mlvpn0     -          @adsl1",
        "b       up     client  mlvpn0     17min 39s  -",
    ]


def test_status(output: Output) -> None:
    down = link_view("b", State="down", Reason="timeout", LastError="timeout")
    refused = link_view("c", State="waiting", Reason="bind error: x", LastError="y")
    view = tunnel_view(
        link_view("a", Reason="old"),
        down,
        refused,
        CleartextData=True,
        DataPlane="native",
        TxBytes=1024,
        TxPackets=3,
        RxPackets=4,
        StateChangeTimestamp=1_050_000_000,
        Addresses=["10.42.0.2/24", "fd42::2/64"],
        Routes=["default"],
        Log=["first\x1b", "last"],
    )
    lines = render.status_lines(view, output, NOW)
    text = "\n".join(lines)
    assert lines[0] == "● mlvpn0"
    assert "  Interface: mlvpn0 (tun), MTU 1428" in lines
    assert "    Traffic: 1.0 KiB sent (3 packets), 4 packets received" in lines
    assert " Data plane: native" in lines
    assert "Since: Thu 1970-01-01" in text
    assert "1min ago" in text
    assert "not encrypted" in text
    assert "      State: up since Thu 1970-01-01" in text
    assert "; 10s ago" in text
    assert "  Addresses: 10.42.0.2/24, fd42::2/64" in lines
    assert "     Routes: default" in lines
    assert lines[-5:] == ["b: timeout", "c: bind error: x; y", "", "first\\x1b", "last"]
    assert "no links" in render.status_lines(tunnel_view(), output, NOW)


def test_status_of_a_tunnel_that_does_not_answer(output: Output) -> None:
    view = TunnelView("b", {"Name": "b", "State": "restarting", "Reason": "again and again", "Log": ["why"]}, ())
    assert render.status_lines(view, output, NOW) == [
        "● b",
        "      State: restarting",
        "     Reason: again and again",
        "",
        "why",
    ]
    assert render.list_lines([view], output, NOW)[1] == "b       restarting  -     -          -      -"


def test_values() -> None:
    values = [True, False, ["::1", 5], ["/a", "/b"], [], 12.5, 7, "x\n", ["", 0]]
    assert [render.value_text(value) for value in values] == [
        "yes",
        "no",
        "[::1]:5",
        "/a /b",
        "",
        "12.5",
        "7",
        "x\\x0a",
        "",
    ]
    assert render.bandwidth_text(2_500_000) == "2500000 bytes/s (20.0 Mbit/s)"


def test_a_start_is_no_reload(output: Output) -> None:
    started = tunnel_view(StartTimestamp=1_000_000_000, LastReloadTimestamp=1_000_000_000)
    assert not any("Reloaded" in line for line in render.status_lines(started, output, NOW))
    reloaded = tunnel_view(StartTimestamp=1_000_000_000, LastReloadTimestamp=2_000_000_000)
    assert any("Reloaded" in line for line in render.status_lines(reloaded, output, NOW))
