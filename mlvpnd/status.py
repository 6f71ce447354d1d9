"""One snapshot of everything an operator may ask, and two of its three faces: process title and JSON.

The third, metrics, is in `metrics`. The renderers are pure. What upstream shows keeps upstream's name, meaning and
order; everything else is added. Points in time are Unix seconds.
"""

from __future__ import annotations

import enum
import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from . import __version__

PROGRAM = "mlvpn"
UPSTREAM_VERSION = "1.1"
"""The version of the format, as upstream says it; mlvpnd's own is `mlvpnd_version`."""
TITLE_NAME_SIZE = 28
"""Characters of a link's name in the process title."""

Address = tuple[str, int, *tuple[int | str, ...]]
"""A socket address, IPv4 or IPv6."""


class LinkState(enum.Enum):
    """Upstream's status values: number, word, mark in the process title."""

    DISCONNECTED = (0, "disconnected", "!")
    WAITING = (1, "waiting peer", "!")
    CONNECTED = (2, "connected", "@")
    LOSSY = (3, "lossy link", "~")
    SLOW = (4, "slow link", "~")

    def __init__(self, number: int, word: str, mark: str) -> None:
        self.number = number
        self.word = word
        self.mark = mark

    @property
    def up(self) -> bool:
        """Whether the link can carry traffic."""
        return self.number >= LinkState.CONNECTED.number


@dataclass(frozen=True, slots=True)
class LinkOffload:
    """What a link's socket sends and receives in runs, by one system call each; the members' names are shown."""

    gso: bool = False
    """Whether it sends so: the system has not refused it yet."""
    gro: bool = False
    """Whether it receives so."""
    gso_sends: int = 0
    """Runs sent."""
    gso_segments: int = 0
    """Datagrams in them."""
    gro_receives: int = 0
    """Runs received."""
    gro_segments: int = 0


@dataclass(frozen=True, slots=True)
class TunOffload:
    """What the interface exchanges with the kernel in super-packets; the members' names are shown."""

    tso: bool = False
    """Whether the kernel leaves it to us to cut TCP."""
    uso: bool = False
    """The same for UDP."""
    tso_reads: int = 0
    """Super-packets read."""
    tso_segments: int = 0
    """Packets cut from them."""
    coalesced_writes: int = 0
    """Super-packets written."""
    coalesced_segments: int = 0
    """Packets in them."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link."""

    name: str
    mode: str
    """`server` or `client`."""
    status: LinkState
    bindaddr: str = ""
    """This and the next three as configured; empty: not set."""
    bindport: str = ""
    destaddr: str = ""
    destport: str = ""
    sent_packets: int = 0
    """Datagrams of all types."""
    received_packets: int = 0
    sent_bytes: int = 0
    """UDP payloads, with header and MAC."""
    received_bytes: int = 0
    bandwidth_upload: int = 0
    """Bytes per second, as configured; 0: unknown."""
    has_rtt: bool = False
    """False: no sample yet, and the next three say nothing."""
    srtt_ms: float = 1000.0
    rttvar_ms: float = 0.0
    min_rtt_ms: float | None = None
    loss_percent: int = 0
    """Datagrams of the peer that did not arrive, lately."""
    retransmitted: float = 0.0
    """Part of the inner TCP segments sent by it that had to be sent again, lately, 0 to 1."""
    spare: bool = False
    """True: for that it carries only what overflows other links."""
    disconnects: int = 0
    last_packet_at: float = 0.0
    timeout: int = 0
    """Seconds."""
    peer: str = ""
    """Where datagrams go, live; empty: not known."""
    local: str = ""
    """What the socket is bound to, live; empty: no socket."""
    device: str = ""
    """Interface that the socket is bound to; empty: none."""
    fallback_only: bool = False
    share: float = 0.0
    """Part of the traffic that the scheduler gives to the link now, 0 to 1."""
    priority: int = 0
    """Links of a higher number take only what does not fit on those of a lower one."""
    state_since: float = 0.0
    reason: str = ""
    """Why it is down; empty: it is up."""
    drops: Mapping[str, int] = field(default_factory=dict)
    """Datagrams and packets that went nowhere, by reason."""
    last_error: str = ""
    """What the system said last against its socket; empty: nothing."""
    enabled: bool = True
    """False: an operator took it out of use."""
    loss_tolerance: int = 0
    """Percent of loss above which it is lossy."""
    latency_tolerance_ms: int = 0
    """RTT above which it is slow."""
    last_packet_monotonic: float = 0.0
    """`last_packet_at` by the monotonic clock; 0: nothing yet."""
    offload: LinkOffload = field(default_factory=LinkOffload)


@dataclass(frozen=True, slots=True)
class ReorderStatus:
    """The reorder buffer; counters are of packets, but for `timeouts`."""

    size: int = 0
    """Packets held at most; 0: off."""
    held: int = 0
    wait_seconds: float = 0.0
    """For how long a hole is waited for at most: the spread of the links' one-way delays."""
    late: int = 0
    """Came after their hole was given up."""
    timeouts: int = 0
    """Holes given up at their deadline."""
    duplicates: int = 0
    """Dropped, because their number had come already."""


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """A whole daemon, as it was at `now`."""

    name: str
    """The `--name`."""
    interface: str
    kind: str
    """`tun` or `tap`."""
    started_at: float
    reloaded_at: float
    now: float
    pid: int
    links: Sequence[LinkStatus] = ()
    """In the file's order."""
    mtu: int = 0
    mss_clamp: tuple[int, int] = (0, 0)
    """Bytes of a segment that TCP SYNs over IPv4, and over IPv6, allow at most; 0: what they say."""
    data_plane: str = "reference"
    """Which implementation runs: `reference` or `native`."""
    tier: str = ""
    """Which links carry the traffic now."""
    drops: Mapping[str, int] = field(default_factory=dict)
    """Packets that went nowhere and belong to no link, by reason."""
    reorder: ReorderStatus = field(default_factory=ReorderStatus)
    tun_packets_read: int = 0
    tun_packets_written: int = 0
    tun_drops: Mapping[str, int] = field(default_factory=dict)
    """Packets lost at the interface, by reason."""
    tun_oversize: int = 0
    """Packets taken from the interface that are longer than its MTU."""
    tun_offload: TunOffload = field(default_factory=TunOffload)
    tun_bytes_read: int = 0
    tun_bytes_written: int = 0
    state: str = "down"
    """`down`: no link is up; `up`; `fallback`: only `fallback_only` links carry; `stopping`."""
    mode: str = ""
    """`server` or `client`."""
    config_file: str = ""
    cleartext_data: bool = False
    """True: packets are sent without encryption."""
    paced: bool = False
    """True: links are sent to at their `bandwidth_upload`; False: it is a weight."""
    rules: int = 0
    """Lines of `[rules]` in force."""


def newest_first(status: TunnelStatus) -> Iterator[LinkStatus]:
    """Upstream's order of links."""
    return reversed(status.links)


def format_address(address: Address | None) -> str:
    """`192.0.2.1:5080`, `[2001:db8::1]:5080`, `[fe80::1%2]:5080`; an IPv4-mapped address as IPv4, None as "".

    The scope is the number of the interface unless the address has it by name.
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


def split_address(text: str) -> tuple[str, int]:
    """What `format_address` joined, without its brackets: host and port; `("", 0)` for ""."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port or 0)


def marked_links(status: TunnelStatus) -> str:
    """`!t2 @t1`: each link with the mark of its state."""
    return " ".join(link.status.mark + link.name[:TITLE_NAME_SIZE] for link in newest_first(status))


def title(status: TunnelStatus) -> str:
    """`NAME !t2 @t1`, what follows `mlvpn: ` in the process title."""
    return " ".join(filter(None, [status.name, marked_links(status)]))


# JSON.


def to_json(status: TunnelStatus) -> str:
    """The `status` command's answer: one object in upstream's layout, which ends in `]}` and has no final newline."""
    members = {
        "name": json.dumps(PROGRAM),
        "version": json.dumps(UPSTREAM_VERSION),
        "uptime": str(int(status.started_at)),  # upstream's word for the time of its start
        "last_reload": str(int(status.reloaded_at)),
        "pid": str(status.pid),
        "tuntap": _block({"type": status.kind, "name": status.interface, "mtu": status.mtu}),
        "mlvpnd_version": json.dumps(__version__),
        "tunnel": json.dumps(status.name),
        "start_time": str(int(status.started_at)),
        "uptime_seconds": str(max(0, int(status.now - status.started_at))),
        "data_plane": json.dumps(status.data_plane),
        "tier": json.dumps(status.tier),
        "state": json.dumps(status.state),
        "mode": json.dumps(status.mode),
        "config_file": json.dumps(status.config_file),
        "cleartext_data": json.dumps(status.cleartext_data),
        "paced": json.dumps(status.paced),
        "rules": str(status.rules),
        "packets": _block(
            {
                "tun_read": status.tun_packets_read,
                "tun_written": status.tun_packets_written,
                "tun_dropped": sum(status.tun_drops.values()),
                "tun_drops": dict(status.tun_drops),
                "tun_oversize": status.tun_oversize,
                "tun_read_bytes": status.tun_bytes_read,
                "tun_written_bytes": status.tun_bytes_written,
            }
        ),
        "reorder": _block(
            {
                "size": status.reorder.size,
                "held": status.reorder.held,
                "wait_ms": _ms(status.reorder.wait_seconds * 1000),
                "late": status.reorder.late,
                "timeouts": status.reorder.timeouts,
                "duplicates": status.reorder.duplicates,
            }
        ),
        "offload": _block(asdict(status.tun_offload)),
        "mss_clamp": _block(dict(zip(("ipv4", "ipv6"), status.mss_clamp, strict=True))),
        "drops": json.dumps(dict(status.drops)),
        "tunnels": "[\n" + ",\n".join(_block(_link_members(link)) for link in newest_first(status)) + "\n]",
    }
    return "{" + ",\n".join(f"{json.dumps(key)}: {value}" for key, value in members.items()) + "}"


def _link_members(link: LinkStatus) -> dict[str, object]:
    return {
        "name": link.name,
        "mode": link.mode,
        "bindaddr": link.bindaddr,
        "bindport": link.bindport,
        "destaddr": link.destaddr,
        "destport": link.destport,
        "status": link.status.word,
        "sentpackets": link.sent_packets,
        "recvpackets": link.received_packets,
        "sentbytes": link.sent_bytes,
        "recvbytes": link.received_bytes,
        "bandwidth": link.bandwidth_upload,
        "srtt": int(link.srtt_ms),
        "loss": link.loss_percent,
        "disconnects": link.disconnects,
        "last_packet": int(link.last_packet_at),
        "timeout": link.timeout,
        "up": link.status.up,
        "state_since": int(link.state_since),
        "reason": link.reason,
        "last_error": link.last_error,
        "local": link.local,
        "peer": link.peer,
        "device": link.device,
        "fallback_only": link.fallback_only,
        "share": round(link.share, 4),
        "priority": link.priority,
        "srtt_ms": _ms(link.srtt_ms) if link.has_rtt else None,
        "rttvar_ms": _ms(link.rttvar_ms) if link.has_rtt else None,
        "min_rtt_ms": _ms(link.min_rtt_ms) if link.has_rtt and link.min_rtt_ms is not None else None,
        "drops": dict(link.drops),
        "enabled": link.enabled,
        "loss_tolerance": link.loss_tolerance,
        "latency_tolerance": link.latency_tolerance_ms,
        "last_packet_monotonic": round(link.last_packet_monotonic, 6),
        "retransmitted": round(link.retransmitted, 4),
        "spare": link.spare,
        "offload": asdict(link.offload),
    }


def _block(members: Mapping[str, object]) -> str:
    """An object with a line for each member."""
    return "{\n   " + json.dumps(members, separators=(",\n   ", ": "))[1:-1] + "\n}"


def _ms(value: float) -> float:
    return round(value, 1)
