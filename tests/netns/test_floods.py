"""Hostile datagrams at 20 000 a second against a tunnel of real daemons that carries TCP.

The floods begin on the server's own host, behind the lines: so they reach the daemon, not the lines' queues.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, IP

from mlvpnd.scapy_layer import AUTH, AUTH_OK, DATA, DISCONNECT, KEEPALIVE, MLVPN
from mlvpnd.tunnel.eventlog import FLAP_BURST, FLAP_INTERVAL
from tests.support.cpu import Pace, Processes
from tests.support.daemons import Daemon, resident_bytes
from tests.support.flood import flood, garbage, raw_socket, spoofed, truncated, wrong_key
from tests.support.lab import SERVER_IPV4, Lab, Line, wait_until
from tests.support.noise import Noise, Stopwatch
from tests.support.peer import Address, altered, udp_socket
from tests.support.recorder import Recorder, recording
from tests.support.sites import running_site
from tests.support.traffic import TcpTransfer, UdpStream, ping
from tests.support.tunnels import CLIENT_INNER_IPV4, FIRST_PORT, SERVER_INNER_IPV4, Tunnel, TunnelSpec

pytestmark = [pytest.mark.netns, pytest.mark.quiet]

LINES = [Line(rate=20, delay=15), Line(rate=10, delay=40)]
DEVICES = ("wan1", "wan2")
PORTS = (FIRST_PORT, FIRST_PORT + 1)
RATE = 20_000
SETTLE = 4.0
"""Seconds in which TCP finds its speed."""
AMMUNITION = 800
"""Different datagrams of a flood, at most."""
STORM = 80_000
"""Strangers' datagrams a second; `STORM_COST` is for this number. A busy machine sends fewer."""
STORM_COST = 0.25
"""Share of a core at the usual pace."""
LINES_LOGGED = 10
"""Lines that a minute of floods may add to the log."""
MEMORY_GROWN = 2_000_000
"""Bytes by which the daemon may grow in a minute of floods."""


class Wave:
    """A flood of one kind, ready to be sent."""

    def __init__(self, datagrams: Sequence[bytes], *reasons: str, link: int = 1, source: Address | None = None) -> None:
        """The datagrams go to the server's end of a link. The daemon must refuse them all for `reasons`, its own words.

        They claim to come from `source`; without it they come from their real sender.
        """
        self.reasons = set(reasons)
        self._target = (SERVER_IPV4, PORTS[link - 1])
        self._spoofed = source is not None
        datagrams = datagrams[:AMMUNITION]
        self._datagrams = datagrams if source is None else spoofed(datagrams, source, self._target)

    def send(self, lab: Lab, seconds: float) -> int:
        """Sends from the server's host; returns how many datagrams went out."""
        if self._spoofed:
            sock, target = raw_socket(host=lab.server), (SERVER_IPV4, 0)
        else:
            sock, target = udp_socket((SERVER_IPV4, 0), host=lab.server), self._target
        noise = Noise()
        with sock:
            result = flood(sock, target, self._datagrams, count=10**9, rate=RATE, seconds=seconds)
        # The other limits are shares of the sent datagrams. A machine with other work sends fewer.
        assert result.sent > 0.5 * RATE * (result.seconds - noise.seconds)
        assert result.sent > 2 * len(self._datagrams)
        assert result.refused == 0
        return result.sent


@dataclass
class Goodput:
    """The bytes that the transfer has reported, from one look to the next."""

    transfer: TcpTransfer
    at: float = 0.0
    count: int = 0

    def look(self) -> float:
        """Mbit/s since the last look."""
        at, count = self.at, self.count
        *_, (self.at, self.count) = (at, count), *self.transfer.watch(0.05)
        return (self.count - count) * 8e-6 / max(self.at - at, 0.01)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(LINES) as running:
        yield running


def started_and_recorded(lab: Lab, tunnel: Tunnel) -> Recorder:
    """Starts a tunnel. Returns an eavesdropper's record of its first seconds, with datagrams of all types."""
    with recording(lab.server, DEVICES, PORTS) as recorder:
        tunnel.start()
        assert TcpTransfer(lab.client, lab.server, SERVER_INNER_IPV4, size=1_000_000).wait().verified
        time.sleep(1.1)
    for datagrams, types in (
        (recorder.sent_to(*PORTS), {AUTH, KEEPALIVE, DATA}),
        (recorder.sent_from(*PORTS), {AUTH_OK, KEEPALIVE, DATA}),
    ):
        assert len(datagrams) > 200
        assert {MLVPN(datagram).type for datagram in datagrams} >= types
    return recorder


def of_another_type(datagrams: Sequence[bytes]) -> list[bytes]:
    """Each datagram with another type than it was sent with: headers are not authenticated."""
    types = itertools.cycle((DISCONNECT, AUTH, AUTH_OK, KEEPALIVE, DATA))
    changed = [altered(datagram, type=kind) for datagram, kind in zip(datagrams, types, strict=False)]
    return [datagram for datagram in changed if datagram not in datagrams]


def numbered_on(datagram: bytes, count: int) -> list[bytes]:
    """The same DATA with the following numbers. When DATA is clear, no box protects the numbers."""
    header = MLVPN(datagram)
    return [altered(datagram, seq=header.seq + n, data_seq=header.data_seq + n) for n in range(1, count + 1)]


def forged_clear(flow_ids: Sequence[int]) -> list[bytes]:
    """Clear DATA of these flows with new numbers. The payloads are echo requests that would be answered."""
    packet = IP(src=CLIENT_INNER_IPV4, dst=SERVER_INNER_IPV4) / ICMP()
    base = MLVPN(type=DATA, seq=time.time_ns() >> 6) / packet
    return [altered(bytes(base), flow_id=flow_id, seq=base.seq + n) for n, flow_id in enumerate(flow_ids)]


def drops(daemon: Daemon) -> dict[str, int]:
    """Drops of all links, by reason."""
    total: dict[str, int] = {}
    for link in daemon.links().values():
        for reason, count in link["drops"].items():
            total[reason] = total.get(reason, 0) + count
    return total


def dropped_by_the_kernel(lab: Lab) -> int:
    """Datagrams that the kernel dropped because the server's sockets were full: last column of /proc/net/udp."""
    sockets = [line.split() for line in lab.server.run("cat", "/proc/net/udp").splitlines()[1:]]
    return sum(int(words[-1]) for words in sockets if int(words[1].partition(":")[2], 16) in PORTS)


def settled_drops(daemon: Daemon) -> dict[str, int]:
    """The drops after everything in the daemon's sockets has been counted."""
    before = drops(daemon)
    for _ in range(40):
        time.sleep(0.25)
        after = drops(daemon)
        if after == before:
            break
        before = after
    return before


def endure(lab: Lab, tunnel: Tunnel, waves: dict[str, Wave], seconds: float) -> None:
    """Sends each wave for `seconds`, and checks that the tunnel keeps its promises."""
    server, client = tunnel.server, tunnel.client
    total = SETTLE + (seconds + 1.5) * (len(waves) + 1)
    transfer = TcpTransfer(lab.client, lab.server, SERVER_INNER_IPV4, seconds=total)
    stream = UdpStream(lab.client, lab.server, SERVER_INNER_IPV4, seconds=total)
    goodput = Goodput(transfer)
    time.sleep(SETTLE)
    goodput.look()
    time.sleep(seconds)
    undisturbed = goodput.look()
    assert undisturbed > 5
    memory, logged = resident_bytes(server.child_pid), len(server.log().splitlines())
    before = server.links()
    events = tunnel.events("server")
    kept = {}
    for name, wave in waves.items():
        counted, missed = drops(server), dropped_by_the_kernel(lab)
        sent = wave.send(lab, seconds)
        kept[name] = goodput.look() / undisturbed
        fresh = {reason: count - counted.get(reason, 0) for reason, count in settled_drops(server).items()}
        # The flood reached the daemon, which refused it for the right reason. The kernel drops some on a busy machine.
        # Few are cut or made so short that nothing is left.
        assert {reason for reason, count in fresh.items() if count} - {"empty"} == wave.reasons, name
        missed = dropped_by_the_kernel(lab) - missed
        assert 0.99 * sent < sum(fresh.values()) + missed < 1.1 * sent, (name, sent, fresh, missed)
        assert sum(fresh.values()) > 0.25 * sent, (name, sent, fresh, missed)
    assert sum(kept.values()) >= 0.5 * len(kept), kept
    assert min(kept.values()) >= 0.3, kept
    assert transfer.wait().verified
    result = stream.wait()
    assert (result.duplicates, result.wrong) == (0, 0)
    assert result.lost < 0.05 * result.count  # in a full queue, because the TCP fills the lines
    for name, link in server.links().items():
        assert link["status"] == "connected"
        assert link["disconnects"] == 0
        assert link["peer"] == before[name]["peer"]
    assert {link["disconnects"] for link in client.links().values()} == {0}
    assert tunnel.events("server") == events
    assert len(server.log().splitlines()) - logged <= LINES_LOGGED
    assert resident_bytes(server.child_pid) - memory < MEMORY_GROWN


@pytest.mark.timeout(240)  # of which a minute is flood
def test_a_tunnel_in_floods(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(scripted=True))
    recorder = started_and_recorded(lab, tunnel)
    to_server, to_client = recorder.sent_to(*PORTS), recorder.sent_from(*PORTS)
    client = next(one.source for one in recorder.recorded if one.destination[1] == PORTS[1])
    forged = [*truncated(to_server[:500]), *wrong_key(500), *to_server[:500], *to_client[:500]]
    random.Random(1).shuffle(forged)
    waves = {
        "garbage": Wave(garbage(AMMUNITION), "short", "bad_length", "not_authentic"),
        "another key": Wave(wrong_key(AMMUNITION), "not_authentic", link=2),
        "truncated": Wave(truncated(to_server), "short", "bad_length"),
        "replayed": Wave(to_server, "replayed", "wrong_link", link=2),
        "reflected": Wave(to_client, "reflected"),
        "of another type": Wave(of_another_type(to_server), "replayed", "wrong_link", link=2),
        "clear": Wave(forged_clear(range(AMMUNITION)), "not_authentic"),
        "all of it, from the client's address": Wave(
            forged,
            *("short", "bad_length", "not_authentic", "replayed", "wrong_link", "reflected"),
            link=2,
            source=client,
        ),
    }
    endure(lab, tunnel, waves, 7.5)
    tunnel.stop()


def test_strangers_cost_little(lab: Lab) -> None:
    """The cost is counted for each datagram that the daemon refused and counted."""
    tunnel = Tunnel(lab, TunnelSpec(general={"data_plane": "native"}))
    recorder = started_and_recorded(lab, tunnel)
    to_server, to_client = recorder.sent_to(*PORTS), recorder.sent_from(*PORTS)
    forged = wrong_key(AMMUNITION)
    storms = {
        "another key": forged,
        "control of another key": [datagram for datagram in forged if MLVPN(datagram).type != DATA],
        "another version": [datagram[:2] + bytes([datagram[2] & 0xF0]) + datagram[3:] for datagram in forged],
        "short": truncated(forged),
        "replayed": to_server,
        "reflected": to_client,
    }
    costs = {}
    for name, datagrams in storms.items():
        used, pace, counted = Processes(), Pace(), sum(drops(tunnel.server).values())
        used.add(tunnel.server.child_pid)
        before, sent = used.seconds(), 0
        with udp_socket((SERVER_IPV4, 0), host=lab.server) as sock:
            for _ in range(4):
                sent += flood(sock, (SERVER_IPV4, PORTS[0]), datagrams, count=10**9, rate=STORM, seconds=0.5).sent
                pace.look()
        cost = used.seconds() - before
        refused = sum(settled_drops(tunnel.server).values()) - counted
        assert refused > 0.8 * sent, (name, refused, sent)
        costs[name] = round(STORM * cost / refused / pace.slowness, 3)
    print(f"part of a core for {STORM} datagrams a second: {costs}")
    assert max(costs.values()) <= STORM_COST, costs
    assert {link["status"] for link in tunnel.server.links().values()} == {"connected"}
    tunnel.stop()


def test_a_clear_tunnel_in_floods(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec(scripted=True, general={"cleartext_data": 1}))
    recorder = started_and_recorded(lab, tunnel)
    first_link = [one for one in recorder.recorded if one.destination[1] == PORTS[0]]
    data = [one.datagram for one in first_link if MLVPN(one.datagram).type == DATA]
    source, numbers = first_link[0].source, numbered_on(data[-1], AMMUNITION)
    waves = {
        # A sender who knows the flow is refused by his address. A sender who has the address is refused by the flow. A
        # sender who has both is refused by the number.
        "from elsewhere": Wave(numbers, "clear_not_allowed"),
        "of the other link": Wave(numbers, "wrong_link", link=2),
        "of unknown flows": Wave(forged_clear(range(AMMUNITION)), "clear_not_allowed", source=source),
        "replayed": Wave(data, "replayed", source=source),
    }
    endure(lab, tunnel, waves, 2.0)
    tunnel.stop()


def test_a_tunnel_comes_up_in_a_flood(lab: Lab) -> None:
    tunnel = Tunnel(lab, TunnelSpec())
    tunnel.server.start()
    tunnel.server.wait_for_log("link2 bind to")
    attacker = threading.Thread(target=Wave(wrong_key(AMMUNITION)).send, args=(lab, 3.0))
    attacker.start()
    try:
        tunnel.client.start()
        begin = Stopwatch()
        tunnel.wait_up()
        assert begin.own < 3
        assert ping(lab.client, SERVER_INNER_IPV4, count=10).received == 10
    finally:
        attacker.join()
    tunnel.stop()


def test_a_peer_that_is_here_and_there_does_not_fill_the_log(lab: Lab) -> None:
    """Anybody can pass on genuine packets, from two addresses by turns; this needs no password."""
    with running_site(lab) as site, site.peer() as peer:
        assert peer.connect(5)
        host, position, watch = peer.address[0], len(site.daemon.log()), Stopwatch()
        with udp_socket((host, 0), host=lab.client) as elsewhere:
            for _ in range(100):
                for sock in (peer.sock, elsewhere):
                    sock.sendto(peer.build(KEEPALIVE), site.server_address())
                time.sleep(0.005)
        lines = site.daemon.log()[position:].count("new connection -> ")
        assert lines <= FLAP_BURST + watch.elapsed / FLAP_INTERVAL + 2
        # The peer's address is that of the newest packet. The peer's next packet corrects it.
        assert site.echo(peer)
        assert site.daemon.links()["link1"]["peer"] == f"{host}:{peer.address[1]}"


def test_a_recording_from_before_a_restart_is_believed_once_and_not_for_long(lab: Lab) -> None:
    """v1 has no challenge. To a server that has forgotten it, a recorded session is at first as good as a new one."""
    with running_site(lab) as site:
        with site.peer() as before:
            assert before.connect(5)
            before.run(2.2)
        recorded = list(before.sent)
        assert len(recorded) >= 4
        site.daemon.kill()
        site.start()
        with site.peer(timeout=10.0) as living, udp_socket((living.address[0], 0), host=lab.client) as elsewhere:
            assert living.connect(5)
            assert site.echo(living, 1)
            address = site.daemon.links()["link1"]["peer"]
            begin = time.monotonic()
            while time.monotonic() - begin < 2.5:
                flood(elsewhere, site.server_address(), recorded, count=1000, rate=RATE, seconds=1)
            assert wait_until(lambda: site.daemon.links()["link1"]["peer"] == address, 1)
            assert site.echo(living, 2)
            # The server does not believe it after a quiet time on the link either: it has heard it once.
            for _ in range(5):
                flood(elsewhere, site.server_address(), recorded, count=1000, rate=RATE, seconds=1)
                assert site.daemon.links()["link1"]["peer"] == address
                living.run(0.3)
            assert site.echo(living, 3)
            assert living.downs == 0
        assert site.daemon.links()["link1"]["disconnects"] == 0
