"""A link that an operator takes out of use: silent in both directions within a round trip, until it is enabled."""

from __future__ import annotations

import dataclasses

import pytest

from mlvpnd.dataplane.native_session import NativeSession
from mlvpnd.protocol.links.events import DownReason, PathDown, PathUp
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.resume import recall, remember
from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.constants import DISCONNECT_INTERVAL
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import (
    ELSEWHERE,
    HandPeer,
    client_up,
    dropped,
    hear,
    heard,
    link_events,
    make_session,
    run_timers,
    server_up,
    types,
)
from tests.support.session_pair import End, Line, SessionPair, packet_of

AUTH, DISCONNECT = PacketType.AUTH, PacketType.DISCONNECT
OFF = PathParameters("adsl", 5.0, enabled=False)


def switch(session: Session, now: float, *, enabled: bool, number: int = 0) -> None:
    parameters = dataclasses.replace(session.path(number).parameters, enabled=enabled)
    assert session.set_parameters(number, parameters, now) == []


def end_of(pair: SessionPair, *, is_server: bool) -> End:
    return pair.server if is_server else pair.client


@pytest.mark.parametrize("session_type", [Session, NativeSession])
@pytest.mark.parametrize("cleartext_data", [False, True])
@pytest.mark.parametrize("is_server", [False, True])
def test_nothing_passes_either_way_after_a_round_trip(
    is_server: bool, cleartext_data: bool, session_type: type[Session]
) -> None:
    delay = 0.02
    pair = SessionPair([Line(delay=delay), Line(delay=delay)], cleartext_data=cleartext_data, session_type=session_type)
    pair.connect()
    ours, theirs = end_of(pair, is_server=is_server), end_of(pair, is_server=not is_server)
    switch(ours.session, pair.now, enabled=False)
    pair.drain(ours)
    pair.run(2 * delay)
    assert (pair.server.up, pair.client.up) == ([1], [1])
    before = len(pair.recording)
    sent = pair.transfer(range(50), from_server=not is_server)
    pair.run(10)
    assert theirs.up == ours.up == [1]
    assert ours.delivered == sent
    mine = [one for one in pair.recording[before:] if one.line == 0 and one.to_server != is_server]
    assert mine == []
    if not is_server:
        assert not [one for one in pair.recording[before:] if one.line == 0]  # a server calls nobody
    switch(ours.session, pair.now, enabled=True)
    pair.drain(ours)
    pair.run(2)
    assert (pair.server.up, pair.client.up) == ([0, 1], [0, 1])


def test_it_is_one_end_of_its_own_reason_and_not_a_quick_end() -> None:
    session, _ = server_up()
    switch(session, 1.0, enabled=False)
    assert types(session) == [DISCONNECT]
    assert link_events(session) == [PathDown(0, DownReason.DISABLED)]
    switch(session, 1.0, enabled=False)
    assert types(session) == []
    assert link_events(session) == []
    assert session.path(0).damping.until <= 1.0


def test_a_server_that_was_told_to_leave_it_answers_nobody() -> None:
    session, _ = server_up()
    switch(session, 1.0, enabled=False)
    heard(session)
    again = HandPeer(0xBEEF)
    for second in range(2, 20):
        hear(session, again.auth(), float(second))
    assert types(session) == []
    assert not session.path(0).up
    assert dropped(session) == {DropReason.DISABLED: 18}
    switch(session, 20.0, enabled=True)
    hear(session, again.joins(), 20.5)
    assert session.path(0).up
    assert [type(event) for event in link_events(session)][-1] is PathUp


def test_a_client_calls_nobody_until_it_is_enabled() -> None:
    session, _ = client_up()
    switch(session, 1.0, enabled=False)
    heard(session)
    assert run_timers(session, 1.0, 60.0) == []
    assert session.get_timer() is None
    switch(session, 60.0, enabled=True)
    assert session.get_timer() == 60.0
    session.handle_timer(60.0)
    assert types(session) == [AUTH]


def test_a_peer_that_has_not_heard_it_is_told_again_once_an_interval() -> None:
    """The DISCONNECT may be lost, and the peer may have begun a session that this process does not know."""
    for session, peer in (server_up(), client_up()):
        switch(session, 1.0, enabled=False)
        assert types(session) == [DISCONNECT]
        hear(session, peer.data(packet_of(1)), 1.01)
        assert types(session) == []
        hear(session, [peer.keepalive(), peer.keepalive()], 1.0 + DISCONNECT_INTERVAL)
        assert types(session) == [DISCONNECT]
        later = 1.0 + 2 * DISCONNECT_INTERVAL
        hear(session, HandPeer(0xF00).keepalive(), later, source=ELSEWHERE)
        (told,) = heard(session)
        assert (told.type, told.address) == (DISCONNECT, ELSEWHERE)
        hear(session, HandPeer(0xF00).keepalive(), later + 0.1, source=ELSEWHERE)
        assert types(session) == []
        assert dropped(session) == {DropReason.DISABLED: 5}
        assert session.path(0).peer != ELSEWHERE


def test_what_does_not_open_is_not_answered() -> None:
    session, peer = server_up()
    switch(session, 1.0, enabled=False)
    heard(session)
    damaged = bytearray(peer.keepalive())
    damaged[-1] ^= 1
    hear(session, bytes(damaged), 5.0)
    assert types(session) == []
    assert dropped(session) == {DropReason.NOT_AUTHENTIC: 1}


def test_a_peer_that_was_answered_but_not_heard_is_told() -> None:
    """By the answer it may be up."""
    session = make_session(is_server=True)
    hear(session, HandPeer().auth(), 0.0)
    heard(session)
    switch(session, 0.1, enabled=False)
    assert types(session) == [DISCONNECT]
    assert PathDown(0, DownReason.DISABLED) not in link_events(session)


def test_a_link_that_begins_disabled_is_silent() -> None:
    client = make_session(OFF, is_server=False)
    assert run_timers(client, 0.0, 10.0) == []
    server = make_session(OFF, is_server=True)
    hear(server, HandPeer().joins(), 1.0)
    assert types(server) == [DISCONNECT]  # for the KEEPALIVE: the peer believes that it is up
    assert not server.path(0).up


def test_a_session_that_is_taken_up_leaves_a_disabled_link_down() -> None:
    before, _ = server_up()
    memory = remember(before, 1.0)
    after = make_session(OFF, is_server=True)
    assert recall(after, memory, 1.0)
    assert not after.path(0).up
