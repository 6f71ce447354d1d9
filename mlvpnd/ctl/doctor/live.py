"""Compares the running daemon with the file: links, reordering, interface, service."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mlvpnd.config import Config, Mode
from mlvpnd.ctl.model import LinkView, TunnelView
from mlvpnd.ctl.output import milliseconds, rate

from .finding import Finding, Severity, listed, ok, problem, warning
from .network import Interface, Network, widest_beside
from .routing import Uplink

_PACKET_SIZE = 1400
"""Bytes of a full packet."""
_LIMIT = 2.5
"""Seconds for systemctl to answer."""
_LOSS = 3
"""Percent of lost packets from which a link is not well, whatever its loss_tolerance."""
_UNIT_KEYS = ("LoadState", "UnitFileState", "ActiveState", "SubState", "Result")
_PORT = re.compile(r"port (\d+)")
_ONE_CAUSE = re.compile("nothing listens|firewall refuses|comes back|has not called")
"""The texts of problems that links have together."""
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


def unit_state(unit: str) -> Mapping[str, str] | None:
    """The state of a unit in systemd; None: systemd cannot be asked."""
    program = shutil.which("systemctl")
    if program is None or not Path("/run/systemd/system").is_dir():
        return None
    command = [program, "show", unit, f"--property={','.join(_UNIT_KEYS)}"]
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
    elif state.get("LoadState") == "masked":
        text = f"the service {unit} is masked: nothing starts it"
        yield problem("service", text, f"systemctl unmask {unit}", f"systemctl start {unit}")
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


def check_boot(name: str, units: Iterable[Mapping[str, str]]) -> Iterator[Finding]:
    """Whether the tunnel comes back after a boot: `units` are the states of its service and its socket."""
    if all(state.get("UnitFileState") in ("disabled", "enabled-runtime") for state in units):
        text = f"the tunnel {name} runs, but its service is not enabled: no boot starts it"
        yield warning("boot", text, f"systemctl enable mlvpn@{name}")


def check_helper(name: str, service: Mapping[str, str], sockets: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Whether the privileged helper can be reached by a service that should run: `sockets` are its units' states."""
    if service.get("ActiveState") not in ("active", "activating", "reloading"):
        return  # the service's start brings the sockets
    missing = [unit for unit, state in sockets.items() if state.get("ActiveState") != "active"]
    if missing:
        text = f"{listed(missing)} does not listen: the tunnel {name} cannot ask for what needs root"
        yield problem("helper", text, f"systemctl restart {' '.join(missing)}")


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


def check_password(config: Config, tunnel: TunnelView) -> Iterator[Finding]:
    """Links that are down although somebody calls: what comes does not open. One password, so one finding."""
    down = [link for link in tunnel.links if not link.up and link.properties.get("Enabled") is not False]
    shut = [link.name for link in down if _unopened(link)]
    if shut:
        count = sum(map(_unopened, down))
        other = "client" if config.mode is Mode.SERVER else "server"
        yield problem(
            "password",
            f"{listed(shut)}: {count} datagrams came that do not open: the {other} has another password. Compare"
            " 'password' in [general] of both files, letter by letter",
            f"mlvpnctl log {tunnel.name}",
            link=shut[0] if len(shut) == 1 else "",
        )


def _unopened(link: LinkView) -> int:
    drops = link.properties.get("Drops")
    found = drops.get("not_authentic", 0) if isinstance(drops, Mapping) else 0
    return found if isinstance(found, int) else 0


def check_remote(uplink: Uplink, tunnel: TunnelView) -> Iterator[Finding]:
    """Whether the link still goes to an address that its `remotehost` has."""
    ends, link = uplink.ends, tunnel.link(uplink.ends.link.name)
    live = link.properties.get("RemoteAddress") if link is not None else None
    if link is None or not ends.remotes or not isinstance(live, Sequence) or len(live) != 2 or not live[0]:
        return
    if str(live[0]).partition("%")[0] in map(str, ends.remotes):
        return
    name = ends.link.name
    report = warning if link.up else problem
    yield report(
        "stale-remote",
        f"{name}: the link goes to {live[0]}, but {ends.link.remotehost} is {ends.remote or ends.remotes[0]} now",
        f"mlvpnctl link {tunnel.name} {name} reconnect",
        link=name,
    )


def check_link(
    uplink: Uplink, tunnel: TunnelView | None, probed: int | None, *, mode: Mode, gateway_dead: bool, explained: bool
) -> Iterator[Finding]:
    """Whether the peer answers through this link's own uplink.

    `tunnel` None: the tunnel does not run. `probed`: the error that came back from the way to the peer; 0: no error
    came, None: nobody tried. `gateway_dead`: this uplink's router does not answer. `explained`: a finding about the
    link says already why it may be silent.
    """
    name, remote = uplink.ends.link.name, uplink.ends.remote
    link = tunnel.link(name) if tunnel is not None else None
    device = uplink.interface.name if uplink.interface is not None and uplink.good else ""
    if tunnel is not None and link is not None and link.properties.get("Enabled") is False:
        command = f"mlvpnctl link {tunnel.name} {name} enable"
        yield warning("disabled", f"{name}: disabled by an operator", command, link=name)
        return
    if link is not None and link.up:
        yield _answering(link, device)
        return
    state = f"{name}: the link is {link.state}; " if link is not None else f"{name}: "
    if gateway_dead and uplink.route is not None:
        text = f"{state}the router {uplink.route.gateway} on {device} does not answer: the line itself is dead"
        yield problem("peer", text, f"ping -I {device} {uplink.route.gateway}", link=name)
    elif probed:
        yield _error(uplink, state, probed)
    elif tunnel is not None and link is not None:
        if not explained:
            yield _silent(uplink, state, tunnel, mode)
    elif probed == 0:
        yield ok(
            "peer", f"{name}: no obstacle is visible on the way to {remote} port {uplink.ends.remote_port}", link=name
        )


def together(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same findings, with one for all links whose problem is the same and so has one cause."""
    groups: dict[tuple[str, object], list[Finding]] = {}
    for number, one in enumerate(findings):
        rest = _PORT.sub("port", one.text.removeprefix(f"{one.link}: "))
        # Lines fail one by one, what is behind a peer's address fails at once.
        shared = one.severity is Severity.PROBLEM and _ONE_CAUSE.search(rest)
        groups.setdefault((rest, None if shared else number), []).append(one)
    for group in groups.values():
        first = group[0]
        if len(group) == 1:
            yield first
            continue
        ports = ", ".join(dict.fromkeys(port for one in group for port in _PORT.findall(one.text)))
        rest = _PORT.sub(f"ports {ports}", first.text.removeprefix(f"{first.link}: "))
        commands = dict.fromkeys(command for one in group for command in one.commands)
        yield problem(first.check, f"{listed([one.link for one in group])}: {rest}", *commands)


def _answering(link: LinkView, device: str) -> Finding:
    by = f" by {device}" if device else ""
    rtt = f"round trip {milliseconds(link.number('SmoothedRttUSec'))}"
    loss = link.number("LossPercent")
    if link.state == "slow":
        return warning("peer", f"{link.name}: the peer answers{by}, but the link is slow, {rtt}", link=link.name)
    if link.state == "lossy" or loss >= _LOSS:
        text = f"{link.name}: the peer answers{by}, but the link loses {loss:.0f} % of its packets"
        return warning("peer", text, link=link.name)
    return ok("peer", f"{link.name}: the peer answers{by}, {rtt}", link=link.name)


def _error(uplink: Uplink, state: str, probed: int) -> Finding:
    """The finding about an error that came back."""
    name, remote, port = uplink.ends.link.name, uplink.ends.remote, uplink.ends.remote_port
    if probed == errno.ECONNREFUSED:
        text = (
            f"{state}the peer {remote} is there, but nothing listens at its port {port}: is the server running, and is"
            " the port right?"
        )
        return problem("peer", text, link=name)
    if probed in _UNREACHABLE:
        text = f"{state}the way to the peer {remote} ends: {os.strerror(probed).lower()}"
        return problem("peer", text, f"tracepath -n {remote}", link=name)
    if probed in (errno.EACCES, errno.EPERM):
        text = f"{state}a firewall refuses packets to {remote} port {port}"
        return problem("peer", text, "nft list ruleset", link=name)
    return problem("peer", f"{state}packets to the peer {remote} fail: {os.strerror(probed).lower()}", link=name)


def _silent(uplink: Uplink, state: str, tunnel: TunnelView, mode: Mode) -> Finding:
    name = uplink.ends.link.name
    if mode is Mode.SERVER:
        hint = "the peer has not called: does the client run, and does UDP arrive here?"
    else:
        hint = (
            "no packet comes back: is UDP let through, and is the password the same at both ends? At the server,"
            " 'mlvpnctl doctor' knows the latter"
        )
    return problem("peer", f"{state}{hint}", f"mlvpnctl log {tunnel.name} {name}", link=name)


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
