"""Compares the running daemon with the file: links, reordering, interface, service."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlvpnd.config import Config
from mlvpnd.ctl.model import TunnelView
from mlvpnd.ctl.output import milliseconds, rate

from .finding import Finding, ok, problem, warning
from .network import Interface, Network, widest_beside
from .routing import Uplink

_PACKET_SIZE = 1400
"""Bytes of a full packet."""
_LIMIT = 10.0
_UNIT_KEYS = ("LoadState", "ActiveState", "SubState", "Result")
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


def unit_state(name: str) -> Mapping[str, str] | None:
    """The state of the tunnel's service in systemd; None: systemd cannot be asked."""
    program = shutil.which("systemctl")
    if program is None or not Path("/run/systemd/system").is_dir():
        return None
    command = [program, "show", f"mlvpn@{name}.service", f"--property={','.join(_UNIT_KEYS)}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=True)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def check_unit(name: str, state: Mapping[str, str] | None, tunnel: TunnelView | None) -> Iterator[Finding]:
    """Whether the service runs, and whether the service itself answers."""
    unit = f"mlvpn@{name}"
    active = state.get("ActiveState", "") if state is not None else ""
    if tunnel is not None and active in ("", "active", "reloading"):
        yield ok("service", f"the tunnel {name} is running")
    elif tunnel is not None:
        yield ok("service", f"the tunnel {name} is running, started by hand (the service {unit} is {active})")
    elif state is None:
        yield warning("service", f"the tunnel {name} is not running, or cannot be asked as this user")
    elif state.get("LoadState") == "not-found":
        yield problem("service", f"there is no unit {unit}: is the package installed?", "systemctl daemon-reload")
    elif active == "failed":
        text = f"the service {unit} has failed ({state.get('Result', 'unknown')})"
        yield problem("service", text, f"journalctl -u {unit} -n 20", f"systemctl restart {unit}")
    elif active == "active":
        text = f"the service {unit} runs but cannot be asked"
        yield warning("service", text, f"sudo mlvpnctl doctor {name}")
    elif active in ("activating", "deactivating"):
        text = f"the service {unit} is {active} ({state.get('SubState', '')})"
        yield warning("service", text, f"journalctl -u {unit} -n 20")
    else:
        yield warning("service", f"the tunnel {name} is not running", f"systemctl start {unit}")


def check_interface(config: Config, network: Network, tunnel: TunnelView | None) -> Iterator[Finding]:
    """The tunnel's interface must exist while the tunnel runs, and be free while it does not."""
    wanted = (tunnel.text("Interface") if tunnel is not None else "") or config.interface_name
    device = next((one for one in network.interfaces() if one.name == wanted), None)
    if tunnel is None:
        if device is not None and "%d" not in wanted and device.carrier:
            text = f"the interface {wanted} is in use by something other than this tunnel"
            yield warning("tunnel-interface", text, f"ip -d link show {wanted}")
        return
    if device is None:
        text = f"the tunnel's interface {wanted} is gone"
        yield problem("tunnel-interface", text, f"systemctl restart mlvpn@{tunnel.name}")
    elif device.up:
        yield ok("tunnel-interface", f"the tunnel's interface {wanted} is up")
        yield from _bridge(device, network)
    elif not any(link.up for link in tunnel.links):
        yield ok("tunnel-interface", f"the tunnel's interface {wanted} is down because no link is up")
    else:
        how = "the status command" if config.statuscommand else "mlvpnd"
        text = f"links are up but the tunnel's interface {wanted} is down: {how} did not bring it up"
        yield problem("tunnel-interface", text, f"ip link set {wanted} up", f"mlvpnctl log {tunnel.name}")


def _bridge(device: Interface, network: Network) -> Iterator[Finding]:
    """A bridge drops frames that are too long for a port, and no counter of the kernel tells it."""
    beside = widest_beside(device, network.interfaces())
    if beside is not None and beside.mtu > device.mtu:
        yield problem(
            "bridge-mtu",
            f"the bridge drops frames of more than {device.mtu} bytes for {device.name} without a message: its other"
            f" port {beside.name} takes {beside.mtu} bytes. Put 'mtu = {beside.mtu}' into [general] at both ends",
        )


def check_link(
    uplink: Uplink, tunnel: TunnelView | None, probed: int | None, *, gateway_dead: bool
) -> Iterator[Finding]:
    """Whether the peer answers through this link's own uplink.

    `tunnel` None: the tunnel does not run. `probed`: the error that came back from the way to the peer; 0: no error
    came, None: nobody tried. `gateway_dead`: this uplink's router does not answer.
    """
    name, remote = uplink.ends.link.name, uplink.ends.remote
    link = tunnel.link(name) if tunnel is not None else None
    device = uplink.interface.name if uplink.interface is not None and uplink.good else ""
    if link is not None and link.up:
        by = f" by {device}" if device else ""
        if link.state == "up":
            rtt = milliseconds(link.number("SmoothedRttUSec"))
            yield ok("peer", f"{name}: the peer answers{by}, round trip {rtt}", link=name)
        else:
            what = f"loses {link.number('LossPercent'):.0f} % of its packets"
            if link.state == "slow":
                what = f"is slow, round trip {milliseconds(link.number('SmoothedRttUSec'))}"
            yield warning("peer", f"{name}: the peer answers{by}, but the link {what}", link=name)
        return
    if link is not None and link.properties.get("Enabled") is False:
        yield warning("peer", f"{name}: an operator has taken the link out of use", link=name)
        return
    state = f"{name}: the link is {link.state}" if link is not None else f"{name}:"
    because = "" if link is None else "; "
    report = problem if link is not None else warning
    if gateway_dead and uplink.route is not None:
        text = (
            f"{state}{because} the router {uplink.route.gateway} on {device} does not answer: the line itself is dead"
        )
        yield problem("peer", text, f"ping -I {device} {uplink.route.gateway}", link=name)
    elif probed == errno.ECONNREFUSED:
        text = (
            f"{state}{because} the peer {remote} is there, but nothing listens at its port {uplink.ends.remote_port}:"
            " is the server running, and is the port right?"
        )
        yield problem("peer", text, link=name)
    elif probed in _UNREACHABLE:
        text = f"{state}{because} the way to the peer {remote} ends: {os.strerror(probed or 0).lower()}"
        yield problem("peer", text, f"tracepath -n {remote}", link=name)
    elif probed in (errno.EACCES, errno.EPERM):
        text = f"{state}{because} a firewall refuses packets to {remote} port {uplink.ends.remote_port}"
        yield problem("peer", text, "nft list ruleset", link=name)
    elif probed:
        text = f"{state}{because} packets to the peer {remote} fail: {os.strerror(probed).lower()}"
        yield problem("peer", text, link=name)
    elif tunnel is not None:
        hint = " no packet comes back: is the password the same at both ends, and is UDP let through?"
        if remote is None:
            hint = " the peer has not called: does the client run, and does UDP arrive here?"
        yield report("peer", f"{state};{hint}", f"mlvpnctl log {tunnel.name} {name}", link=name)
    elif probed == 0:
        yield ok(
            "peer", f"{name}: no obstacle is visible on the way to {remote} port {uplink.ends.remote_port}", link=name
        )


def check_reorder(config: Config, tunnel: TunnelView) -> Iterator[Finding]:
    """Whether the reorder buffer holds the packets that come while one is late by the links' difference."""
    links = [link for link in tunnel.links if link.up and link.number("Weight") and link.number("SmoothedRttUSec")]
    held = config.reorder_buffer_size
    if len(links) < 2 or not held:
        return
    slow = max(links, key=lambda link: link.number("SmoothedRttUSec"))
    fast = min(links, key=lambda link: link.number("SmoothedRttUSec"))
    difference = (slow.number("SmoothedRttUSec") - fast.number("SmoothedRttUSec")) / 2
    wanted = sum(link.bandwidth_upload for link in config.links)
    covers = held * _PACKET_SIZE / (difference / 1_000_000) if difference else float("inf")
    if wanted and covers < wanted:
        fits = -(-wanted * difference // 1_000_000 // _PACKET_SIZE)
        yield warning(
            "reorder",
            f"reorder_buffer_size = {held} is enough up to {rate(covers)} only: {slow.name} is"
            f" {milliseconds(difference)} slower than {fast.name} one way. Put"
            f" 'reorder_buffer_size = {max(fits * 2, 64):.0f}' into [general]",
        )
    else:
        yield ok("reorder", f"the reorder buffer covers the links' difference of {milliseconds(difference)}")
