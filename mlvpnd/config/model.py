"""A parsed configuration: frozen values, no text left to interpret.

Every default of an upstream key is upstream's. `man/mlvpn.conf.5` and `mlvpnd/config/schema.py` tell the keys' syntax.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

UNSET_MTU_IPV4 = 1428
"""Largest inner packet on a 1500-byte IPv4 path: 1500 - 20 IP - 8 UDP - 28 header - 16 MAC."""
UNSET_MTU_IPV6 = 1408
"""The same on an IPv6 path, whose header has 40 bytes."""
ETHERNET_HEADER_SIZE = 14
MIN_PACED_RATE = 16000
"""Bytes per second. A smaller `bandwidth_upload` is a bare ratio, as in many files, not a line's rate."""


class Mode(enum.Enum):
    """Who waits (server) and who calls (client)."""

    CLIENT = "client"
    SERVER = "server"


class DeviceKind(enum.Enum):
    """Layer of the interface: IP packets (tun) or Ethernet frames (tap)."""

    TUN = "tun"
    TAP = "tap"


class Pacing(enum.Enum):
    """What `bandwidth_upload` is."""

    AUTO = "auto"
    """A rate, at which the link is sent to, if every link's value can be one; else a weight."""
    OFF = "off"
    """A weight."""


class Peer(enum.Enum):
    """What is known of the other end's program."""

    ANY = "any"
    """Nothing: it may be C MLVPN."""
    MLVPND = "mlvpnd"
    """mlvpnd: it delivers a packet once even if it comes twice."""


class RuleAction(enum.Enum):
    """What a rule does with its packets; the value is its word in the file."""

    PREFER = "prefer"
    """Sends by the first of the links that can take the packet."""
    PIN = "pin"
    """Keeps each flow on one link as long as the link is usable."""
    DUPLICATE = "duplicate"
    """Sends by each of the links at once."""
    DROP = "drop"
    """Sends by none."""


class DataPlane(enum.Enum):
    """The twins of the data plane: same decisions, same bytes."""

    NATIVE = "native"
    """The extension `mlvpnd.dataplane._native`, in C."""
    REFERENCE = "reference"
    """Python."""


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """One uplink: a section of the file that is neither `[general]`, `[filters…]` nor `[rules]`."""

    name: str
    bindhost: str = ""
    """Local address or name; empty: any."""
    bindport: str = ""
    """Local port, a number or a service name; empty: the kernel chooses."""
    binddevice: str = ""
    """Interface that the socket is bound to by name (SO_BINDTODEVICE); empty: none. Not in upstream."""
    bindfib: int = 0
    """Routing table on FreeBSD and OpenBSD; read for compatibility, without effect on Linux."""
    remotehost: str = ""
    remoteport: str = ""
    bandwidth_upload: int = 0
    """Bytes per second, or a bare ratio; 0: unknown."""
    timeout: int = 60
    """Seconds without a word from the peer after which the link is down; at least 2."""
    loss_tolerance: int = 100
    """Percent of loss from which the link counts as lossy; 100: never."""
    latency_tolerance: int = 1000
    """Milliseconds of smoothed RTT from which the link counts as slow; 1000: never."""
    fallback_only: bool = False
    """Used only while no other link is healthy."""
    priority: int = 0
    """0..255. Links with a higher number carry what overflows the links with lower ones. Not in upstream."""
    line: int = field(default=0, compare=False)
    """Line of the file where the section starts; does not count in comparisons."""


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """One line of a `[filters…]` section: packets that match `expression` (BPF) leave by `link`."""

    link: str
    expression: str
    line: int = field(default=0, compare=False)
    quotable: bool = field(default=True, compare=False)
    """False: the line has no `=`, so messages must not show the text: it may be a piece of a password."""


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """One line of a `[rules]` section: `action` for packets that match `expression` (BPF)."""

    action: RuleAction
    links: tuple[str, ...]
    """In the file's order; empty: all links, or none for DROP."""
    expression: str
    line: int = field(default=0, compare=False)

    @property
    def head(self) -> str:
        """The text before the `=`, for messages: the action and the links."""
        return " ".join((self.action.value, *self.links))


@dataclass(frozen=True, slots=True)
class Config:
    """A whole file."""

    mode: Mode
    password: bytes = field(repr=False)
    statuscommand: str = ""
    """Path of the status command; empty: none."""
    interface_name: str = "mlvpn0"
    tuntap: DeviceKind = DeviceKind.TUN
    timeout: int = 60
    cleartext_data: bool = False
    reorder_buffer_size: int = 0
    """Most packets held back to restore their order; 0: no reordering. Need not be a power of two."""
    loss_tolerance: int = 100
    latency_tolerance: int = 1000
    mtu: int | None = None
    """Bytes, of the interface; None: what fits a 1500-byte path, see `effective_mtu`."""
    mss_clamp: int | None = None
    """Bytes of the largest segment that a TCP SYN through the tunnel may allow; None: what the interface takes; 0: any.
    Not in upstream."""
    ip4: str = ""
    ip6: str = ""
    ip4_gateway: str = ""
    ip6_gateway: str = ""
    ip4_routes: str = ""
    """Separated by spaces, as the status command gets them."""
    ip6_routes: str = ""
    configure_interface: bool = False
    """True: the helper sets up the link, its addresses and routes; False: the status command does. Not in upstream."""
    kill_switch: bool = False
    """True: while no link is up, what would take the file's default routes is refused. Not in upstream."""
    control_unix_path: str = ""
    control_bind_host: str = ""
    control_bind_port: str = ""
    pacing: Pacing = Pacing.AUTO
    """Not in upstream; see `paced`."""
    peer: Peer = Peer.ANY
    """Not in upstream."""
    data_plane: DataPlane | None = None
    """None: native if it can run. Not in upstream; see `mlvpnd.dataplane.choice`."""
    links: tuple[LinkConfig, ...] = ()
    """In the file's order."""
    filters: tuple[FilterConfig, ...] = ()
    """In the file's order; the first match whose link is up wins."""
    rules: tuple[RuleConfig, ...] = ()
    """In the file's order; the first match wins."""

    def link(self, name: str) -> LinkConfig | None:
        """The link of that name."""
        return next((link for link in self.links if link.name == name), None)

    @property
    def unpaced_link(self) -> LinkConfig | None:
        """The first link whose `bandwidth_upload` cannot be a rate; None: there is none."""
        return next((link for link in self.links if link.bandwidth_upload < MIN_PACED_RATE), None)

    @property
    def paced(self) -> bool:
        """Whether links are sent to at the rate `bandwidth_upload`; else it is a weight."""
        return self.pacing is Pacing.AUTO and self.unpaced_link is None

    def effective_mtu(self, *, ipv6_path: bool) -> int:
        """The interface's MTU in bytes: `mtu`, or what fits a 1500-byte path of the family."""
        if self.mtu is not None:
            return self.mtu
        fits = UNSET_MTU_IPV6 if ipv6_path else UNSET_MTU_IPV4
        return fits - (ETHERNET_HEADER_SIZE if self.tuntap is DeviceKind.TAP else 0)
