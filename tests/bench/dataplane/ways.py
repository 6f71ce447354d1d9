"""Ways for the load: a tunnel of ours, a tunnel of another VPN, or the bare cable; each with both ends' CPU time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from tests.support.cables import QUEUE, Cables
from tests.support.cpu import Account, account
from tests.support.daemons import START_TIMEOUT, Daemon, DaemonError, config_text, resident_bytes
from tests.support.lab import Host, Lab, LabError, wait_until
from tests.support.tunnels import (
    CLIENT_INNER_IPV4,
    FIRST_PORT,
    PASSWORD,
    SERVER_INNER_IPV4,
    Tunnel,
    TunnelSpec,
    has_address,
    link_name,
)
from tests.support.vpn_peers import PEERS, SERVER, Peer, PeerError

from .cases import MTU, RAW, REORDER_BUFFER, SHAPED_LINES, TWINS, Case

DEVICE = "mlvpn0"
_BY_NAME = {peer.name: peer for peer in PEERS}
SENDER, RECEIVER = "client", "server"


@dataclass(frozen=True, slots=True)
class Way:
    """A way that is up."""

    sender: Host
    receiver: Host
    address: str
    """The receiver's address."""
    accounts: Mapping[str, Account]
    """CPU accounts by end."""
    pids: Mapping[str, int]
    """The process of each end that carries the packets."""
    device: str = ""
    """The sender's interface; empty: there is no tunnel."""
    settle: float = 0.5
    """Seconds until the way works at its best."""
    link: tuple[str, int] = ("", 0)
    """Address and port of the receiver's first link."""

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by end."""
        return {end: one.seconds() for end, one in self.accounts.items()}

    def taken(self) -> int:
        """Packets that the tunnel took from the sender's interface, without those that the kernel dropped there."""
        return int(self.sender.run("cat", f"/sys/class/net/{self.device}/statistics/tx_packets"))

    def memory(self) -> float:
        """MB (1e6 bytes) of resident memory of the larger end."""
        return max((resident_bytes(pid) for pid in self.pids.values()), default=0) / 1e6


@contextlib.contextmanager
def way(peer: str, case: Case, program: str = "") -> Iterator[Way]:
    """Brings a peer up over the case's links; PeerError if the peer cannot be had here.

    `program` is the `mlvpn` of a twin of ours; empty: the one beside the interpreter.
    """
    with contextlib.ExitStack() as stack:
        accounts: dict[str, Account] = {}
        if peer != RAW:
            for end in (SENDER, RECEIVER):
                accounts[end] = account(f"mlvpnd-bench-{end}")
                stack.callback(accounts[end].close)
        if case.shaped:
            yield stack.enter_context(_shaped(peer, accounts, program))
            return
        cables = stack.enter_context(Cables(case.links, offloads=case.offloads))
        if peer == RAW:
            yield Way(cables.client, cables.server, cables.server_address(1), {}, {})
        elif peer in TWINS:
            yield stack.enter_context(_twin(peer, cables, accounts, program))
        else:
            yield stack.enter_context(_other(_BY_NAME[peer](cables), accounts))


@contextlib.contextmanager
def _shaped(twin: str, accounts: Mapping[str, Account], program: str) -> Iterator[Way]:
    with Lab(SHAPED_LINES, seed=1) as lab:
        general = {"mtu": MTU, "reorder_buffer_size": REORDER_BUFFER, "data_plane": twin}
        tunnel = Tunnel(lab, TunnelSpec(general=general))
        yield from _daemons(twin, {SENDER: tunnel.client, RECEIVER: tunnel.server}, accounts, program)


@contextlib.contextmanager
def _twin(twin: str, cables: Cables, accounts: Mapping[str, Account], program: str) -> Iterator[Way]:
    daemons = {
        end: Daemon(
            host, cables.directory, end, twin_config(end, twin, cables), control=cables.directory / f"{end}.sock"
        )
        for end, host in (("server", cables.server), ("client", cables.client))
    }
    link = (cables.server_address(1), FIRST_PORT + 1)
    yield from _daemons(twin, daemons, accounts, program, link)


def twin_config(end: str, twin: str, cables: Cables) -> str:
    """The configuration of one end: one link for each cable. Links have no rates, so that packets take turns."""
    general = {
        "mode": end,
        "password": PASSWORD,
        "interface_name": DEVICE,
        "ip4": f"{CLIENT_INNER_IPV4 if end == 'client' else SERVER_INNER_IPV4}/24",
        "configure_interface": 1,
        "mtu": MTU,
        "reorder_buffer_size": REORDER_BUFFER,
        "timeout": 10,
        "data_plane": twin,
        "control_unix_path": cables.directory / f"{end}.sock",
    }
    links: dict[str, dict[str, object]] = {}
    for number in range(1, cables.count + 1):
        port = FIRST_PORT + number
        server = cables.server_address(number)
        if end == "server":
            links[link_name(number)] = {"bindhost": server, "bindport": port}
        else:
            remote = {"remotehost": server, "remoteport": port}
            links[link_name(number)] = {"bindhost": cables.client_address(number), **remote}
    return config_text(general, links)


def _daemons(
    twin: str,
    daemons: Mapping[str, Daemon],
    accounts: Mapping[str, Account],
    program: str,
    link: tuple[str, int] = ("", 0),
) -> Iterator[Way]:
    """Starts the daemons and waits until all links are up; PeerError if the twin is not the wanted one."""
    try:
        for end, daemon in daemons.items():
            daemon.program = (program,) if program else daemon.program
            daemon.start()
            accounts[end].add(daemon.pid)  # before the fork
        for daemon in daemons.values():
            daemon.wait_links("connected")
    except DaemonError as error:
        raise PeerError(_why(daemons) or str(error)) from error
    runs = {daemon.status()["data_plane"] for daemon in daemons.values()}
    if runs != {twin}:
        raise PeerError(f"the daemons' status says {', '.join(sorted(runs))}")
    for daemon, address in ((daemons["client"], CLIENT_INNER_IPV4), (daemons["server"], SERVER_INNER_IPV4)):
        if not wait_until(partial(has_address, daemon.host, address), START_TIMEOUT):
            raise LabError(f"{daemon.name}: its interface has no address {address}")
        daemon.host.ip(f"link set {DEVICE} txqueuelen {QUEUE}")
    hosts = daemons[SENDER].host, daemons[RECEIVER].host
    pids = {end: daemon.child_pid for end, daemon in daemons.items()}
    yield Way(*hosts, SERVER_INNER_IPV4, accounts, pids, DEVICE, link=link)
    for end in ("client", "server"):
        daemons[end].stop()


def _why(daemons: Mapping[str, Daemon]) -> str:
    """The message of a daemon that refuses its data plane; empty: none refuses."""
    for daemon in daemons.values():
        for line in daemon.log().splitlines():
            if "data_plane: " in line:
                return "data_plane: " + line.rpartition("data_plane: ")[2]
    return ""


@contextlib.contextmanager
def _other(peer: Peer, accounts: Mapping[str, Account]) -> Iterator[Way]:
    peer.prepare()
    try:
        pids = {end: peer.start(end) for end in ("server", "client")}
        for end, pid in pids.items():
            accounts[end].add(pid)
        peer.wait_up()
        hosts = peer.hosts[SENDER], peer.hosts[RECEIVER]
        yield Way(*hosts, SERVER, accounts, pids, peer.device(SENDER), peer.settle)
    finally:
        peer.stop()
