"""Two independent peers talk to each other over loopback."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from mlvpnd.scapy_layer import AUTH, AUTH_OK, DATA, DISCONNECT, KEEPALIVE, MLVPN, NO_TIMESTAMP
from tests.support.peer import ScapyPeer, Style, altered, udp_socket

PASSWORD = b"secret"
THERE = bytes(IP(src="10.42.43.1", dst="10.42.43.2") / ICMP() / b"there")
BACK = bytes(IP(src="10.42.43.2", dst="10.42.43.1") / ICMP(type=0) / b"back")

Pair = tuple[ScapyPeer, ScapyPeer]


def make_pair(
    *, host: str = "127.0.0.1", style: Style = Style.CLOCK, cleartext: bool = False, tap: bool = False
) -> Pair:
    """A client and a server that have not spoken yet."""
    server = ScapyPeer(udp_socket((host, 0)), PASSWORD, server=True, style=style, cleartext=cleartext, tap=tap)
    client = ScapyPeer(
        udp_socket((host, 0)), PASSWORD, remote=server.address, style=style, cleartext=cleartext, tap=tap
    )
    return client, server


@pytest.fixture
def pair() -> Iterator[Pair]:
    client, server = make_pair()
    yield client, server
    client.close()
    server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("cleartext", [False, True])
def test_auth_keepalive_data_disconnect(host: str, style: Style, cleartext: bool) -> None:
    client, server = make_pair(host=host, style=style, cleartext=cleartext)
    with client, server:
        assert client.connect(5)
        assert server.connect(5)
        client.send_data(THERE)
        server.send_data(BACK)
        assert server.run_until(lambda: server.packets == [THERE], 5)
        assert client.run_until(lambda: client.packets == [BACK], 5)
        client.send_keepalive()
        assert server.expect(KEEPALIVE) is not None
        assert client.run_until(lambda: bool(client.rtt_samples), 5)
        client.send_disconnect()
        # A client asks for the peer again within a second: what counts is that both have been down.
        assert server.run_until(lambda: server.downs == 1, 5)
        assert client.downs == 1
    assert [r.refused for r in client.received + server.received if r.refused] == []
    assert all(sample < 5 for sample in client.rtt_samples)


def test_by_hand(pair: Pair) -> None:
    client, server = pair
    client.answers = server.answers = False
    client.send_auth()
    received = server.receive(5)
    assert received is not None
    assert (received.type, received.plaintext, received.source) == (AUTH, b"AU", client.address)
    assert server.remote == client.address
    assert not server.up
    server.send_auth_ok()
    received = client.receive(5)
    assert received is not None
    assert (received.type, received.plaintext) == (AUTH_OK, b"OK")
    assert client.receive(0.05) is None


def test_keepalives_go_both_ways_by_themselves(pair: Pair) -> None:
    client, server = pair
    with server:
        assert client.connect(5)
        client.run(2.4)
        kept = [r.type for r in list(server.received)].count(KEEPALIVE)
        assert 1 <= kept <= 5
        assert client.up
        assert client.expect(KEEPALIVE) is not None


def test_down_when_the_other_is_silent(pair: Pair) -> None:
    client, server = pair
    client.timeout = 0.5
    with server:
        assert client.connect(5)
        server.answers = False
        assert client.run_until(lambda: client.downs == 1, 5)


def test_numbers_of_upstream(pair: Pair) -> None:
    client, server = pair
    for peer in pair:
        peer.answers = False
    upstream = ScapyPeer(client.sock, PASSWORD, remote=server.address, style=Style.UPSTREAM, answers=False)
    upstream.send_auth()
    upstream.send_data(THERE)
    upstream.send_keepalive()
    upstream.send_data(THERE)
    headers = [MLVPN(datagram) for datagram in upstream.sent]
    assert [h.seq for h in headers] == [0, 1, 2, 3]
    assert [h.data_seq for h in headers] == [0, 0, 0, 1]
    assert [h.reorder for h in headers] == [1] * 4
    assert {h.flow_id for h in headers} == {upstream.flow_id}


def test_numbers_of_old_upstream(pair: Pair) -> None:
    client, server = pair
    old = ScapyPeer(client.sock, PASSWORD, remote=server.address, style=Style.OLD, answers=False)
    old.send_auth()
    old.send_data(THERE)
    old.send_data(THERE)
    assert [(h.seq, h.data_seq, h.reorder) for h in map(MLVPN, old.sent)] == [(0, 0, 0)] * 3


def test_clock_numbers_rise_over_a_restart(pair: Pair) -> None:
    client, _ = pair
    client.send_auth()
    again = ScapyPeer(client.sock, PASSWORD, remote=client.remote)
    again.send_auth()
    assert MLVPN(again.sent[0]).seq > MLVPN(client.sent[0]).seq


def test_links_share_their_data_numbers(pair: Pair) -> None:
    client, _ = pair
    numbers = itertools.count(100)
    links = [ScapyPeer(client.sock, PASSWORD, remote=client.remote, data_seqs=numbers) for _ in range(2)]
    for link in links * 2:
        link.send_data(THERE)
    assert [MLVPN(d).data_seq for d in links[0].sent] == [100, 102]
    assert [MLVPN(d).data_seq for d in links[1].sent] == [101, 103]


def test_upstream_answers_a_keepalive_late() -> None:
    for style, answers in ((Style.CLOCK, 1), (Style.UPSTREAM, 0)):
        client, server = make_pair(style=style)
        with client.sock, server.sock:
            client.answers = False
            client.send_auth()
            server.receive(5)
            client.send_keepalive()
            server.receive(5)
            assert [MLVPN(d).type for d in server.sent].count(KEEPALIVE) == answers
            server.send_data(BACK)
            assert [MLVPN(d).type for d in server.sent].count(KEEPALIVE) == 1


def test_timestamp_is_echoed_once_and_with_the_hold_time(pair: Pair) -> None:
    client, server = pair
    client.answers = server.answers = False
    client.send_auth(timestamp=1000)
    server.receive(5)
    first, second = MLVPN(server.build(AUTH_OK)), MLVPN(server.build(AUTH_OK))
    assert 1000 <= first.timestamp_reply < 2000
    assert second.timestamp_reply == NO_TIMESTAMP


def test_tap_frames() -> None:
    client, server = make_pair(tap=True)
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(THERE)
    with client, server:
        assert client.connect(5)
        client.send_data(frame)
        received = server.expect(DATA)
        assert received is not None
        assert received.opened is not None
        assert received.opened[Ether].dst == "02:00:00:00:00:02"
        assert received.opened[IP].dst == "10.42.43.2"


def test_what_does_not_open_is_kept_and_changes_nothing(pair: Pair) -> None:
    client, server = pair
    stranger = ScapyPeer(client.sock, b"wrong", remote=server.address, answers=False)
    stranger.send_auth()
    stranger.send_raw(b"")
    stranger.send_raw(b"garbage")
    for _ in range(3):
        server.receive(5)
    assert [r.refused for r in server.received] == [
        "box does not open",
        "shorter than a header",
        "shorter than a header",
    ]
    assert server.remote is None
    assert not server.up
    assert server.sent == []
    with pytest.raises(ValueError, match="nobody to send to"):
        server.send_keepalive()


def test_replayed_and_altered_datagrams_open(pair: Pair) -> None:
    client, server = pair
    client.answers = server.answers = False
    genuine = client.send_data(THERE)
    client.send_raw(genuine)
    client.send_raw(altered(genuine, type=DISCONNECT, timestamp=5))
    received = [server.receive(5) for _ in range(3)]
    assert [r.type for r in received if r is not None] == [DATA, DATA, DISCONNECT]
    assert server.packets == [THERE, THERE]


def test_peer_address_follows_what_opens(pair: Pair) -> None:
    client, server = pair
    server.answers = False
    client.send_auth()
    server.receive(5)
    with udp_socket(("127.0.0.1", 0)) as elsewhere:
        moved = ScapyPeer(elsewhere, PASSWORD, remote=server.address, answers=False)
        moved.send_keepalive()
        server.receive(5)
        assert server.remote == moved.address


def test_refused_port_is_no_failure(pair: Pair) -> None:
    client, server = pair
    address = server.address
    server.sock.close()
    client.sock.connect(address)
    client.send_raw(b"x", to=address)
    assert client.receive(1) is None
    assert [error.__class__ for error in client.send_errors] == [ConnectionRefusedError]
