"""How links come up, with a peer whose every datagram is written by hand."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.links.events import PathCalling, PathUnanswered, PathUp, PeerMoved
from mlvpnd.protocol.links.path import PathParameters, PathStatus
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.wire.constants import NO_TIMESTAMP, UNANSWERED_AUTHS
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import (
    ELSEWHERE,
    FIRST_SEQ,
    PEER,
    HandPeer,
    dropped,
    flow_ids,
    hear,
    heard,
    link_events,
    make_session,
    run_timers,
    server_up,
    types,
)
from tests.support.session_pair import KEY

AUTH, AUTH_OK, KEEPALIVE, _data, DISCONNECT, *_others = PacketType


def test_a_client_says_disconnect_then_auth_and_auth_each_second() -> None:
    session = make_session(is_server=False)
    assert run_timers(session, 0.0, 3.5) == [(0.0, DISCONNECT), (0.0, AUTH), (1.0, AUTH), (2.0, AUTH), (3.0, AUTH)]
    assert session.path(0).status is PathStatus.AUTHSENT


def test_what_a_client_says_first() -> None:
    session = make_session(is_server=False, now=10.0)
    session.handle_timer(10.0)
    first, second = heard(session)
    assert (first.plaintext, second.plaintext) == (b"", b"AU")
    assert (first.header.seq, second.header.seq) == (FIRST_SEQ, FIRST_SEQ + 1)
    assert (second.address, second.header.data_seq, second.header.reorder) == (PEER, 0, True)
    assert (second.header.timestamp, second.header.timestamp_reply) == (10_000, NO_TIMESTAMP)


def test_a_client_comes_up_by_auth_ok() -> None:
    session = make_session(is_server=False)
    session.handle_timer(0.0)
    assert hear(session, HandPeer().auth_ok(), 0.05) == []
    assert session.path(0).status is PathStatus.AUTHOK
    assert link_events(session) == [PathCalling(0), PathUp(0)]


@pytest.mark.parametrize("packet_type", [AUTH, KEEPALIVE, DISCONNECT])
def test_a_client_comes_up_by_nothing_else(packet_type: PacketType) -> None:
    session = make_session(is_server=False)
    session.handle_timer(0.0)
    hear(session, HandPeer().datagram(packet_type, b"AU" if packet_type is AUTH else b""), 0.05)
    assert not session.path(0).up
    assert dropped(session) == {DropReason.UNKNOWN_FLOW: 1}


def test_a_client_that_did_not_ask_is_not_answered() -> None:
    session = make_session(is_server=False)
    hear(session, HandPeer().auth_ok(), 0.0)
    assert not session.path(0).up


def test_a_client_asks_for_another_address_after_some_silence() -> None:
    session = make_session(is_server=False)
    run_timers(session, 0.0, 2 * UNANSWERED_AUTHS + 0.5)
    assert session.events() == [PathCalling(0), PathUnanswered(0), PathUnanswered(0)]
    session.path_ready(0, ELSEWHERE, 10.6)
    session.handle_timer(11.0)
    assert [one.address for one in heard(session)] == [ELSEWHERE]


def test_no_auth_leaves_with_the_advice_to_try_another_address() -> None:
    """The AUTH leaves in the next turn. The driver may close the socket before, and the answer would find nobody."""
    session = make_session(is_server=False)
    run_timers(session, 0.0, UNANSWERED_AUTHS - 0.5)
    assert session.events() == [PathCalling(0)]
    session.transmits()
    session.handle_timer(float(UNANSWERED_AUTHS))
    assert session.events() == [PathUnanswered(0)]
    assert types(session) == []
    assert session.get_timer() == UNANSWERED_AUTHS
    session.handle_timer(float(UNANSWERED_AUTHS))
    assert session.events() == []
    assert types(session) == [AUTH]


def test_nothing_carries_before_a_link_is_up() -> None:
    session = make_session(is_server=True)
    before = session.tier
    hear(session, HandPeer().joins(), 0.0)
    assert [before, session.tier] == [Tier.NONE, Tier.NORMAL]


def test_a_client_without_a_socket_or_an_address_is_silent() -> None:
    session = Session(SessionParameters(KEY, is_server=False), FIRST_SEQ, flow_ids().__next__)
    session.add_path(0, PathParameters("adsl", 5.0), FIRST_SEQ)
    assert session.get_timer() is None
    session.path_ready(0, None, 0.0)
    assert session.get_timer() is None
    session.path_ready(0, PEER, 1.0)
    assert session.get_timer() == 1.0
    session.path_unready(0, 1.0)
    assert session.get_timer() is None


def test_a_server_is_silent_until_spoken_to() -> None:
    session = make_session(is_server=True)
    assert session.get_timer() is None
    assert run_timers(session, 0.0, 3.0) == []


def test_a_server_answers_auth_and_is_up_when_that_is_heard() -> None:
    session, peer = make_session(is_server=True), HandPeer()
    hear(session, peer.auth(), 1.0)
    (answer,) = heard(session)
    assert (answer.type, answer.plaintext, answer.address) == (AUTH_OK, b"OK", PEER)
    assert session.path(0).status is PathStatus.AUTHSENT
    hear(session, peer.keepalive(), 1.1)
    assert session.path(0).status is PathStatus.AUTHOK
    assert link_events(session) == [PeerMoved(0, PEER), PathCalling(0), PathUp(0)]


def test_a_server_answers_each_auth_and_tells_once() -> None:
    session, peer = server_up()
    for second in (1.0, 2.0, 3.0):
        hear(session, peer.auth(), second)
    assert types(session) == [AUTH_OK] * 3
    assert session.events() == []


def test_each_link_has_its_own_flow() -> None:
    links = [PathParameters(f"link{number}", 5.0) for number in range(128)]
    session = make_session(*links, is_server=False)
    session.handle_timer(0.0)
    flows = {one.header.flow_id for one in heard(session) if one.type is AUTH}
    assert len(flows) == 128


def test_a_flow_id_that_is_drawn_twice_is_drawn_again() -> None:
    numbers = iter([7, 7, 7, 8])
    session = Session(SessionParameters(KEY, is_server=True), FIRST_SEQ, numbers.__next__)
    assert session.add_path(0, PathParameters("adsl", 5.0), 0).flow_id == 7
    assert session.add_path(1, PathParameters("wifi", 5.0), 0).flow_id == 8
