"""A snapshot of everything that an operator may ask, and two of its three faces: process title and JSON.

The third face is in `metrics`. The renderers are pure. Fields of upstream keep upstream's name, meaning and order;
everything else is added. Points in time are Unix seconds.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from mlvpnd import __version__
from mlvpnd.base.printable import TITLE_NAME_LENGTH

from .faces import (
    AS_IT_IS,
    COUNTS,
    ENDPOINT,
    MILLISECONDS,
    MOMENT,
    MONOTONIC,
    PERCENT,
    RATIO,
    SECONDS,
    SECONDS_IN_MS,
    WHOLE_MILLISECONDS,
    Face,
    Metric,
    Unit,
    Upstream,
    json_members,
)

PROGRAM = "mlvpn"
UPSTREAM_VERSION = "1.1"
"""Upstream's version of the format; mlvpnd's own version is `mlvpnd_version`."""

Address = tuple[str, int, *tuple[int | str, ...]]
"""A socket address, IPv4 or IPv6."""


class LinkState(enum.Enum):
    """A link's states: upstream's number and word, the mark in the process title, our word on the bus."""

    DISCONNECTED = (0, "disconnected", "!", "down")
    WAITING = (1, "waiting peer", "!", "waiting")
    CONNECTED = (2, "connected", "@", "up")
    LOSSY = (3, "lossy link", "~", "lossy")
    SLOW = (4, "slow link", "~", "slow")
    DISABLED = (-1, "disabled", "-", "disabled")
    """An operator took the link out of use. Upstream has no such state."""

    def __init__(self, number: int, word: str, mark: str, name_on_bus: str) -> None:
        self.number = number
        self.word = word
        self.mark = mark
        self.name_on_bus = name_on_bus

    @property
    def up(self) -> bool:
        """Whether the link can carry traffic."""
        return self.number >= LinkState.CONNECTED.number


TUNNEL_STATES = ("down", "connecting", "degraded", "up", "fallback", "stopping")
"""A tunnel's states, on every face; in metrics their numbers from 0 on. A new one is added behind the last."""
CARRYING = frozenset(("degraded", "up", "fallback"))
"""The states in which packets can pass."""
TUNNEL_STATE = dataclasses.replace(AS_IT_IS, metric=TUNNEL_STATES.index)

_NAME_OF_WORD = {state.word: state.name_on_bus for state in LinkState}
STATE = Unit(
    lambda state: state.word,
    lambda state: state.number,
    lambda state: state.name_on_bus,
    lambda word: _NAME_OF_WORD.get(str(word), LinkState.DISCONNECTED.name_on_bus),
)


@dataclass(frozen=True, slots=True)
class LinkOffload:
    """A link's sends and receives in runs, by one system call each. Operators see the members' names."""

    gso: Annotated[bool, Face(json="gso", metric=Metric("gso", "1: runs of datagrams are sent by one call."))] = False
    """Whether it sends runs now: after a run that the system refused, it sends singly for a second."""
    gro: Annotated[bool, Face(json="gro", metric=Metric("gro", "1: runs of datagrams are received by one call."))] = (
        False
    )
    """Whether runs are received."""
    gso_sends: Annotated[int, Face(json="gso_sends", metric=Metric("gso_sends_total", "Runs sent.", "counter"))] = 0
    gso_segments: Annotated[
        int, Face(json="gso_segments", metric=Metric("gso_segments_total", "Datagrams in runs sent.", "counter"))
    ] = 0
    gro_receives: Annotated[
        int, Face(json="gro_receives", metric=Metric("gro_receives_total", "Runs received.", "counter"))
    ] = 0
    gro_segments: Annotated[
        int, Face(json="gro_segments", metric=Metric("gro_segments_total", "Datagrams in runs received.", "counter"))
    ] = 0


@dataclass(frozen=True, slots=True)
class TunOffload:
    """The interface's super-packets from and to the kernel. Operators see the members' names."""

    tso: Annotated[
        bool, Face(json="tso", metric=Metric("tun_tso", "1: the kernel leaves it to mlvpnd to cut TCP super-packets."))
    ] = False
    uso: Annotated[
        bool, Face(json="uso", metric=Metric("tun_uso", "1: the kernel leaves it to mlvpnd to cut UDP super-packets."))
    ] = False
    tso_reads: Annotated[
        int,
        Face(
            json="tso_reads", metric=Metric("tun_tso_reads_total", "Super-packets taken from the interface.", "counter")
        ),
    ] = 0
    tso_segments: Annotated[
        int,
        Face(
            json="tso_segments", metric=Metric("tun_tso_segments_total", "Packets cut from super-packets.", "counter")
        ),
    ] = 0
    coalesced_writes: Annotated[
        int,
        Face(
            json="coalesced_writes",
            metric=Metric("tun_coalesced_writes_total", "Super-packets given to the interface.", "counter"),
        ),
    ] = 0
    coalesced_segments: Annotated[
        int,
        Face(
            json="coalesced_segments",
            metric=Metric(
                "tun_coalesced_segments_total", "Packets in super-packets given to the interface.", "counter"
            ),
        ),
    ] = 0


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link. Upstream's members of the JSON have the order of these fields."""

    name: Annotated[str, Face(bus="Name", upstream=Upstream("name"))]
    mode: Annotated[str, Face(upstream=Upstream("mode"))]
    """`server` or `client`."""
    bindaddr: Annotated[str, Face(upstream=Upstream("bindaddr"))] = ""
    """This and the next three as configured; empty: not set."""
    bindport: Annotated[str, Face(upstream=Upstream("bindport"))] = ""
    destaddr: Annotated[str, Face(upstream=Upstream("destaddr"))] = ""
    destport: Annotated[str, Face(upstream=Upstream("destport"))] = ""
    status: Annotated[
        LinkState,
        Face(
            unit=STATE,
            metric=Metric("state", "Upstream's status number, 0 to 4; -1: disabled."),
            bus="State",
            upstream=Upstream("status", write=lambda state: state.word),
        ),
    ] = LinkState.DISCONNECTED
    sent_packets: Annotated[
        int,
        Face(
            metric=Metric("sent_packets_total", "Datagrams sent.", "counter"),
            bus="TxPackets",
            upstream=Upstream("sentpackets", "Datagrams sent.", "untyped"),
        ),
    ] = 0
    """Datagrams of all types."""
    received_packets: Annotated[
        int,
        Face(
            metric=Metric("received_packets_total", "Datagrams received.", "counter"),
            bus="RxPackets",
            upstream=Upstream("recvpackets", "Datagrams received.", "untyped"),
        ),
    ] = 0
    sent_bytes: Annotated[
        int,
        Face(
            metric=Metric("sent_bytes_total", "UDP payload sent.", "counter"),
            bus="TxBytes",
            upstream=Upstream("sentbytes", "UDP payload sent, bytes.", "untyped"),
        ),
    ] = 0
    """Bytes of UDP payload, with header and MAC."""
    received_bytes: Annotated[
        int,
        Face(
            metric=Metric("received_bytes_total", "UDP payload received.", "counter"),
            bus="RxBytes",
            upstream=Upstream("recvbytes", "UDP payload received, bytes.", "untyped"),
        ),
    ] = 0
    bandwidth_upload: Annotated[
        int,
        Face(
            metric=Metric("bandwidth_bytes_per_second", "Configured bandwidth_upload; 0: unknown."),
            bus="BandwidthUpload",
            upstream=Upstream("bandwidth", "Configured bandwidth_upload, bytes per second."),
        ),
    ] = 0
    """Bytes per second, as configured; 0: unknown."""
    srtt_ms: Annotated[
        float,
        Face(
            unit=MILLISECONDS,
            json="srtt_ms",
            metric=Metric("srtt_seconds", "Smoothed RTT."),
            bus="SmoothedRttUSec",
            upstream=Upstream("srtt", "Smoothed RTT, ms; 1000 before a sample.", write=int),
            known="has_rtt",
        ),
    ] = 1000.0
    loss_percent: Annotated[
        int,
        Face(
            unit=PERCENT,
            metric=Metric("loss_ratio", "Datagrams of the peer lost lately, 0 to 1."),
            bus="LossPercent",
            upstream=Upstream("loss", "Loss, percent."),
        ),
    ] = 0
    """Percent of the peer's datagrams that lately did not arrive."""
    disconnects: Annotated[
        int,
        Face(
            metric=Metric("disconnects_total", "Times that the link was taken down.", "counter"),
            bus="Disconnects",
            upstream=Upstream("disconnects", "Times that the link was taken down.", "untyped"),
        ),
    ] = 0
    last_packet_at: Annotated[
        float,
        Face(
            unit=MOMENT,
            metric=Metric("last_packet_time_seconds", "When the peer was last heard, Unix seconds."),
            upstream=Upstream("last_packet", "When the peer was last heard, Unix seconds.", write=int),
        ),
    ] = 0.0
    timeout: Annotated[
        int,
        Face(
            unit=SECONDS,
            metric=Metric("timeout_seconds", "Silence after which the link is down."),
            bus="TimeoutUSec",
            upstream=Upstream("timeout", "Seconds of silence after which the link is down."),
        ),
    ] = 0
    has_rtt: bool = False
    """False: there is no sample yet, and the round trips mean nothing."""
    rttvar_ms: Annotated[
        float,
        Face(
            unit=MILLISECONDS,
            json="rttvar_ms",
            metric=Metric("rttvar_seconds", "Variation of the RTT."),
            bus="RttVarianceUSec",
            known="has_rtt",
        ),
    ] = 0.0
    min_rtt_ms: Annotated[
        float | None,
        Face(
            unit=MILLISECONDS,
            json="min_rtt_ms",
            metric=Metric("min_rtt_seconds", "Smallest RTT."),
            bus="MinRttUSec",
            known="has_rtt",
        ),
    ] = None
    retransmitted: Annotated[
        float,
        Face(
            unit=RATIO,
            json="retransmitted",
            metric=Metric("retransmitted_ratio", "Part of the bytes of inner TCP that were sent again lately, 0 to 1."),
            bus="RetransmittedPercent",
        ),
    ] = 0.0
    """Part, 0 to 1, of the bytes of inner TCP sent by the link that lately had to be sent again."""
    spare: Annotated[
        bool,
        Face(
            json="spare",
            metric=Metric("spare", "1: the link loses a little, so it carries only what overflows others."),
            bus="Spare",
        ),
    ] = False
    """True: because of `retransmitted`, the link carries only what overflows other links."""
    peer: Annotated[str, Face(unit=ENDPOINT, json="peer", bus="RemoteAddress")] = ""
    """The live address that datagrams go to; empty: unknown."""
    local: Annotated[str, Face(unit=ENDPOINT, json="local", bus="LocalAddress")] = ""
    """The live address that the socket is bound to; empty: no socket."""
    device: Annotated[str, Face(json="device", bus="Device")] = ""
    """Interface that the socket is bound to; empty: none."""
    fallback_only: Annotated[
        bool,
        Face(
            json="fallback_only",
            metric=Metric("fallback_only", "1: used only while no other link is well."),
            bus="FallbackOnly",
        ),
    ] = False
    share: Annotated[
        float,
        Face(
            unit=RATIO,
            json="share",
            metric=Metric("share_ratio", "Part of the traffic given to the link."),
            bus="Weight",
        ),
    ] = 0.0
    """Part, 0 to 1, of the traffic that the scheduler gives to the link now."""
    priority: Annotated[
        int,
        Face(
            json="priority",
            metric=Metric("priority", "Links of a higher number carry what overflows those of a lower one."),
            bus="Priority",
        ),
    ] = 0
    """Links with a higher number carry what overflows the links with lower ones."""
    state_since: Annotated[
        float,
        Face(
            unit=MOMENT,
            json="state_since",
            metric=Metric("state_since_seconds", "When the state began, Unix seconds."),
            bus="StateChangeTimestamp",
        ),
    ] = 0.0
    reason: Annotated[str, Face(json="reason", bus="Reason")] = ""
    """Why the link is down; empty: it is up."""
    drops: Annotated[Mapping[str, int], Face(unit=COUNTS, json="drops", bus="Drops")] = field(default_factory=dict)
    """Datagrams and packets that went nowhere, by reason."""
    last_error: Annotated[str, Face(json="last_error", bus="LastError")] = ""
    """The system's last error for the link's socket; empty: none."""
    enabled: Annotated[
        bool, Face(json="enabled", metric=Metric("enabled", "0: an operator took the link out of use."), bus="Enabled")
    ] = True
    """False: an operator took the link out of use."""
    loss_tolerance: Annotated[
        int,
        Face(
            unit=PERCENT,
            json="loss_tolerance",
            metric=Metric("loss_tolerance_ratio", "Loss from which the link may be lossy, 0 to 1."),
            bus="LossTolerance",
        ),
    ] = 0
    """Percent of loss from which the link may be lossy."""
    latency_tolerance_ms: Annotated[
        int,
        Face(
            unit=WHOLE_MILLISECONDS,
            json="latency_tolerance",
            metric=Metric("latency_tolerance_seconds", "RTT from which the link is slow."),
            bus="LatencyTolerance",
        ),
    ] = 0
    """Milliseconds. RTT from which the link is slow."""
    last_packet_monotonic: Annotated[
        float, Face(unit=MONOTONIC, json="last_packet_monotonic", bus="LastPacketTimestampMonotonic")
    ] = 0.0
    """`last_packet_at` by the monotonic clock; 0: nothing has come yet."""
    offload: LinkOffload = field(default_factory=LinkOffload)


@dataclass(frozen=True, slots=True)
class ReorderStatus:
    """The reorder buffer; the counters, except `timeouts`, count packets."""

    size: Annotated[
        int, Face(json="size", metric=Metric("reorder_size_packets", "Size of the reorder buffer; 0: off."))
    ] = 0
    """Most packets that it holds; 0: off."""
    held: Annotated[
        int, Face(json="held", metric=Metric("reorder_held_packets", "Packets waiting behind a hole."), bus="Held")
    ] = 0
    wait_seconds: Annotated[
        float,
        Face(
            unit=SECONDS_IN_MS,
            json="wait_ms",
            metric=Metric("reorder_wait_seconds", "The longest wait for a hole."),
            bus="WaitUSec",
        ),
    ] = 0.0
    """The longest wait for a hole: the spread of the links' one-way delays."""
    late: Annotated[
        int,
        Face(
            json="late",
            metric=Metric("reorder_late_packets_total", "Packets that came after their hole was given up.", "counter"),
            bus="Late",
        ),
    ] = 0
    """Packets that came after their hole was given up."""
    timeouts: Annotated[
        int,
        Face(
            json="timeouts",
            metric=Metric("reorder_timeouts_total", "Holes given up at their deadline.", "counter"),
            bus="Timeouts",
        ),
    ] = 0
    duplicates: Annotated[
        int,
        Face(
            json="duplicates",
            metric=Metric(
                "reorder_duplicate_packets_total",
                "Packets that were dropped because their number had come already.",
                "counter",
            ),
            bus="Duplicates",
        ),
    ] = 0
    """Packets dropped because their number had come already."""


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """A whole daemon at the time `now`."""

    name: Annotated[str, Face(json="tunnel", bus="Name")]
    """The `--name`."""
    interface: Annotated[str, Face(json="tuntap.name", bus="Interface")]
    kind: Annotated[str, Face(json="tuntap.type", bus="InterfaceType")]
    """`tun` or `tap`."""
    started_at: Annotated[
        float,
        Face(
            unit=MOMENT,
            json="start_time",
            metric=Metric("start_time_seconds", "Start time, Unix seconds."),
            bus="StartTimestamp",
            upstream=Upstream("uptime", "Start time, Unix seconds.", write=int),
        ),
    ]
    reloaded_at: Annotated[
        float,
        Face(
            unit=MOMENT,
            metric=Metric("last_reload_time_seconds", "Start or last good reload, Unix seconds."),
            bus="LastReloadTimestamp",
            upstream=Upstream("last_reload", "Time of the start or the last good reload, Unix seconds.", write=int),
        ),
    ]
    now: float
    pid: Annotated[int, Face(upstream=Upstream("pid", "Process id."))]
    links: Sequence[LinkStatus] = ()
    """In the file's order."""
    mtu: Annotated[int, Face(json="tuntap.mtu", metric=Metric("mtu_bytes", "MTU of the interface."), bus="MTU")] = 0
    data_plane: Annotated[str, Face(json="data_plane", bus="DataPlane")] = "reference"
    """The twin that runs: `reference` or `native`."""
    tier: Annotated[str, Face(json="tier", bus="Tier")] = ""
    """The kind of links that carry the traffic now."""
    state: Annotated[
        str,
        Face(
            unit=TUNNEL_STATE,
            json="state",
            metric=Metric("state", "0: down, 1: connecting, 2: degraded, 3: up, 4: fallback, 5: stopping."),
            bus="State",
        ),
    ] = "down"
    """One of `TUNNEL_STATES`. `down`: no link is up, and nobody is asked. `connecting`: no link is up, and the peer is
    asked. `degraded`: some links that are enabled are up, and others are not. `up`: all are. `fallback`: only
    `fallback_only` links carry. `stopping`."""
    state_since: Annotated[
        float,
        Face(
            unit=MOMENT,
            json="state_since",
            metric=Metric("state_since_seconds", "When the state began, Unix seconds."),
            bus="StateChangeTimestamp",
        ),
    ] = 0.0
    reason: Annotated[str, Face(json="reason", bus="Reason")] = ""
    """Why a tunnel is `connecting`: what is known of each link on which nobody answers."""
    mode: Annotated[str, Face(json="mode", bus="Mode")] = ""
    """`server` or `client`."""
    config_file: Annotated[str, Face(json="config_file", bus="ConfigFile")] = ""
    cleartext_data: Annotated[
        bool,
        Face(
            json="cleartext_data",
            metric=Metric("cleartext_data", "1: packets are sent without encryption."),
            bus="CleartextData",
        ),
    ] = False
    """True: packets are sent without encryption."""
    paced: Annotated[
        bool,
        Face(
            json="paced",
            metric=Metric("paced", "1: links are paced at bandwidth_upload; 0: it is a weight."),
            bus="Paced",
        ),
    ] = False
    """True: links are sent to at the rate `bandwidth_upload`; False: it is a weight."""
    rules: Annotated[int, Face(json="rules", metric=Metric("rules", "Lines of [rules] in force."), bus="Rules")] = 0
    """Lines of `[rules]` in force."""
    mss_ipv4: Annotated[
        int,
        Face(
            json="mss_clamp.ipv4",
            metric=Metric("mss_clamp_ipv4_bytes", "Largest segment that SYNs over IPv4 may ask for; 0: any."),
            bus="MssClamp.IPv4",
        ),
    ] = 0
    """Bytes of the largest TCP segment that SYNs may ask for; 0: no limit."""
    mss_ipv6: Annotated[
        int,
        Face(
            json="mss_clamp.ipv6",
            metric=Metric("mss_clamp_ipv6_bytes", "Largest segment that SYNs over IPv6 may ask for; 0: any."),
            bus="MssClamp.IPv6",
        ),
    ] = 0
    tun_packets_read: Annotated[
        int,
        Face(
            json="packets.tun_read",
            metric=Metric("tun_read_packets_total", "Packets taken from the interface.", "counter"),
            bus="TxPackets",
        ),
    ] = 0
    tun_packets_written: Annotated[
        int,
        Face(
            json="packets.tun_written",
            metric=Metric("tun_written_packets_total", "Packets given to the interface.", "counter"),
            bus="RxPackets",
        ),
    ] = 0
    tun_drops: Annotated[Mapping[str, int], Face(unit=COUNTS, json="packets.tun_drops")] = field(default_factory=dict)
    """Packets lost at the interface, by reason."""
    tun_oversize: Annotated[
        int,
        Face(
            json="packets.tun_oversize",
            metric=Metric("tun_oversize_packets_total", "Packets from the interface that exceeded its MTU.", "counter"),
            bus="Oversize",
        ),
    ] = 0
    """Packets taken from the interface that exceed its MTU."""
    tun_bytes_read: Annotated[
        int,
        Face(
            json="packets.tun_read_bytes",
            metric=Metric("tun_read_bytes_total", "Bytes of packets taken from the interface.", "counter"),
            bus="TxBytes",
        ),
    ] = 0
    tun_bytes_written: Annotated[
        int,
        Face(
            json="packets.tun_written_bytes",
            metric=Metric("tun_written_bytes_total", "Bytes of packets given to the interface.", "counter"),
            bus="RxBytes",
        ),
    ] = 0
    drops: Annotated[Mapping[str, int], Face(unit=COUNTS, json="drops", bus="Drops")] = field(default_factory=dict)
    """Packets that went nowhere and belong to no link, by reason."""
    reorder: ReorderStatus = field(default_factory=ReorderStatus)
    tun_offload: TunOffload = field(default_factory=TunOffload)


def newest_first(status: TunnelStatus) -> Iterator[LinkStatus]:
    """Upstream's order of links."""
    return reversed(status.links)


def format_address(address: Address | None) -> str:
    """`192.0.2.1:5080`, `[2001:db8::1]:5080`, `[fe80::1%2]:5080`; an IPv4-mapped address as IPv4, None as "".

    The scope is the interface's number, unless the address has it by name.
    """
    if address is None:
        return ""
    host, port = address[0], address[1]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if isinstance(parsed, ipaddress.IPv4Address):
        return f"{parsed}:{port}"
    if parsed.ipv4_mapped is not None:
        return f"{parsed.ipv4_mapped}:{port}"
    scope = f"%{address[3]}" if len(address) >= 4 and address[3] and parsed.scope_id is None else ""
    return f"[{parsed}{scope}]:{port}"


def marked_links(status: TunnelStatus) -> str:
    """`!t2 @t1`: each link behind the mark of its state."""
    return " ".join(link.status.mark + link.name[:TITLE_NAME_LENGTH] for link in newest_first(status))


def service_text(status: TunnelStatus) -> str:
    """The line in `systemctl status`: the marked links, and what is known of why a tunnel does not come up."""
    if status.state != "connecting" or not status.reason:
        return marked_links(status)
    since = time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(status.state_since))
    return f"{marked_links(status)} connecting since {since}: {status.reason}"


def title(status: TunnelStatus) -> str:
    """`NAME !t2 @t1`: the text behind `mlvpn: ` in the process title."""
    return " ".join(filter(None, [status.name, marked_links(status)]))


# JSON.


def to_json(status: TunnelStatus) -> str:
    """The `status` command's answer: one object in upstream's layout, which ends in `]}` and has no final newline."""
    own = json_members(status)
    packets = own["packets"]
    assert isinstance(packets, dict)  # noqa: S101  (its rows say so)
    packets["tun_dropped"] = sum(status.tun_drops.values())
    members = {
        "name": PROGRAM,
        "version": UPSTREAM_VERSION,
        **{name: own.pop(name) for name in ("uptime", "last_reload", "pid", "tuntap")},
        "mlvpnd_version": __version__,
        "uptime_seconds": max(0, int(status.now - status.started_at)),
        **own,
        "reorder": json_members(status.reorder),
        "offload": json_members(status.tun_offload),
    }
    lines = [
        f"{json.dumps(key)}: {_block(value) if isinstance(value, dict) and key != 'drops' else json.dumps(value)}"
        for key, value in members.items()
    ]
    links = ",\n".join(_block(link_members(link)) for link in newest_first(status))
    return "{" + ",\n".join([*lines, f'"tunnels": [\n{links}\n]']) + "}"


def link_members(link: LinkStatus) -> dict[str, object]:
    """A link's object in the JSON."""
    return {**json_members(link), "up": link.status.up, "offload": json_members(link.offload)}


def _block(members: Mapping[str, object]) -> str:
    """An object with a line for each member."""
    return "{\n   " + json.dumps(members, separators=(",\n   ", ": "))[1:-1] + "\n}"
