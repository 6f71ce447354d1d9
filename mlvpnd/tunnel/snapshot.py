"""Fills `status.TunnelStatus` from a running tunnel. Only here are a tunnel's parts read for an operator."""

from __future__ import annotations

import os
import time

from mlvpnd.base.options import Options
from mlvpnd.operator.status import LinkOffload, LinkStatus, ReorderStatus, TunnelStatus, TunOffload, format_address
from mlvpnd.protocol.links.path import Path
from mlvpnd.protocol.sending.scheduler import effective_weights

from .link_opener import LinkOpener
from .states import link_state
from .tunnel import Tunnel


def take(tunnel: Tunnel, options: Options) -> TunnelStatus:
    """The tunnel as it is now."""
    tunnel.plane.sync()
    session, device = tunnel.session, tunnel.interface.device
    reorder = session.reorder
    order = {link.name: index for index, link in enumerate(tunnel.config.links)}
    numbers = sorted(tunnel.drivers, key=lambda number: order[tunnel.drivers[number].config.name])
    shares = _shares(tunnel)
    total = tunnel.counting.total(None)
    return TunnelStatus(
        name=options.name,
        interface=tunnel.interface.name,
        kind=tunnel.config.tuntap.value,
        mtu=tunnel.interface.mtu,
        mss_ipv4=tunnel.interface.mss[0],
        mss_ipv6=tunnel.interface.mss[1],
        data_plane=tunnel.plane.name.value,
        started_at=tunnel.started_at,
        reloaded_at=tunnel.reloaded_at,
        now=time.time(),
        pid=os.getpid(),
        links=tuple(_link(tunnel, number, shares.get(number, 0.0)) for number in numbers),
        tier=session.tier.value,
        state=tunnel.state,
        state_since=tunnel.state_since,
        reason=tunnel.silence.summary() if tunnel.state == "connecting" else "",
        mode=tunnel.config.mode.value,
        tun_bytes_read=total.sent_bytes,
        tun_bytes_written=total.received_bytes,
        config_file=options.config_path,
        cleartext_data=tunnel.config.cleartext_data,
        paced=tunnel.running.paced,
        rules=tunnel.rules,
        drops={reason.value: count for reason, count in session.drops.items()},
        reorder=ReorderStatus()
        if reorder is None
        else ReorderStatus(
            size=reorder.size,
            held=len(reorder),
            wait_seconds=reorder.wait,
            late=reorder.late,
            timeouts=reorder.timeouts,
            duplicates=reorder.duplicates,
        ),
        tun_packets_read=total.sent_packets,
        tun_packets_written=total.received_packets,
        tun_drops=dict(device.drops),
        tun_oversize=device.oversize,
        tun_offload=TunOffload(
            tso=device.tso,
            uso=device.uso,
            tso_reads=device.tso_reads,
            tso_segments=device.tso_segments,
            coalesced_writes=device.coalesced_writes,
            coalesced_segments=device.coalesced_segments,
        ),
    )


def _shares(tunnel: Tunnel) -> dict[int, float]:
    paths = tunnel.session.paths
    weights = effective_weights(path.parameters.bandwidth for path in paths)
    by_number = {path.number: weight for path, weight in zip(paths, weights, strict=True)}
    carrying = tunnel.session.carrying
    total = sum(by_number[number] for number in carrying)
    return {number: by_number[number] / total for number in carrying}


def _link(tunnel: Tunnel, number: int, share: float) -> LinkStatus:
    driver = tunnel.drivers[number]
    link, path = driver.config, tunnel.session.path(number)
    since, reason = tunnel.states[number]
    total = tunnel.counting.total(number)
    return LinkStatus(
        name=link.name,
        mode=tunnel.config.mode.value,
        status=link_state(path),
        bindaddr=link.bindhost,
        bindport=link.bindport,
        destaddr=link.remotehost,
        destport=link.remoteport,
        sent_packets=total.sent_packets,
        received_packets=total.received_packets,
        sent_bytes=total.sent_bytes,
        received_bytes=total.received_bytes,
        bandwidth_upload=link.bandwidth_upload,
        has_rtt=path.rtt.has_sample,
        srtt_ms=path.rtt.srtt_ms,
        rttvar_ms=path.rtt.rttvar_ms,
        min_rtt_ms=path.rtt.min_rtt_ms if path.rtt.has_sample else None,
        loss_percent=path.loss_percent,
        retransmitted=path.retransmitted,
        spare=path.spare,
        disconnects=total.disconnects,
        last_packet_at=tunnel.unix_time(path.heard_at) if path.heard_at > 0 else since,
        timeout=link.timeout,
        peer=format_address(path.peer),
        local=format_address(driver.socket.local_address) if driver.socket else "",
        device=driver.device,
        fallback_only=link.fallback_only,
        share=share,
        priority=link.priority,
        enabled=tunnel.enabled(link.name),
        loss_tolerance=link.loss_tolerance,
        latency_tolerance_ms=link.latency_tolerance,
        last_packet_monotonic=max(path.heard_at, 0.0),
        state_since=since,
        reason=driver.error or tunnel.silence.cause(number) or reason if tunnel.enabled(link.name) else reason,
        drops=_drops(driver, path),
        last_error=driver.socket.last_error if driver.socket else driver.error,
        offload=_offload(driver),
    )


def _drops(driver: LinkOpener, path: Path) -> dict[str, int]:
    drops = {reason.value: count for reason, count in path.drops.items()}
    if driver.socket is not None:
        drops["send_queue_full"] = driver.socket.overflows
        drops["send_error"] = driver.socket.send_errors
    return drops


def _offload(driver: LinkOpener) -> LinkOffload:
    sock = driver.socket
    if sock is None:
        return LinkOffload()
    return LinkOffload(
        gso=sock.gso,
        gro=sock.gro,
        gso_sends=sock.gso_sends,
        gso_segments=sock.gso_segments,
        gro_receives=sock.gro_receives,
        gro_segments=sock.gro_segments,
    )
