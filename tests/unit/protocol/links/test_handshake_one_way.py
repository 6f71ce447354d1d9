"""Lines that are dead in one direction only: a stale NAT entry, a firewall that lets nothing in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlvpnd.protocol.links.events import DownReason, PathDown, PathUnheard, PathUp
from mlvpnd.protocol.links.path import PathParameters, PathStatus
from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.constants import NO_TIMESTAMP
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import (
    PEER,
    HandPeer,
    client_up,
    hear,
    heard,
    link_events,
    make_session,
    run_timers,
    server_up,
    types,
)
from tests.support.session_pair import End, Line, SessionPair, packet_of

AUTH, AUTH_OK, KEEPALIVE, DATA, DISCONNECT, *_others = PacketType
TIMEOUT = 5.0
DELAY = 0.03
ROUND_TRIP = 2 * DELAY
SLACK = 0.06
"""Seconds that cover a server's wait behind an AUTH."""
Up = Callable[..., tuple[Session, HandPeer]]
both_ways = pytest.mark.parametrize("to_server", [True, False], ids=["to-server", "to-client"])
TRAFFIC = ("idle", "ping", "up", "down", "both")
"""Packets of the tunnel: none, one a second with its answer, or a stream from the client, the server, or both."""


def kill(line: Line, *, to_server: bool) -> None:
    """Lets nothing through in this direction any more."""
    line.loss, line.loss_to_client = (1.0, line.loss_to_client or 0.0) if to_server else (line.loss, 1.0)


def carry(pair: SessionPair, kind: str, seconds: float) -> None:
    """Lets traffic pass for a while; the host behind the server answers a ping."""
    end, count = pair.now + seconds, 0
    answered = len(pair.server.delivered)
    while pair.now < end:
        step = 1.0 if kind in ("idle", "ping") else 0.02
        if kind in ("ping", "up", "both"):
            pair.client.send([packet_of(count)])
        if kind in ("down", "both"):
            pair.server.send([packet_of(count)])
        count += 1
        pair.run(min(step / 2, end - pair.now))
        if kind == "ping":
            pair.server.send(pair.server.delivered[answered:])
            answered = len(pair.server.delivered)
        pair.run(max(0.0, min(step / 2, end - pair.now)))


def ups(end: End, link: int) -> int:
    return end.events.count(PathUp(link))


@pytest.mark.parametrize("bandwidths", [None, [2_500_000, 1_250_000]], ids=["weights", "paced"])
@pytest.mark.parametrize("traffic", TRAFFIC)
@both_ways
def test_it_is_down_at_both_ends_in_time(to_server: bool, traffic: str, bandwidths: list[int] | None) -> None:
    pair = SessionPair([Line(DELAY), Line(DELAY)], timeout=TIMEOUT, bandwidths=bandwidths)
    pair.connect()
    carry(pair, traffic, 3.0)
    kill(pair.lines[0], to_server=to_server)
    carry(pair, traffic, TIMEOUT + ROUND_TRIP + SLACK)
    assert pair.client.up == pair.server.up == [1]
    # The link stays so, however often the client asks.
    before = ups(pair.server, 0), ups(pair.client, 0)
    carry(pair, traffic, 8.0)
    assert pair.client.up == pair.server.up == [1]
    assert (ups(pair.server, 0), ups(pair.client, 0)) == before
    pair.run(1.0)
    sent, arrived = [packet_of(10**6 + n) for n in range(40)], len(pair.client.delivered)
    for packet in sent:
        pair.server.send([packet])
        pair.run(0.01)
    pair.run(1.0)
    assert pair.client.delivered[arrived:] == sent
    # And the link comes back.
    pair.lines[0].loss, pair.lines[0].loss_to_client = 0.0, None
    pair.run(1.0 + 3 * DELAY)
    assert pair.client.up == pair.server.up == [0, 1]


@pytest.mark.parametrize("tenth", range(10))
@both_ways
def test_an_idle_line_is_down_in_time_whenever_it_dies(to_server: bool, tenth: int) -> None:
    """A KEEPALIVE may echo a stamp that was held for nearly a second.

    The echo says nothing of the line as it is now.
    """
    pair = SessionPair([Line(DELAY), Line(DELAY)], timeout=TIMEOUT)
    pair.connect()
    pair.run(3.0 + tenth / 10)
    kill(pair.lines[0], to_server=to_server)
    pair.run(TIMEOUT + ROUND_TRIP + SLACK)
    assert pair.client.up == pair.server.up == [1]


@pytest.mark.parametrize("traffic", ["up", "down", "both"])
@both_ways
def test_a_paced_line_carries_nothing_more_after_a_second_or_so(to_server: bool, traffic: str) -> None:
    """The end that is not heard has the echoes of the other line to compare with; `timeout` may be a minute."""
    pair = SessionPair([Line(DELAY), Line(DELAY)], timeout=60.0, bandwidths=[2_500_000, 1_250_000])
    pair.connect()
    carry(pair, traffic, 3.0)
    kill(pair.lines[0], to_server=to_server)
    carry(pair, traffic, 1.5)
    for end in (pair.client, pair.server):
        assert end.session.carrying == (1,)
        assert end.up == [0, 1]
    carry(pair, traffic, 5.0)
    for end in (pair.client, pair.server):
        assert end.session.carrying == (1,)
    pair.lines[0].loss, pair.lines[0].loss_to_client = 0.0, None
    carry(pair, traffic, 1.0)
    for end in (pair.client, pair.server):
        assert end.session.carrying == (0, 1)


@both_ways
def test_a_line_that_never_worked_in_one_direction_never_carries(to_server: bool) -> None:
    pair = SessionPair([Line(DELAY), Line(DELAY)], timeout=TIMEOUT)
    kill(pair.lines[0], to_server=to_server)
    for _ in range(20):
        pair.run(1.0)
        assert 0 not in pair.client.up + pair.server.up
    pair.server.send([packet_of(n) for n in range(20)])
    pair.run(1.0)
    assert pair.client.delivered == [packet_of(n) for n in range(20)]


def test_auths_alone_bring_no_link_up() -> None:
    session, peer = make_session(is_server=True), HandPeer()
    for second in range(30):
        hear(session, peer.auth(), float(second))
        session.handle_timer(float(second))
        assert types(session) == [AUTH_OK]
        assert session.path(0).status is PathStatus.AUTHSENT
        session.send([packet_of(second)], float(second))
        assert types(session) == []
    run_timers(session, 29.0, 29.0 + TIMEOUT)
    assert session.path(0).status is PathStatus.DISCONNECTED


@pytest.mark.parametrize("kind", [KEEPALIVE, DATA])
def test_what_follows_the_auth_brings_it_up(kind: PacketType) -> None:
    session, peer = make_session(is_server=True), HandPeer()
    before = peer.keepalive()
    hear(session, peer.auth(), 0.0)
    hear(session, before, 0.01)  # the KEEPALIVE was sent before the AUTH
    assert not session.path(0).up
    session.events()
    packet = packet_of(1)
    assert hear(session, peer.data(packet) if kind is DATA else peer.keepalive(), 0.02) == [packet] * (kind is DATA)
    assert session.path(0).up
    assert link_events(session) == [PathUp(0)]


def test_a_client_shows_at_once_that_the_answer_has_arrived() -> None:
    session = make_session(is_server=False)
    session.handle_timer(0.0)
    session.transmits()
    hear(session, HandPeer().auth_ok(), 0.05)
    assert types(session) == [KEEPALIVE]


def test_an_upstream_client_is_up_with_its_first_keepalive_or_data() -> None:
    """The client is up by AUTH_OK, and says nothing for a second or two."""
    session, peer = make_session(is_server=True), HandPeer(seq=0)
    hear(session, peer.auth(), 0.0)
    run_timers(session, 0.0, 1.9)
    assert not session.path(0).up
    hear(session, peer.keepalive(), 2.0)
    assert session.path(0).up


def test_a_client_that_asks_again_has_lost_us() -> None:
    """The client drops what comes until it is answered, and it may not hear the answer."""
    session, peer = server_up()
    hear(session, peer.data(packet_of(1)), 3.9)
    session.transmits()
    hear(session, peer.auth(), 4.0)
    assert types(session) == [AUTH_OK]
    session.handle_timer(4.0 + SLACK)
    assert not session.path(0).up
    assert link_events(session) == [PathDown(0, DownReason.UNHEARD)]
    assert types(session) == []
    hear(session, peer.keepalive(), 4.2)
    assert session.path(0).up


def test_a_client_that_has_another_socket_and_asks_again_has_a_round_trip_for_it() -> None:
    """An echo has shown that the client heard us lately. So the server's link stays up, and no script runs."""
    session, peer = server_up()
    hear(session, peer.datagram(KEEPALIVE, timestamp_reply=3850), 3.9)
    session.transmits()
    hear(session, peer.auth(), 4.0)
    run_timers(session, 4.0, 5.0)
    assert session.path(0).distrusted  # beside others it carries nothing
    hear(session, peer.keepalive(), 5.0)
    assert not session.path(0).distrusted
    assert link_events(session) == []
    # But the link does not stay up for ever.
    for second in range(6, 14):
        hear(session, peer.auth(), float(second))
        run_timers(session, float(second), second + 0.95)
        assert session.path(0).up is (second < 10)
    assert link_events(session) == [PathDown(0, DownReason.TIMEOUT), PathUnheard(0)]


def test_a_client_that_is_up_and_asks_loses_nothing() -> None:
    session, peer = server_up()
    hear(session, [peer.auth(), peer.keepalive()], 1.0)
    run_timers(session, 1.0, 1.5)
    assert link_events(session) == []
    assert session.path(0).up


def test_a_client_that_is_up_says_so_where_it_asks() -> None:
    session, _ = client_up()
    hear(session, HandPeer(0xBEEF).disconnect(), 1.0)
    assert types(session) == [AUTH, KEEPALIVE]


def test_a_link_whose_peer_asks_carries_nothing_beside_others() -> None:
    links = [PathParameters(name, TIMEOUT) for name in ("adsl", "wifi")]
    session, peer = server_up(*links)
    other = HandPeer(0xBEEF)
    hear(session, [other.auth(), other.keepalive()], 0.0, number=1)
    session.transmits()
    hear(session, HandPeer(0xFEED).auth(), 0.5)  # has restarted, as far as one can tell
    session.transmits()
    session.send([packet_of(n) for n in range(4)], 0.6)
    assert {one.path for one in heard(session) if one.type is DATA} == {1}
    hear(session, peer.keepalive(), 2.0)
    session.transmits()
    session.send([packet_of(n) for n in range(4)], 2.0)
    assert {one.path for one in heard(session) if one.type is DATA} == {0, 1}


def test_a_server_that_gives_a_link_up_says_so() -> None:
    """A client that hears the server, and is not heard, would go on for its own timeout.

    C MLVPN counts it from then.
    """
    session, peer = server_up()
    sent = run_timers(session, 0.0, TIMEOUT)
    assert sent[-1] == (TIMEOUT, DISCONNECT)


def test_a_client_that_gives_a_link_up_says_so() -> None:
    """The server, which the client does not hear any more, may have had an echo late."""
    session, _ = client_up(PathParameters("adsl", TIMEOUT))
    sent = run_timers(session, 0.0, TIMEOUT + 0.5)
    assert [what for at, what in sent if what in (DISCONNECT, AUTH)] == [DISCONNECT, AUTH]


# Echoes.


def echoing(up: Up, *, until: float, echo_until: float) -> tuple[Session, float]:
    """A peer speaks each half second, and echoes until `echo_until`; returns when the link is down, or infinity."""
    session, peer = up(PathParameters("adsl", TIMEOUT))
    tick = 0.0
    while tick < until:
        tick += 0.05
        if (due := session.get_timer()) is not None and due <= tick:
            session.handle_timer(tick)
        if not session.path(0).up:
            return session, tick
        if round(tick / 0.05) % 10 == 0:
            echo = int(tick * 1000) - 60 if tick <= echo_until else NO_TIMESTAMP
            hear(session, peer.datagram(KEEPALIVE, timestamp_reply=echo), tick)
    return session, float("inf")


both_roles = pytest.mark.parametrize("up", [server_up, client_up], ids=["server", "client"])


@both_roles
def test_a_peer_that_echoes_no_more_does_not_hear_us(up: Up) -> None:
    session, down_at = echoing(up, until=20.0, echo_until=4.0)
    assert 4.0 + TIMEOUT - 0.01 <= down_at <= 4.0 + TIMEOUT + ROUND_TRIP
    assert PathDown(0, DownReason.UNHEARD) in session.events()


@both_roles
def test_a_peer_that_never_echoed_is_believed(up: Up) -> None:
    _, down_at = echoing(up, until=20.0, echo_until=-1.0)
    assert down_at == float("inf")


@both_roles
def test_echoes_of_a_queue_of_many_seconds_count(up: Up) -> None:
    session, peer = up(PathParameters("adsl", TIMEOUT))
    for tick in range(1, 200):
        now = tick / 10
        session.handle_timer(now)
        hear(session, peer.datagram(KEEPALIVE, timestamp_reply=int((now - 8) * 1000) & 0x7FFF), now)
    assert session.path(0).up


@pytest.mark.parametrize("loss", [0.2, 0.4])
def test_a_bad_line_is_not_taken_for_a_dead_one(loss: float) -> None:
    pair = SessionPair([Line(DELAY, loss=loss)], timeout=TIMEOUT, seed=7)
    pair.run(10)
    before = len([e for e in pair.client.events + pair.server.events if isinstance(e, PathDown)])
    pair.run(600)
    after = [e for e in pair.client.events + pair.server.events if isinstance(e, PathDown)]
    assert [event for event in after[before:] if event.reason is DownReason.UNHEARD] == []


def test_a_peer_whose_echoes_fail_is_probed_quickly_before_it_is_given_up() -> None:
    session, peer = server_up(PathParameters("adsl", TIMEOUT))
    hear(session, peer.datagram(KEEPALIVE, timestamp_reply=1000), 1.05)
    session.transmits()
    sent = 0
    for tick in range(110, 450):
        now = tick / 100
        while (due := session.get_timer()) is not None and due <= now:
            session.handle_timer(now)
        if tick % 50 == 0:
            hear(session, peer.keepalive(), now)
        sent += types(session).count(KEEPALIVE)
    assert sent > 30
    assert session.path(0).peer == PEER


def test_a_line_that_is_dead_both_ways_is_a_timeout() -> None:
    """This holds, too, where a stream has brought packets without an echo to the last."""
    pair = SessionPair([Line(DELAY)], timeout=2.0, seed=3)
    pair.run(3)
    for number in range(200):
        pair.client.send([packet_of(number)])
        pair.run(0.01)
    pair.lines[0].cut = True
    pair.run(2.5)
    reasons = [e.reason for e in pair.client.events + pair.server.events if isinstance(e, PathDown)]
    assert reasons == [DownReason.TIMEOUT, DownReason.TIMEOUT]
