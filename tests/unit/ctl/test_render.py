from __future__ import annotations

import io

import pytest

from mlvpnd.ctl import render
from mlvpnd.ctl.output import Output, OutputOptions

from .views import link_view, tunnel_view


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
    )
    assert render.link_lines([tunnel_view(link_view("adsl1"), wifi)], output, named=False) == [
        "LINK   STATE  WEIGHT  RTT     LOSS  TX        RX        REMOTE",
        "adsl1  up     50.0 %  23 ms   0 %   1.2 GiB   8.0 GiB   198.51.100.1:5080",
        "wifi   lossy  -       210 ms  14 %  12.0 MiB  80.1 MiB  198.51.100.1:5082",
    ]


def test_links_of_several_tunnels(output: Output) -> None:
    tunnels = [tunnel_view(link_view("a")), tunnel_view(link_view("a"), name="other")]
    lines = render.link_lines(tunnels, output, named=True)
    assert [line.split()[0] for line in lines] == ["TUNNEL", "mlvpn0", "other"]


def test_a_link_that_is_down_or_taken_out(output: Output) -> None:
    down = link_view("b", State="down", LossPercent=50, SmoothedRttUSec=0, RemoteAddress=["", 0])
    assert render.link_cells(down)[1:5] == [("bad", "down"), "50.0 %", "-", "-"]
    assert render.link_cells(down)[-1] == "-"
    assert render.link_cells(link_view("c", State="disabled", Reason="disabled"))[1] == ("faint", "disabled")
    assert render.link_trouble(link_view("c", State="disabled", Reason="disabled")) == ""


def test_list(output: Output) -> None:
    assert render.list_lines([tunnel_view(), tunnel_view(name="b", StatusText="")], output) == [
        "TUNNEL  STATE  MODE    INTERFACE  LINKS",
        "mlvpn0  up     client  mlvpn0     @adsl1",
        "b       up     client  mlvpn0     -",
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
    )
    lines = render.status_lines(view, output, now=1060.0)
    text = "\n".join(lines)
    assert lines[0] == "● mlvpn0"
    assert "  Interface: mlvpn0 (tun), MTU 1428" in lines
    assert "    Traffic: 1.0 KiB sent (3 packets), 4 packets received" in lines
    assert " Data plane: native" in lines
    assert "Since: Thu 1970-01-01" in text
    assert "1min ago" in text
    assert "not encrypted" in text
    assert lines[-2:] == ["b: timeout", "c: bind error: x; y"]
    assert "no links" in render.status_lines(tunnel_view(), output, now=0)


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
