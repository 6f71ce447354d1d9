"""Whether the file's bandwidths are those of the lines, and whether the host keeps up with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlvpnd.config import Config
from mlvpnd.ctl.model import LinkView, TunnelView
from mlvpnd.ctl.output import milliseconds, rate

from .finding import Finding, listed, problem, sysctl, warning
from .routing import Uplink
from .system import System

_OF_INTERFACE = 0.9
"""Part of the interface's speed from which a bandwidth is taken for that speed."""
_QUEUE = 80_000
"""Microseconds. A round trip that is so much longer than the line's shortest one, and twice as long, shows a queue."""
_UNREAD = 100
"""Datagrams. Fewer, as in a moment at the start, are no sign of a slow host."""
_NEARLY = 0.9
"""Part of the table of connections from which it is as good as full."""


def check_bandwidths(
    config: Config, system: System, uplinks: Sequence[Uplink], tunnel: TunnelView | None
) -> Iterator[Finding]:
    """Bandwidths that the interface or the line does not have; at most one finding for a link."""
    if not config.paced:
        return
    for uplink in uplinks:
        link, device = uplink.ends.link, uplink.interface
        view = tunnel.link(link.name) if tunnel is not None else None
        speed = system.speed(device.name) if device is not None else 0
        said = f"{link.name}: its bandwidth_upload is {rate(link.bandwidth_upload)}"
        if device is not None and speed and link.bandwidth_upload > speed:
            text = f"{said}, but {device.name} takes {rate(speed)} only"
        elif device is not None and speed and link.bandwidth_upload >= speed * _OF_INTERFACE:
            text = (
                f"{said}. This is the speed of the interface {device.name}: is it also that of the internet line"
                " behind it? Put in what the line can send"
            )
        elif view is not None and uplink.good and queues(view):
            now, least = (milliseconds(view.number(key)) for key in ("SmoothedRttUSec", "MinRttUSec"))
            text = (
                f"{said}, but its packets wait in the line: the round trip is {now}, and it was {least}."
                " Put in a little less than the line can send, at this end or at the peer's"
            )
        else:
            continue
        yield warning("bandwidth", text, link=link.name)


def queues(link: LinkView) -> bool:
    """Whether the link's round trip shows a queue in the line."""
    now, least = link.number("SmoothedRttUSec"), link.number("MinRttUSec")
    return link.up and least > 0 and now > max(least + _QUEUE, 2 * least)


def check_unread(system: System, uplinks: Sequence[Uplink], tunnel: TunnelView | None) -> Iterator[Finding]:
    """Datagrams that the daemon did not take from its sockets in time."""
    if tunnel is None:
        return
    late = [uplink.ends for uplink in uplinks if is_unread(system, uplink)]
    if late:
        dropped = sum(system.unread(port) for port in {one.local_port for one in late})
        yield warning(
            "receive-buffer",
            f"{listed([one.link.name for one in late])}: the kernel dropped {dropped} datagrams because mlvpnd did not"
            " read them in time: this host has too little processor time for the traffic",
            "ss -ulpmn",
        )


def is_unread(system: System, uplink: Uplink) -> bool:
    """Whether the link's socket has lost more datagrams than a start or a moment explains."""
    port = uplink.ends.local_port
    return bool(port) and system.unread(port) >= _UNREAD


def check_connections(system: System) -> Iterator[Finding]:
    """The kernel's table of connections, without which nothing new passes the firewall."""
    count = system.parameter("net/netfilter/nf_conntrack_count")
    most = system.parameter("net/netfilter/nf_conntrack_max")
    if count is not None and most and count >= most * _NEARLY:
        yield problem(
            "conntrack",
            f"the kernel's table of connections is full ({count} of {most}): new ones are dropped, also the peer's",
            *sysctl("net.netfilter.nf_conntrack_max", most * 2),
        )
