"""A snapshot as metrics in Prometheus' text format: upstream's families first, then mlvpnd's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from . import __version__
from .status import LinkState, LinkStatus, TunnelStatus, newest_first

_Sample = tuple[str, float]
"""Labels as they are written, and the value."""


def to_metrics(status: TunnelStatus) -> str:
    """The `metrics` command's answer in Prometheus' text format 0.0.4.

    Upstream's names come first, without a prefix and with its units; its counters lack the suffix that makes
    a counter, and are `untyped`. mlvpnd's own begin with `mlvpn_`, and their label for a link is `link`.
    """
    lines: list[str] = []
    for name, kind, explained, samples in (*_upstream_families(status), *_families(status)):
        lines.append(f"# HELP {name} {explained}")
        lines.append(f"# TYPE {name} {kind}")
        for labels, value in samples:
            lines.append(f"{name}{labels} {_number(value)}")
    return "\n".join(lines) + "\n"


_Family = tuple[str, str, str, list[_Sample]]
_LinkValue = Callable[[LinkStatus], float | None]


def _upstream_families(status: TunnelStatus) -> Iterator[_Family]:
    yield "uptime", "gauge", "Start time, Unix seconds.", [("", int(status.started_at))]
    yield (
        "last_reload",
        "gauge",
        "Time of the start or the last good reload, Unix seconds.",
        [("", int(status.reloaded_at))],
    )
    yield "pid", "gauge", "Process id.", [("", status.pid)]
    links = [(_labels(tunnel=link.name), link) for link in newest_first(status)]
    for name, kind, explained, value in _UPSTREAM_LINK_FAMILIES:
        yield name, kind, explained, _per_link(links, value)


_UPSTREAM_LINK_FAMILIES: Sequence[tuple[str, str, str, _LinkValue]] = (
    ("disconnected", "gauge", "1: the link is down.", lambda link: link.status is LinkState.DISCONNECTED),
    ("waitingpeer", "gauge", "1: the link waits for the peer's answer.", lambda link: link.status is LinkState.WAITING),
    ("connected", "gauge", "1: the link is up and well.", lambda link: link.status is LinkState.CONNECTED),
    ("lossy", "gauge", "1: the link is up and loses too much.", lambda link: link.status is LinkState.LOSSY),
    ("slow", "gauge", "1: the link is up and too slow.", lambda link: link.status is LinkState.SLOW),
    ("sentpackets", "untyped", "Datagrams sent.", lambda link: link.sent_packets),
    ("recvpackets", "untyped", "Datagrams received.", lambda link: link.received_packets),
    ("sentbytes", "untyped", "UDP payload sent, bytes.", lambda link: link.sent_bytes),
    ("recvbytes", "untyped", "UDP payload received, bytes.", lambda link: link.received_bytes),
    ("bandwidth", "gauge", "Configured bandwidth_upload, bytes per second.", lambda link: link.bandwidth_upload),
    ("srtt", "gauge", "Smoothed RTT, ms; 1000 before a sample.", lambda link: int(link.srtt_ms)),
    ("loss", "gauge", "Loss, percent.", lambda link: link.loss_percent),
    ("disconnects", "untyped", "Times that the link was taken down.", lambda link: link.disconnects),
    ("last_packet", "gauge", "Last word of the peer, Unix seconds.", lambda link: int(link.last_packet_at)),
    ("timeout", "gauge", "Seconds of silence until the link is down.", lambda link: link.timeout),
)


def _families(status: TunnelStatus) -> Iterator[_Family]:
    reorder, offload = status.reorder, status.tun_offload
    info = _labels(
        version=__version__,
        tunnel=status.name,
        interface=status.interface,
        type=status.kind,
        data_plane=status.data_plane,
        tier=status.tier,
    )
    yield "mlvpn_info", "gauge", "What runs; always 1.", [(info, 1)]
    for name, kind, explained, value in (
        ("start_time_seconds", "gauge", "Start time, Unix seconds.", status.started_at),
        ("last_reload_time_seconds", "gauge", "Start or last good reload, Unix seconds.", status.reloaded_at),
        ("mtu_bytes", "gauge", "MTU of the interface.", status.mtu),
        ("tun_read_packets_total", "counter", "Packets taken from the interface.", status.tun_packets_read),
        ("tun_written_packets_total", "counter", "Packets given to the interface.", status.tun_packets_written),
        ("tun_oversize_packets_total", "counter", "Packets that are longer than its MTU.", status.tun_oversize),
        ("tun_tso", "gauge", "1: the kernel leaves TCP to be cut here.", offload.tso),
        ("tun_uso", "gauge", "1: the kernel leaves UDP to be cut here.", offload.uso),
        ("tun_tso_reads_total", "counter", "Super-packets taken from the interface.", offload.tso_reads),
        ("tun_tso_segments_total", "counter", "Packets cut from them.", offload.tso_segments),
        ("tun_coalesced_writes_total", "counter", "Super-packets given to the interface.", offload.coalesced_writes),
        ("tun_coalesced_segments_total", "counter", "Packets in them.", offload.coalesced_segments),
        ("reorder_size_packets", "gauge", "Size of the reorder buffer; 0: off.", reorder.size),
        ("reorder_held_packets", "gauge", "Packets waiting behind a hole.", reorder.held),
        ("reorder_wait_seconds", "gauge", "For how long a hole is waited for at most.", reorder.wait_seconds),
        ("reorder_late_packets_total", "counter", "Packets that came after their hole was given up.", reorder.late),
        ("reorder_timeouts_total", "counter", "Holes given up at their deadline.", reorder.timeouts),
        ("reorder_duplicate_packets_total", "counter", "Packets whose number had come already.", reorder.duplicates),
    ):
        yield f"mlvpn_{name}", kind, explained, [("", value)]
    yield (
        "mlvpn_tun_dropped_packets_total",
        "counter",
        "Packets lost at the interface, by reason.",
        [(_labels(reason=reason), count) for reason, count in status.tun_drops.items()],
    )
    yield (
        "mlvpn_dropped_packets_total",
        "counter",
        "Packets that went nowhere and belong to no link, by reason.",
        [(_labels(reason=reason), count) for reason, count in status.drops.items()],
    )
    link_info: list[_Sample] = [
        (_labels(link=link.name, mode=link.mode, local=link.local, peer=link.peer, device=link.device), 1)
        for link in newest_first(status)
    ]
    yield "mlvpn_link_info", "gauge", "A link's live addresses; always 1.", link_info
    links = [(_labels(link=link.name), link) for link in newest_first(status)]
    for name, kind, explained, of_link in _LINK_FAMILIES:
        yield f"mlvpn_link_{name}", kind, explained, _per_link(links, of_link)
    yield (
        "mlvpn_link_dropped_packets_total",
        "counter",
        "A link's datagrams and packets that went nowhere, by reason.",
        [
            (_labels(link=link.name, reason=reason), count)
            for link in newest_first(status)
            for reason, count in link.drops.items()
        ],
    )


_LINK_FAMILIES: Sequence[tuple[str, str, str, _LinkValue]] = (
    ("up", "gauge", "1: the link can carry traffic.", lambda link: link.status.up),
    ("state", "gauge", "Upstream's status number, 0 to 4.", lambda link: link.status.number),
    ("state_since_seconds", "gauge", "When the state began, Unix seconds.", lambda link: link.state_since),
    ("sent_packets_total", "counter", "Datagrams sent.", lambda link: link.sent_packets),
    ("received_packets_total", "counter", "Datagrams received.", lambda link: link.received_packets),
    ("sent_bytes_total", "counter", "UDP payload sent.", lambda link: link.sent_bytes),
    ("received_bytes_total", "counter", "UDP payload received.", lambda link: link.received_bytes),
    ("disconnects_total", "counter", "Times that the link was taken down.", lambda link: link.disconnects),
    ("bandwidth_bytes_per_second", "gauge", "Configured; 0: unknown.", lambda link: link.bandwidth_upload),
    ("share_ratio", "gauge", "Part of the traffic given to the link.", lambda link: link.share),
    ("fallback_only", "gauge", "1: used only while no other link is well.", lambda link: link.fallback_only),
    ("srtt_seconds", "gauge", "Smoothed RTT.", lambda link: link.srtt_ms / 1000 if link.has_rtt else None),
    ("rttvar_seconds", "gauge", "Variation of the RTT.", lambda link: link.rttvar_ms / 1000 if link.has_rtt else None),
    (
        "min_rtt_seconds",
        "gauge",
        "Smallest RTT.",
        lambda link: link.min_rtt_ms / 1000 if link.has_rtt and link.min_rtt_ms is not None else None,
    ),
    ("loss_ratio", "gauge", "Datagrams of the peer lost lately, 0 to 1.", lambda link: link.loss_percent / 100),
    ("retransmitted_ratio", "gauge", "Inner TCP segments sent again lately, 0 to 1.", lambda link: link.retransmitted),
    ("spare", "gauge", "1: for that it carries only what overflows others.", lambda link: link.spare),
    ("last_packet_time_seconds", "gauge", "Last word of the peer, Unix seconds.", lambda link: link.last_packet_at),
    ("timeout_seconds", "gauge", "Silence until the link is down.", lambda link: link.timeout),
    ("gso", "gauge", "1: runs of datagrams are sent by one call.", lambda link: link.offload.gso),
    ("gro", "gauge", "1: runs of datagrams are received by one call.", lambda link: link.offload.gro),
    ("gso_sends_total", "counter", "Runs sent.", lambda link: link.offload.gso_sends),
    ("gso_segments_total", "counter", "Datagrams in runs sent.", lambda link: link.offload.gso_segments),
    ("gro_receives_total", "counter", "Runs received.", lambda link: link.offload.gro_receives),
    ("gro_segments_total", "counter", "Datagrams in runs received.", lambda link: link.offload.gro_segments),
)


def _per_link(links: Sequence[tuple[str, LinkStatus]], value: _LinkValue) -> list[_Sample]:
    values = ((labels, value(link)) for labels, link in links)
    return [(labels, found) for labels, found in values if found is not None]


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items()) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
