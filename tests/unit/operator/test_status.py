"""The status that is rendered: upstream's title and JSON, and what was added."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest

from mlvpnd import __version__
from mlvpnd.operator import faces, status
from mlvpnd.operator.metrics import to_metrics
from mlvpnd.operator.status import LinkOffload, LinkState, ReorderStatus, TunOffload, format_address
from tests.support.example_status import HOSTILE, START, link, tunnel


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("192.0.2.1", 5080), "192.0.2.1:5080"),
        (("2001:db8::1", 5080, 0, 0), "[2001:db8::1]:5080"),
        (("2001:DB8:0::1", 5080), "[2001:db8::1]:5080"),
        (("::ffff:192.0.2.1", 5080, 0, 0), "192.0.2.1:5080"),
        (("fe80::1", 5080, 0, 2), "[fe80::1%2]:5080"),
        (("192.0.2.1", 5080, "198.51.100.1"), "192.0.2.1:5080"),
        (("fe80::1", 5080, 0, 2, "fe80::2", 2), "[fe80::1%2]:5080"),
        (("fe80::1%eth0", 5080, 0, 2), "[fe80::1%eth0]:5080"),
        (("no address", 1), "no address:1"),
        (None, ""),
    ],
)
def test_format_address(address: status.Address | None, text: str) -> None:
    assert format_address(address) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("192.0.2.1:5080", ("192.0.2.1", 5080)),
        ("[2001:db8::1]:5080", ("2001:db8::1", 5080)),
        ("[fe80::1%2]:1", ("fe80::1%2", 1)),
        ("", ("", 0)),
    ],
)
def test_split_address_undoes_format_address(text: str, parts: tuple[str, int]) -> None:
    assert faces.split_address(text) == parts


def test_marked_links_are_the_title_without_its_name() -> None:
    now = tunnel(link("t1"), link("t2", LinkState.DISCONNECTED))
    assert status.marked_links(now) == "!t2 @t1"
    assert status.title(now) == "mlvpn !t2 @t1"


def test_states_are_upstreams() -> None:
    assert [(state.number, state.word, state.mark, state.up) for state in LinkState] == [
        (0, "disconnected", "!", False),
        (1, "waiting peer", "!", False),
        (2, "connected", "@", True),
        (3, "lossy link", "~", True),
        (4, "slow link", "~", True),
        (-1, "disabled", "-", False),  # ours
    ]


def test_title_has_the_newest_link_first() -> None:
    assert status.title(tunnel(link("t1"), link("t2", LinkState.WAITING))) == "mlvpn !t2 @t1"
    assert status.title(
        tunnel(link("adsl"), link("3g", LinkState.LOSSY), link("wifi", LinkState.SLOW), name="home")
    ) == ("home ~wifi ~3g @adsl")
    assert status.title(tunnel(link("adsl"), link("lte", LinkState.DISABLED))) == "mlvpn -lte @adsl"


def test_title_cuts_long_names_and_leaves_an_empty_one_out() -> None:
    assert status.title(tunnel(link("x" * 28 + "cut"), name="")) == "@" + "x" * 28
    assert status.title(tunnel()) == "mlvpn"


def test_json_is_upstreams_with_more() -> None:
    text = status.to_json(tunnel(link("t1"), link("t2", LinkState.DISCONNECTED)))
    found = json.loads(text)
    upstream = {"name", "version", "uptime", "last_reload", "pid", "tuntap", "tunnels"}
    assert {key: found[key] for key in found if key in upstream - {"tunnels"}} == {
        "name": "mlvpn",
        "version": "1.1",
        "uptime": START,
        "last_reload": START + 60,
        "pid": 4711,
        "tuntap": {"type": "tun", "name": "mlvpn0", "mtu": 1428},
    }
    assert [key for key in found if key in upstream] == [
        "name",
        "version",
        "uptime",
        "last_reload",
        "pid",
        "tuntap",
        "tunnels",
    ]
    assert [one["name"] for one in found["tunnels"]] == ["t2", "t1"]
    assert list(found["tunnels"][0].items())[:17] == [
        ("name", "t2"),
        ("mode", "server"),
        ("bindaddr", "127.0.0.1"),
        ("bindport", "5081"),
        ("destaddr", ""),
        ("destport", ""),
        ("status", "disconnected"),
        ("sentpackets", 0),
        ("recvpackets", 0),
        ("sentbytes", 0),
        ("recvbytes", 0),
        ("bandwidth", 0),
        ("srtt", 1000),
        ("loss", 0),
        ("disconnects", 0),
        ("last_packet", START),
        ("timeout", 5),
    ]


def test_json_has_the_limits_for_segments() -> None:
    found = json.loads(status.to_json(tunnel(mss_ipv4=1388, mss_ipv6=1368)))
    assert found["mss_clamp"] == {"ipv4": 1388, "ipv6": 1368}


def test_json_keeps_upstreams_lines() -> None:
    lines = status.to_json(tunnel(link("t1"))).split("\n")
    assert lines[0] == '{"name": "mlvpn",'
    assert lines[1] == '"version": "1.1",'
    assert '   "status": "connected",' in lines
    assert lines[-2:] == ["}", "]}"]


def test_json_has_what_upstream_lacks() -> None:
    found = json.loads(
        status.to_json(
            tunnel(
                link(
                    "t1",
                    has_rtt=True,
                    srtt_ms=42.26,
                    rttvar_ms=3.14,
                    min_rtt_ms=40.0,
                    loss_percent=3,
                    peer="192.0.2.1:5080",
                    local="192.0.2.2:41000",
                    bandwidth_upload=125000,
                    share=2 / 3,
                    priority=3,
                    drops={"replayed": 2},
                    loss_tolerance=50,
                    latency_tolerance_ms=100,
                    last_packet_monotonic=12.25,
                    retransmitted=0.00987,
                    spare=True,
                    offload=LinkOffload(gso=True, gso_sends=6, gso_segments=80, gro_receives=7, gro_segments=60),
                ),
                link(
                    "t2",
                    LinkState.WAITING,
                    reason="timeout",
                    last_error="Network is unreachable",
                    fallback_only=True,
                    enabled=False,
                ),
                name="home",
                tier="normal",
                drops={"no_link": 7},
                reorder=ReorderStatus(size=64, held=3, wait_seconds=0.0255, late=1, timeouts=2, duplicates=4),
                tun_packets_read=10,
                tun_packets_written=20,
                tun_drops={"down": 2, "full": 3},
                tun_oversize=7,
                tun_offload=TunOffload(
                    tso=True, tso_reads=4, tso_segments=90, coalesced_writes=5, coalesced_segments=70
                ),
                tun_bytes_read=1000,
                tun_bytes_written=2000,
                state="up",
                mode="client",
                config_file="/etc/mlvpn/home.conf",
                cleartext_data=True,
                paced=True,
                rules=5,
            )
        )
    )
    second, first = found["tunnels"]
    assert found["mlvpnd_version"] == __version__
    assert (found["tunnel"], found["start_time"], found["uptime_seconds"]) == ("home", START, 100)
    assert (found["data_plane"], found["tier"], found["drops"]) == ("reference", "normal", {"no_link": 7})
    assert (found["state"], found["mode"], found["config_file"]) == ("up", "client", "/etc/mlvpn/home.conf")
    assert found["cleartext_data"] is True
    assert (found["paced"], found["rules"]) == (True, 5)
    assert (first["priority"], second["priority"]) == (3, 0)
    assert found["packets"] == {
        "tun_read": 10,
        "tun_written": 20,
        "tun_dropped": 5,
        "tun_drops": {"down": 2, "full": 3},
        "tun_oversize": 7,
        "tun_read_bytes": 1000,
        "tun_written_bytes": 2000,
    }
    assert found["offload"] == {
        "tso": True,
        "uso": False,
        "tso_reads": 4,
        "tso_segments": 90,
        "coalesced_writes": 5,
        "coalesced_segments": 70,
    }
    assert found["reorder"] == {"size": 64, "held": 3, "wait_ms": 25.5, "late": 1, "timeouts": 2, "duplicates": 4}
    assert (first["srtt"], first["srtt_ms"], first["rttvar_ms"], first["min_rtt_ms"]) == (42, 42.3, 3.1, 40.0)
    assert (first["bandwidth"], first["share"], first["loss"], first["up"]) == (125000, 0.6667, 3, True)
    assert (first["peer"], first["local"], first["drops"]) == ("192.0.2.1:5080", "192.0.2.2:41000", {"replayed": 2})
    assert (second["srtt"], second["srtt_ms"], second["rttvar_ms"], second["min_rtt_ms"]) == (1000, None, None, None)
    assert (second["reason"], second["last_error"]) == ("timeout", "Network is unreachable")
    assert (first["enabled"], second["enabled"]) == (True, False)
    assert (first["loss_tolerance"], first["latency_tolerance"]) == (50, 100)
    assert (first["last_packet_monotonic"], second["last_packet_monotonic"]) == (12.25, 0.0)
    assert (first["retransmitted"], first["spare"]) == (0.0099, True)
    assert (second["retransmitted"], second["spare"]) == (0, False)
    assert first["offload"] == {
        "gso": True,
        "gro": False,
        "gso_sends": 6,
        "gso_segments": 80,
        "gro_receives": 7,
        "gro_segments": 60,
    }
    assert set(second["offload"].values()) == {0}
    assert (second["up"], second["fallback_only"], second["state_since"]) == (False, True, START + 1)


@pytest.mark.parametrize("state", status.TUNNEL_STATES)
def test_a_tunnels_state_is_on_every_face(state: str) -> None:
    one = tunnel(state=state, state_since=START + 1.5, reason="adsl1: no answer")
    found = json.loads(status.to_json(one))
    assert (found["state"], found["state_since"], found["reason"]) == (state, START + 1, "adsl1: no answer")
    metrics = to_metrics(one).splitlines()
    assert f"mlvpn_state {status.TUNNEL_STATES.index(state)}" in metrics
    assert f"mlvpn_state_since_seconds {START + 1.5}" in metrics


def test_the_line_for_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    one = tunnel(link("adsl1"), link("lte", LinkState.WAITING), state="degraded", state_since=86400.0)
    assert status.service_text(one) == "!lte @adsl1"
    silent = dataclasses.replace(one, state="connecting", reason="adsl1: no answer from 192.0.2.1:5080")
    since = "Fri 1970-01-02 00:00:00 UTC"
    assert status.service_text(silent) == f"!lte @adsl1 connecting since {since}: adsl1: no answer from 192.0.2.1:5080"


def test_uptime_is_not_negative_after_a_clock_step() -> None:
    assert json.loads(status.to_json(tunnel(now=START - 5000)))["uptime_seconds"] == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_escaped(name: str) -> None:
    one = tunnel(link(name, peer=name), link("other"), name=name, interface=name)
    found = json.loads(status.to_json(one))
    assert (found["tunnel"], found["tuntap"]["name"], found["tunnels"][1]["name"]) == (name, name, name)


@pytest.mark.parametrize("count", [0, 1, 12, 128])
def test_any_number_of_links(count: int) -> None:
    one = tunnel(*(link(f"link{number}") for number in range(count)))
    names = [f"link{number}" for number in reversed(range(count))]
    assert [found["name"] for found in json.loads(status.to_json(one))["tunnels"]] == names


def test_a_snapshot_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        link("t1").name = "t2"  # type: ignore[misc]
