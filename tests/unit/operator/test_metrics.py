"""The metrics that are rendered: upstream's, and what was added."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlvpnd.operator.metrics import to_metrics
from mlvpnd.operator.status import LinkOffload, LinkState, ReorderStatus, TunOffload
from tests.support.example_status import HOSTILE, START, link, tunnel

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Every sample that Prometheus' parser finds, by name and labels; fails if a sample stands twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_escaped(name: str) -> None:
    parsed = samples(to_metrics(tunnel(link(name, peer=name), link("other"), name=name, interface=name)))
    assert parsed["connected", (("tunnel", name),)] == 1
    assert ("injected", ()) not in parsed


@pytest.mark.parametrize("count", [0, 1, 12, 128])
def test_any_number_of_links(count: int) -> None:
    parsed = samples(to_metrics(tunnel(*(link(f"link{number}") for number in range(count)))))
    names = [dict(labels)["tunnel"] for name, labels in parsed if name == "connected"]
    assert names == [f"link{number}" for number in reversed(range(count))]


UPSTREAM_LINK_METRICS = (
    "disconnected waitingpeer connected lossy slow sentpackets recvpackets sentbytes recvbytes bandwidth srtt loss "
    "disconnects last_packet timeout"
).split()


def test_a_disabled_link_is_down_to_what_knows_upstream_only() -> None:
    lines = to_metrics(tunnel(link("t1", LinkState.DISABLED, enabled=False))).splitlines()
    assert 'disconnected{tunnel="t1"} 1' in lines
    assert 'waitingpeer{tunnel="t1"} 0' in lines
    assert 'mlvpn_link_state{link="t1"} -1' in lines
    assert 'mlvpn_link_enabled{link="t1"} 0' in lines


def test_metrics_keep_upstreams_names_units_and_order() -> None:
    one = tunnel(link("t1", LinkState.WAITING, sent_packets=7, bandwidth_upload=1000, loss_percent=4))
    text = to_metrics(one)
    lines = [line for line in text.splitlines() if not line.startswith(("#", "mlvpn_"))]
    assert [re.split(r"[ {]", line)[0] for line in lines] == ["uptime", "last_reload", "pid", *UPSTREAM_LINK_METRICS]
    for expected in (
        f"uptime {START}",
        f"last_reload {START + 60}",
        "pid 4711",
        'disconnected{tunnel="t1"} 0',
        'waitingpeer{tunnel="t1"} 1',
        'sentpackets{tunnel="t1"} 7',
        'bandwidth{tunnel="t1"} 1000',
        'srtt{tunnel="t1"} 1000',
        'loss{tunnel="t1"} 4',
        f'last_packet{{tunnel="t1"}} {START}',
        'timeout{tunnel="t1"} 5',
    ):
        assert expected in lines


@pytest.mark.parametrize("state", [state for state in LinkState if state is not LinkState.DISABLED])
def test_exactly_one_state_metric_is_set(state: LinkState) -> None:
    parsed = samples(to_metrics(tunnel(link("t1", state))))
    values = [parsed[name, (("tunnel", "t1"),)] for name in UPSTREAM_LINK_METRICS[:5]]
    assert values == [float(number == state.number) for number in range(5)]


def test_metrics_are_families_with_help_and_type_in_base_units() -> None:
    one = tunnel(
        link("t1", has_rtt=True, srtt_ms=42.5, rttvar_ms=2.0, min_rtt_ms=40.0, loss_percent=3, drops={"replayed": 2}),
        link("t2", LinkState.LOSSY, retransmitted=0.01, spare=True, offload=LinkOffload(gro=True, gro_segments=9)),
        drops={"no_link": 7},
        tun_drops={"down": 2, "full": 3},
        tun_offload=TunOffload(tso=True, tso_segments=90, coalesced_writes=5),
        reorder=ReorderStatus(size=64, late=1),
    )
    text = to_metrics(one)
    parsed = samples(text)
    assert parsed["mlvpn_link_srtt_seconds", (("link", "t1"),)] == 0.0425
    assert ("mlvpn_link_srtt_seconds", (("link", "t2"),)) not in parsed
    assert parsed["mlvpn_link_loss_ratio", (("link", "t1"),)] == 0.03
    assert parsed["mlvpn_link_state", (("link", "t2"),)] == 3
    assert [parsed["mlvpn_link_retransmitted_ratio", (("link", name),)] for name in ("t1", "t2")] == [0.0, 0.01]
    assert [parsed["mlvpn_link_spare", (("link", name),)] for name in ("t1", "t2")] == [0.0, 1.0]
    assert parsed["mlvpn_link_dropped_packets_total", (("link", "t1"), ("reason", "replayed"))] == 2
    assert parsed["mlvpn_dropped_packets_total", (("reason", "no_link"),)] == 7
    assert parsed["mlvpn_reorder_late_packets_total", ()] == 1
    assert [parsed["mlvpn_tun_dropped_packets_total", (("reason", reason),)] for reason in ("down", "full")] == [2, 3]
    tun = [parsed[f"mlvpn_tun_{name}", ()] for name in ("tso", "uso", "tso_segments_total", "coalesced_writes_total")]
    assert tun == [1, 0, 90, 5]
    of_link = [parsed[f"mlvpn_link_{name}", (("link", "t2"),)] for name in ("gso", "gro", "gro_segments_total")]
    assert of_link == [0, 1, 9]
    assert text.endswith("\n")

    families = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(families) == len({name for name, _ in families})
    assert re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE) == [name for name, _ in families]
    for name, kind in families:
        assert (kind == "counter") == name.endswith("_total")
    seen = [re.split(r"[ {]", line)[0] for line in text.splitlines() if not line.startswith("#")]
    assert [name for place, name in enumerate(seen) if name in seen[:place] and seen[place - 1] != name] == []
