"""The real daemon against the independent peer, which behaves on the wire as C MLVPN does."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Iterator
from statistics import median

import pytest
from scapy.layers.inet import IP, UDP

from mlvpnd.scapy_layer import AUTH, AUTH_OK, DATA, DISCONNECT, KEEPALIVE, NO_TIMESTAMP
from tests.support.lab import SERVER_IPV4, Lab, Line, wait_until
from tests.support.noise import Stopwatch
from tests.support.peer import Received, ScapyPeer, Style
from tests.support.sites import DAEMON_INNER, INTERFACE, PEER_INNER, Site, SiteSpec, hear, numbered, running_site
from tests.support.traffic import ping

pytestmark = pytest.mark.netns

FAST, SLOW = 5, 40
"""One-way delays of the two lines, in ms."""
LATE = 0.1
"""Seconds by which a process's turn may be late, on a machine with constant other work on each processor."""
HOLE = 0.06
"""Seconds for which a hole is waited for, at least. Links that are not measured yet may differ by 0.1 s."""
ETH_P_ALL = 0x0003


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab([Line(rate=100, delay=FAST), Line(rate=100, delay=SLOW)]) as running:
        for line in running.lines:  # the first datagram of a test must not wait for neighbour discovery
            ping(running.client, SERVER_IPV4, source=line.client.ipv4, count=1)
        yield running


def received(peer: ScapyPeer, packet_type: int) -> list[Received]:
    """The datagrams of one type that opened so far."""
    return [one for one in list(peer.received) if one.type == packet_type]


def intervals(arrivals: list[Received]) -> list[float]:
    return [later.at - earlier.at for earlier, later in itertools.pairwise(arrivals)]


# Each kind of tunnel, from AUTH to DISCONNECT.


@pytest.mark.parametrize(
    "spec",
    [
        SiteSpec(),
        SiteSpec(client=True),
        SiteSpec(ipv6_outside=True, general={"cleartext_data": 1}),
        SiteSpec(client=True, ipv6_outside=True, general={"reorder_buffer_size": 0}),
        SiteSpec(general={"tuntap": "tap"}),
        SiteSpec(client=True, general={"tuntap": "tap", "cleartext_data": 1}),
    ],
    ids=[
        "server, boxed, tun, IPv4",
        "client, boxed, tun, IPv4",
        "server, clear, tun, IPv6",
        "client, boxed, tun, IPv6, no reordering",
        "server, boxed, tap, IPv4",
        "client, clear, tap, IPv4",
    ],
)
def test_a_session_from_its_begin_to_its_end(lab: Lab, spec: SiteSpec) -> None:
    with running_site(lab, spec) as site, site.peer(style=Style.UPSTREAM) as peer:
        assert peer.connect(5)
        site.daemon.wait_links("connected")
        site.introduce_peer()
        assert site.echo(peer)
        # The host also speaks first.
        with site.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"from the host", (PEER_INNER, 9))
            assert peer.run_until(lambda: any(data.endswith(b"from the host") for data in peer.packets), 3)
        greeting = peer.expect(AUTH if spec.client else AUTH_OK)
        assert greeting is not None
        for one in list(peer.received):
            assert one.opened is not None, one.refused
            assert (one.header.version, one.header.reorder, one.header.unused) == (1, 1, 0)
            assert one.header.flow_id == greeting.header.flow_id
            assert one.header.data_seq == 0 or one.type == DATA
        # Numbers grow by one, whatever the types of the packets.
        numbers = [one.header.seq for one in list(peer.received)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        data = [one.header.data_seq for one in received(peer, DATA)]
        assert data == list(range(data[0], data[0] + len(data)))
        boxes = {len(one.datagram) - 28 - len(one.plaintext or b"") for one in received(peer, DATA)}
        assert boxes == {0 if spec.clear else 16}
        site.daemon.stop()
        assert peer.expect(DISCONNECT) is not None
        assert not peer.up


# Time.


def test_keepalives_keep_a_strict_second_under_load_and_silence_is_a_timeout(lab: Lab) -> None:
    with running_site(lab, SiteSpec(general={"timeout": 4})) as site, site.peer(answers=False) as peer:
        watch = Stopwatch()
        peer.send_auth()
        assert peer.expect(AUTH_OK) is not None
        peer.send_data(numbered(b"that has arrived"), timestamp=NO_TIMESTAMP)
        site.daemon.wait_links("connected")
        with site.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while len(received(peer, KEEPALIVE)) < 3:  # at 1, 2 and 3 s
                sock.sendto(bytes(1000), (PEER_INNER, 9))
                time.sleep(0.005)
        site.daemon.wait_for_log("link1 timeout", timeout=3)
        keepalives = received(peer, KEEPALIVE)
        assert 3 <= len(keepalives) <= 4
        for interval in intervals([received(peer, AUTH_OK)[0], *keepalives]):
            assert interval == pytest.approx(1, abs=0.1 + LATE * watch.taken_share)
        assert len(received(peer, DATA)) > 100
        # A stamp is echoed once, and only within a second: the AUTH_OK echoed the AUTH's stamp.
        assert received(peer, AUTH_OK)[0].header.timestamp_reply != NO_TIMESTAMP
        assert {one.header.timestamp_reply for one in keepalives} == {NO_TIMESTAMP}
        # A link that is down says so and sends nothing more. AUTH brings it up again, as soon as the answer is heard.
        assert peer.expect(DISCONNECT) is not None
        count = len(peer.received)
        time.sleep(1.2)
        assert len(peer.received) == count
        peer.send_auth()
        assert peer.expect(AUTH_OK, after=count) is not None
        time.sleep(0.5)
        assert site.daemon.links()["link1"]["status"] == "waiting peer"
        peer.send_keepalive()
        site.daemon.wait_links("connected")


def test_a_client_asks_each_second_until_it_is_answered_and_again_after_a_timeout(lab: Lab) -> None:
    with running_site(lab, SiteSpec(client=True)) as site, site.peer(answers=False) as peer:
        watch = Stopwatch()
        assert peer.run_until(lambda: len(received(peer, AUTH)) == 3, 5)
        for interval in intervals(received(peer, AUTH)):
            assert interval == pytest.approx(1, abs=0.1 + LATE * watch.taken_share)
        peer.send_auth_ok()
        site.daemon.wait_links("connected")
        asked = len(received(peer, AUTH))
        site.daemon.wait_for_log("link1 timeout", timeout=4)
        assert peer.run_until(lambda: len(received(peer, AUTH)) > asked, 2)
        peer.send_auth_ok()
        site.daemon.wait_links("connected")


@pytest.mark.parametrize("client", [False, True])
def test_round_trips_are_measured_at_both_ends(lab: Lab, client: bool) -> None:
    with running_site(lab, SiteSpec(client=client, links=2)) as site:
        numbers, whole = itertools.count(), Stopwatch()
        with (
            site.peer(1, style=Style.UPSTREAM, data_seqs=numbers) as fast,
            site.peer(2, style=Style.UPSTREAM, data_seqs=numbers) as slow,
        ):
            for peer, delay in ((fast, FAST), (slow, SLOW)):
                watch = Stopwatch()
                assert peer.run_until(lambda peer=peer: len(peer.rtt_samples) >= 4, 6)  # type: ignore[misc]
                assert watch.own < 6
                low, high = 2 * delay / 1000 - 0.002, 2 * delay / 1000 + 0.025
                # A sample is late if either process was late, which is the machine's doing. No sample is early.
                assert min(peer.rtt_samples) >= low, peer.rtt_samples
                assert min(peer.rtt_samples) <= high, peer.rtt_samples
                assert median(peer.rtt_samples) <= high + LATE * watch.taken_share, peer.rtt_samples
            links = site.daemon.links()
            late = 25 + 1000 * LATE * whole.taken_share
            assert 2 * FAST - 2 <= links["link1"]["srtt"] <= 2 * FAST + late
            assert 2 * SLOW - 2 <= links["link2"]["srtt"] <= 2 * SLOW + late
            # Both ends keep the link up: a timeout of 2 s is enough for an upstream peer.
            assert (fast.downs, slow.downs) == (0, 0)
            assert {link["disconnects"] for link in links.values()} == {0}


# Order.


@pytest.fixture
def two_links(lab: Lab) -> Iterator[tuple[Site, ScapyPeer, ScapyPeer]]:
    """A server of two links that are up, and the upstream peer's ends of them, fast and slow."""
    numbers = itertools.count()
    with (
        running_site(lab, SiteSpec(links=2)) as site,
        site.peer(1, style=Style.UPSTREAM, data_seqs=numbers) as fast,
        site.peer(2, style=Style.UPSTREAM, data_seqs=numbers) as slow,
    ):
        assert fast.connect(5)
        assert slow.connect(5)
        site.daemon.wait_links("connected")
        yield site, fast, slow


def test_packets_of_two_links_leave_in_the_order_of_their_numbers(
    two_links: tuple[Site, ScapyPeer, ScapyPeer],
) -> None:
    site, fast, slow = two_links
    sent = [b"%d" % number for number in range(40)]
    with site.inbox() as inbox:
        fast.send_data(numbered(b"the first to come, whose number all others count from"))
        assert len(hear(inbox, 1)) == 1
        watch = Stopwatch()
        for number, text in enumerate(sent):
            # The slow line is 35 ms behind: the next packet overtakes the packet on it.
            (slow if number % 2 == 0 else fast).send_data(numbered(text))
            time.sleep(0.004)
        came = hear(inbox, len(sent))
    assert sorted(came) == sorted(sent)
    reorder = site.daemon.status()["reorder"]
    # A packet may be later than the links differ. It is delivered when it comes, and counted as late.
    displaced = sum(int(after) < int(before) for before, after in itertools.pairwise(came))
    assert displaced <= reorder["late"]
    assert reorder["late"] <= watch.taken / (SLOW - FAST) * 1000


def test_what_is_late_is_delivered_once_and_what_is_lost_holds_up_nobody_for_long(
    two_links: tuple[Site, ScapyPeer, ScapyPeer],
) -> None:
    site, fast, _ = two_links
    with site.inbox() as inbox:
        fast.send_data(numbered(b"0"))
        late = fast.build(DATA, bytes(numbered(b"1")))
        begin = Stopwatch()
        fast.send_data(numbered(b"2"))
        fast.send_data(numbered(b"3"))
        assert hear(inbox, 3) == [b"0", b"2", b"3"]
        # The spread of the links is 70 ms; before they are measured, 100 ms.
        assert begin.elapsed > 0.02
        assert begin.own < 0.3
        for _ in range(3):
            fast.send_raw(late)
        fast.send_data(numbered(b"4"))
        assert hear(inbox, 3, timeout=0.5) == [b"1", b"4"]
    status = site.daemon.status()
    assert status["reorder"]["late"] == 1
    assert site.daemon.links()["link1"]["drops"]["replayed"] == 2


def test_what_is_marked_not_to_wait_does_not(two_links: tuple[Site, ScapyPeer, ScapyPeer]) -> None:
    site, fast, _ = two_links
    with site.inbox() as inbox:
        fast.send_data(numbered(b"0"))
        missing = fast.build(DATA, bytes(numbered(b"1")))
        watch = Stopwatch()
        fast.send_data(numbered(b"2"))
        fast.send_data(numbered(b"at once"), reorder=0, data_seq=0)
        came = hear(inbox, 2, timeout=1)
        fast.send_raw(missing)
        came += hear(inbox, 2)
    if watch.taken < HOLE:
        assert came == [b"0", b"at once", b"1", b"2"]
    else:  # another program had the machine for longer than a hole is waited for
        assert sorted(came) == [b"0", b"1", b"2", b"at once"]
        assert came[0] == b"0"


@pytest.mark.parametrize("client", [False, True])
def test_filtered_packets_take_their_link_and_no_number(lab: Lab, client: bool) -> None:
    spec = SiteSpec(client=client, links=2, filters=[("link2", "udp port 5060"), ("link1", "udp port 5061")])
    numbers = itertools.count()
    with (
        running_site(lab, spec) as site,
        site.peer(1, data_seqs=numbers) as first,
        site.peer(2, data_seqs=numbers) as second,
    ):
        assert first.connect(5)
        assert second.connect(5)
        site.daemon.wait_links("connected")
        with site.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in range(60):
                for port in (9, 5060, 5061):
                    sock.sendto(b"%d" % number, (PEER_INNER, port))
                time.sleep(0.002)

        def sent_to(peer: ScapyPeer, port: int) -> list[Received]:
            data = [(one, IP(one.plaintext or b"")) for one in received(peer, DATA)]
            return [one for one, packet in data if UDP in packet and packet[UDP].dport == port]

        assert wait_until(lambda: len(sent_to(first, 9)) + len(sent_to(second, 9)) == 60, 3)
        assert wait_until(lambda: len(sent_to(second, 5060)) == len(sent_to(first, 5061)) == 60, 3)
        for one in sent_to(second, 5060) + sent_to(first, 5061):
            assert (one.header.reorder, one.header.data_seq) == (0, 0)
        assert len(sent_to(first, 9)) == len(sent_to(second, 9)) == 30
        # The numbers of both links together leave no hole.
        numbered_data = [one for peer in (first, second) for one in received(peer, DATA) if one.header.reorder]
        data_seqs = sorted(one.header.data_seq for one in numbered_data)
        assert data_seqs == list(range(data_seqs[0], data_seqs[0] + len(data_seqs)))


# Peers that come and go.


def test_a_restarted_client_is_followed(lab: Lab) -> None:
    with running_site(lab) as site:
        with site.peer(style=Style.UPSTREAM) as before:
            assert before.connect(5)
            for number in range(5):
                assert site.echo(before, number)
        # The server is not told: another port, another flow, numbers from 0 again.
        with site.peer(style=Style.UPSTREAM) as after:
            assert after.connect(5)
            begin = Stopwatch()
            assert site.echo(after)
            # Small data_seqs do not count as late ones of the earlier session.
            assert begin.own < 0.5
            assert "link1 the peer has restarted" in site.daemon.log()
            assert site.daemon.links()["link1"]["disconnects"] == 0
            assert site.daemon.links()["link1"]["peer"].endswith(f":{after.address[1]}")


@pytest.mark.parametrize("client", [False, True])
def test_a_peer_behind_a_changing_address_is_followed(lab: Lab, client: bool) -> None:
    with running_site(lab, SiteSpec(client=client)) as site, site.peer() as peer:
        assert peer.connect(5)
        assert site.echo(peer, 1)
        peer.stop()
        old_port, sock = peer.address[1], peer.sock
        host = lab.server if client else lab.client
        with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
            elsewhere.bind((peer.address[0], 0))
            peer.sock = elsewhere
            assert peer.remote is not None
            begin = Stopwatch()
            assert site.echo(peer, 2)
            assert begin.own < 0.5
            new = site.daemon.links()["link1"]["peer"]
            assert new.endswith(f":{elsewhere.getsockname()[1]}")
            # A datagram recorded before the move does not move the link back.
            sock.sendto(peer.sent[-2], peer.remote)
            assert wait_until(lambda: site.daemon.links()["link1"]["drops"].get("replayed") == 1, 2)
            assert site.daemon.links()["link1"]["peer"] == new
            assert elsewhere.getsockname()[1] != old_port
            peer.sock = sock


def test_a_server_that_lost_its_state_says_so_to_a_living_client(lab: Lab) -> None:
    with running_site(lab) as site, site.peer(style=Style.UPSTREAM, timeout=30) as peer:
        assert peer.connect(5)
        assert site.echo(peer, 1)
        site.daemon.kill()
        before = len(peer.received)
        site.start()
        begin = Stopwatch()
        assert peer.run_until(lambda: peer.ups == 2, 5)
        # The peer's KEEPALIVE comes within a second, its AUTH at the next tick.
        assert begin.own < 2.5
        assert peer.expect(DISCONNECT, 0.1, after=before) is not None
        assert peer.downs == 1
        assert site.echo(peer, 2)


def test_an_upstream_server_that_was_restarted_is_found(lab: Lab) -> None:
    with running_site(lab, SiteSpec(client=True)) as site:
        with site.peer(style=Style.UPSTREAM) as before:
            assert before.connect(5)
            assert site.echo(before)
        begin = Stopwatch()
        with site.peer(style=Style.UPSTREAM) as after:
            # The peer ignores what it does not know, so the client has to notice the silence: timeout 2.
            assert after.connect(6)
            assert begin.own < 4
            # One AUTH was enough: it came from the socket that heard the answer.
            assert site.echo(after)
            assert len(received(after, AUTH)) == 1


def test_a_server_of_ours_that_was_restarted_is_found_before_the_timeout(lab: Lab) -> None:
    with running_site(lab, SiteSpec(client=True, general={"timeout": 30})) as site:
        with site.peer() as before:
            assert before.connect(5)
            assert site.echo(before)
        with site.peer(answers=False) as after:
            keepalive = after.expect(KEEPALIVE)
            assert keepalive is not None
            after.send_disconnect()  # as mlvpnd's server answers an unknown session
            assert after.expect(AUTH, 2) is not None
            after.send_auth_ok()
            after.answers = True
            assert site.echo(after)
        # The client asked, and a stranger's DISCONNECT did not take it down.
        assert site.daemon.links()["link1"]["disconnects"] == 0


# Peers with peculiarities.


def test_the_tail_of_a_bsd_peer_is_cut_off(lab: Lab) -> None:
    with running_site(lab) as site, site.peer() as peer:
        assert peer.connect(5)
        with site.host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as wire:
            wire.bind((INTERFACE, ETH_P_ALL))
            assert site.echo(peer, tail=struct.pack("!I", 2))
            sizes = {len(packet) for packet in hear(wire, 20, timeout=0.2) if packet[0] >> 4 == 4}
        assert sizes == {20 + 8 + len(b"through the tunnel")}


def test_a_peer_before_2_3_2_is_refused_after_its_first_packet(lab: Lab) -> None:
    with running_site(lab) as site, site.peer(style=Style.OLD) as peer:
        assert peer.connect(5)
        assert not site.echo(peer, timeout=1)
        assert wait_until(lambda: site.daemon.links()["link1"]["drops"].get("replayed", 0) >= 2, 4)
        assert not site.daemon.links()["link1"]["up"]
        assert "packet replayed or too old" in site.daemon.log()


def test_another_password_is_never_answered(lab: Lab) -> None:
    with running_site(lab) as site:
        sock = site.peer().sock
        with ScapyPeer(sock, b"another one", remote=site.server_address()) as peer:
            peer.run(1.2)
            assert peer.received == []
        assert site.daemon.links()["link1"]["status"] == "disconnected"
        assert site.daemon.log().count("crypto_decrypt failed") == 1


def test_another_password_at_the_server_is_never_believed(lab: Lab) -> None:
    with running_site(lab, SiteSpec(client=True)) as site:
        sock = site.peer().sock
        with ScapyPeer(sock, b"another one", server=True, answers=False) as peer:
            assert peer.run_until(lambda: len(peer.received) >= 2, 3)
            assert {one.type for one in peer.received} == {None}
            peer.send_raw(peer.build(AUTH_OK), to=peer.received[0].source)
            peer.send_raw(peer.build(DISCONNECT), to=peer.received[0].source)
            peer.run(0.5)
        assert site.daemon.links()["link1"]["status"] == "waiting peer"
        assert site.daemon.links()["link1"]["drops"]["not_authentic"] == 2


def test_the_interface_goes_with_the_daemon(lab: Lab) -> None:
    with running_site(lab) as site:
        assert DAEMON_INNER in site.host.run("ip", "addr", "show", INTERFACE)
    assert INTERFACE not in site.host.run("ip", "link")
