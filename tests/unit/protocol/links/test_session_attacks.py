"""A session and those who are not its peer: they have recordings, spoofed addresses, time, but no password."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlvpnd.protocol.links.events import DownReason, PathDown, PathUp, PeerMoved, PeerRestarted
from mlvpnd.protocol.links.path import Address, PathParameters
from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.constants import MAX_FLOWS, RECLAIM_GRACE, SILENCE
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import (
    ELSEWHERE,
    PEER,
    HandPeer,
    client_up,
    dropped,
    hear,
    heard,
    make_session,
    server_up,
    several,
    types,
    with_type,
)
from tests.support.session_pair import packet_of

AUTH, AUTH_OK, KEEPALIVE, DATA, DISCONNECT, *_others = PacketType
ONE, TWO = packet_of(1), packet_of(2)
Up = Callable[..., tuple[Session, HandPeer]]
both_roles = pytest.mark.parametrize("up", [server_up, client_up], ids=["server", "client"])


def memory(session: Session) -> object:
    """All of the session that a refused datagram must leave as it is."""
    path = session.path(0)
    return (
        path.status,
        path.peer,
        path.flow,
        path.flow and path.flow.window.newest,
        path.heard_at,
        path.loss_percent,
        path.rtt.srtt_ms,
        path.packets_sent,
        path.packets_received,
        path.next_seq,
        session.get_timer(),
        session.carrying,
    )


def refused(session: Session, datagram: bytes, reason: DropReason, now: float = 1.0) -> None:
    """The datagram goes nowhere and changes nothing. It is counted once and not answered, wherever it came from."""
    before, count = memory(session), session.path(0).drops[reason]
    for source in (PEER, ELSEWHERE):
        assert hear(session, datagram, now, source=source) == []
        assert memory(session) == before
        assert session.transmits() == []
        assert session.events() == []
    assert session.path(0).drops[reason] == count + 2


# What is refused.


@both_roles
@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", DropReason.EMPTY),
        (bytes(27), DropReason.SHORT),
        (bytes(28), DropReason.BAD_LENGTH),
        (bytes(1500), DropReason.BAD_LENGTH),
        (b"\xff" * 100, DropReason.BAD_LENGTH),
        (b"\x00\x10\x20\x04" + bytes(40), DropReason.BAD_VERSION),
        (b"\x00\x10\x51\x04" + bytes(40), DropReason.UNKNOWN_TYPE),
        (b"\x00\x10\x21\x04" + bytes(40), DropReason.NOT_AUTHENTIC),
        (b"\x00\x01\x31\x04" + bytes(25), DropReason.NOT_AUTHENTIC),
    ],
)
def test_garbage(up: Up, datagram: bytes, reason: DropReason) -> None:
    refused(up()[0], datagram, reason)


@both_roles
def test_another_password(up: Up) -> None:
    session, peer = up()
    stranger = HandPeer(peer.flow_id, peer.seq, key=bytes(32))
    for datagram in (stranger.auth(), stranger.auth_ok(), stranger.keepalive(), stranger.disconnect()):
        refused(session, datagram, DropReason.NOT_AUTHENTIC)


@both_roles
def test_replays_of_every_type(up: Up) -> None:
    session, peer = up()
    recording = [peer.auth(), peer.auth_ok(), peer.keepalive(), peer.data(ONE), peer.disconnect()]
    hear(session, recording, 0.5)
    hear(session, peer.auth() if up is server_up else peer.auth_ok(), 0.6)
    session.handle_timer(0.6)
    session.transmits()
    session.events()
    for datagram in recording:
        refused(session, datagram, DropReason.REPLAYED)


@both_roles
def test_old_numbers_that_never_came(up: Up) -> None:
    session, peer = up()
    old = peer.data(ONE)
    peer.seq += 3000
    hear(session, peer.keepalive(), 0.5)
    session.transmits()
    refused(session, old, DropReason.REPLAYED)


@both_roles
def test_nothing_of_before_the_session(up: Up) -> None:
    """The receiver was started anew. A recording holds what the living peer sent to its forerunner."""
    session, peer = up()
    for packet_type, plaintext in ((DATA, ONE), (KEEPALIVE, b""), (DISCONNECT, b"")):
        refused(session, peer.datagram(packet_type, plaintext, seq=999), DropReason.REPLAYED)


@both_roles
def test_a_session_does_not_talk_to_itself(up: Up) -> None:
    session, _ = up()
    session.send([ONE], 0.5)
    session.handle_timer(1.0)
    session.close(1.0)
    mirror = [one.datagram for one in heard(session)]
    assert len(mirror) == 3
    session.events()
    for datagram in mirror:
        refused(session, datagram, DropReason.REFLECTED)


def test_a_client_does_not_answer_itself() -> None:
    session = make_session(is_server=False)
    session.handle_timer(0.0)
    for one in heard(session):
        hear(session, one.datagram, 0.1, source=PEER)
    assert not session.path(0).up
    assert dropped(session) == {DropReason.REFLECTED: 2}


@both_roles
@pytest.mark.parametrize(
    ("was", "becomes"),
    [(AUTH, AUTH_OK), (AUTH, DISCONNECT), (AUTH_OK, AUTH), (KEEPALIVE, AUTH), (KEEPALIVE, AUTH_OK), (KEEPALIVE, DATA)]
    + [(DATA, kind) for kind in (AUTH, AUTH_OK, KEEPALIVE, DISCONNECT)],
)
def test_a_changed_type(up: Up, was: PacketType, becomes: PacketType) -> None:
    session, peer = up()
    plaintext = {AUTH: b"AU", AUTH_OK: b"OK", DATA: ONE}.get(was, b"")
    refused(session, with_type(peer.datagram(was, plaintext), becomes), DropReason.BAD_PLAINTEXT)


@both_roles
def test_a_flow_stays_on_its_link(up: Up) -> None:
    session, peer = up(PathParameters("adsl", 5.0), PathParameters("wifi", 5.0))
    for datagram in (peer.keepalive(), peer.data(ONE), peer.disconnect()):
        assert hear(session, datagram, 1.0, number=1) == []
    assert dropped(session, 1) == {DropReason.WRONG_LINK: 3}
    assert session.path(0).up
    assert not session.path(1).up
    assert hear(session, peer.data(TWO), 1.0) == [TWO]


def test_a_control_packet_that_was_overtaken() -> None:
    session, peer = server_up()
    last_of_before, auth = peer.disconnect(), peer.auth()
    hear(session, [auth, last_of_before], 1.0)
    assert session.path(0).up
    assert dropped(session) == {DropReason.STALE_CONTROL: 1}


@both_roles
def test_the_handshake_of_the_other_role(up: Up) -> None:
    session, peer = up()
    hear(session, peer.auth_ok() if up is server_up else peer.auth(), 0.5)
    assert dropped(session) == {DropReason.STALE_CONTROL: 1}
    assert session.transmits() == []


def test_old_peers_whose_numbers_stand_still_are_refused_after_the_first() -> None:
    """2.3.0 and 2.3.1 send seq 0 for ever; no window can tell their packets from replays."""
    session = make_session(is_server=True)
    old = HandPeer(seq=0)
    hear(session, old.auth(), 0.0)
    assert types(session) == [AUTH_OK]
    session.events()
    refused(session, old.datagram(KEEPALIVE, seq=0), DropReason.REPLAYED)
    assert not session.path(0).up


def test_an_upstream_client_that_counts_from_0() -> None:
    session = make_session(is_server=True, reorder_size=64)
    old = HandPeer(seq=0)
    old.data_seq = 0
    hear(session, old.auth(), 0.0)
    assert hear(session, [old.keepalive(), old.data(ONE), old.data(TWO)], 0.5) == [ONE, TWO]


# Addresses.


@both_roles
@pytest.mark.parametrize("source", [ELSEWHERE, (*PEER, "198.51.100.9")], ids=["it moves", "it calls another of ours"])
@pytest.mark.parametrize("cleartext_data", [False, True], ids=["boxed", "clear"])
def test_a_peer_whose_address_changes_is_followed(up: Up, cleartext_data: bool, source: Address) -> None:
    session, peer = up(cleartext_data=cleartext_data)
    hear(session, peer.keepalive(), 1.0, source=source)
    assert session.events() == [PeerMoved(0, source)]
    assert [one.address for one in heard(session)] == [source]
    assert hear(session, peer.data(ONE, clear=cleartext_data), 1.0, source=source) == [ONE]


@both_roles
def test_a_delayed_packet_from_elsewhere_counts_but_moves_nothing(up: Up) -> None:
    session, peer = up()
    delayed = peer.data(ONE)
    hear(session, peer.keepalive(), 1.0)
    assert hear(session, delayed, 1.0, source=ELSEWHERE) == [ONE]
    assert session.path(0).peer == PEER
    assert session.events() == []


# Restarts, and recordings of older sessions.


def test_a_client_that_restarts_takes_over() -> None:
    session, _ = server_up()
    new = HandPeer(0xBEEF, seq=1)
    hear(session, [new.disconnect(), new.auth()], 1.0)
    assert session.events() == [PeerRestarted(0)]
    assert types(session) == [AUTH_OK]
    assert hear(session, new.data(ONE), 1.1) == [ONE]
    assert dropped(session) == {DropReason.UNKNOWN_FLOW: 1}


def test_stragglers_of_the_old_process_do_not_take_it_back() -> None:
    session, old = server_up()
    hear(session, HandPeer(0xBEEF).auth(), 1.0)
    session.transmits()
    assert hear(session, old.data(ONE), 1.0 + RECLAIM_GRACE - 0.01) == []
    flow = session.path(0).flow
    assert flow is not None
    assert flow.flow_id == 0xBEEF
    assert session.transmits() == []


def test_the_living_flow_takes_its_link_back_from_a_recording() -> None:
    session, living = server_up()
    recorded = HandPeer(0xBEEF)
    hear(session, recorded.auth(), 1.0, source=ELSEWHERE)
    assert session.path(0).peer == ELSEWHERE
    session.events()
    session.transmits()
    assert hear(session, living.data(ONE), 1.0 + RECLAIM_GRACE) == [ONE]
    assert session.path(0).peer == PEER
    assert session.events() == [PeerMoved(0, PEER)]
    assert hear(session, recorded.data(TWO), 10.0, source=ELSEWHERE) == []
    assert session.path(0).peer == PEER


def test_two_recordings_at_once_do_not_hide_the_living_flow() -> None:
    session, living = server_up()
    hear(session, HandPeer(0xBEEF).auth(), 1.0)
    hear(session, HandPeer(0xFEED).auth(), 1.5)
    assert hear(session, living.data(ONE), 1.0 + RECLAIM_GRACE) == [ONE]


def test_a_recording_that_came_first_does_not_shut_the_living_flow_out() -> None:
    """The recording is the first to speak to a server that has just started. It plays its KEEPALIVEs on and on."""
    session = make_session(is_server=True)
    recorded, living = HandPeer(0xBEEF), HandPeer(0xC0FFEE)
    hear(session, recorded.auth(), 0.0, source=ELSEWHERE)
    hear(session, living.auth(), 0.5)
    hear(session, recorded.keepalive(), 2.0, source=ELSEWHERE)
    assert session.path(0).peer == ELSEWHERE, "for all that the server can know, this one is alive"
    hear(session, living.auth(), 7.0)  # the client's timeout
    for second in range(8, 20):
        hear(session, recorded.keepalive(), second, source=ELSEWHERE)
        assert hear(session, living.data(packet_of(second)), second) == [packet_of(second)]
        assert session.path(0).peer == PEER


def test_a_client_is_not_kept_by_a_recording_either() -> None:
    """The client asks again; only the living server can answer with a number that is new."""
    session, living = client_up()
    recorded = HandPeer(0xBEEF)
    hear(session, recorded.disconnect(), 1.0, source=ELSEWHERE)
    assert [(one.type, one.address) for one in heard(session)] == [(AUTH, PEER), (KEEPALIVE, PEER)]
    hear(session, recorded.auth_ok(), 1.0, source=ELSEWHERE)
    assert session.path(0).peer == ELSEWHERE
    session.transmits()
    hear(session, recorded.keepalive(), 2.0, source=ELSEWHERE)
    hear(session, living.keepalive(), 2.5)
    assert session.path(0).peer == PEER
    for second in range(3, 10):
        hear(session, recorded.keepalive(), second, source=ELSEWHERE)
        assert hear(session, living.data(packet_of(second)), second) == [packet_of(second)]


@both_roles
def test_a_recorded_disconnect_of_an_older_session(up: Up) -> None:
    session, _ = up()
    hear(session, HandPeer(0xBEEF).disconnect(), 1.0, source=ELSEWHERE)
    assert session.path(0).up
    assert session.path(0).peer == PEER
    assert session.events() == []
    assert types(session) == ([] if up is server_up else [AUTH, KEEPALIVE])


def test_recordings_buy_no_auth_for_elsewhere_while_the_link_lives() -> None:
    """Passed on to the server, an AUTH would make the server believe that the client has moved there."""
    session, _ = client_up()
    recorded = HandPeer(0xBEEF).disconnect()
    hear(session, recorded, SILENCE - 0.1, source=ELSEWHERE)
    assert [(one.type, one.address) for one in heard(session)] == [(AUTH, PEER), (KEEPALIVE, PEER)]
    hear(session, recorded, SILENCE + 1, source=ELSEWHERE)
    assert [(one.type, one.address) for one in heard(session)] == [(AUTH, PEER), (KEEPALIVE, PEER), (AUTH, ELSEWHERE)]


def test_a_client_asks_once_a_second_at_most() -> None:
    session, _ = client_up()
    recorded = HandPeer(0xBEEF).disconnect()
    for tick in range(30):
        hear(session, recorded, 1.0 + tick * 0.1)
    assert types(session) == [AUTH, KEEPALIVE] * 3


def test_a_server_that_lost_its_memory_says_so_to_living_clients() -> None:
    session = make_session(is_server=True)
    client = HandPeer()
    assert hear(session, client.data(ONE), 0.0, source=ELSEWHERE) == []
    (answer,) = heard(session)
    assert (answer.type, answer.plaintext, answer.address) == (DISCONNECT, b"", ELSEWHERE)
    for tick in range(1, 31):
        hear(session, client.keepalive(), tick * 0.1)
    assert types(session) == [DISCONNECT] * 3
    assert session.path(0).peer is None


@pytest.mark.parametrize("packet_type", [AUTH_OK, DISCONNECT])
def test_a_server_says_nothing_to_other_strangers(packet_type: PacketType) -> None:
    session = make_session(is_server=True)
    hear(session, HandPeer().datagram(packet_type, b"OK" if packet_type is AUTH_OK else b""), 0.0)
    assert session.transmits() == []


def test_recordings_buy_no_disconnect_while_the_link_lives() -> None:
    session, _ = server_up()
    recorded = HandPeer(0xBEEF)
    hear(session, recorded.keepalive(), SILENCE - 0.1, source=ELSEWHERE)
    assert session.transmits() == []
    hear(session, recorded.keepalive(), SILENCE, source=ELSEWHERE)
    assert types(session) == [DISCONNECT]


def test_a_server_that_restarted_is_asked_and_followed() -> None:
    session, _ = client_up()
    new = HandPeer(0xBEEF)
    hear(session, new.disconnect(), 1.2)
    assert types(session) == [AUTH, KEEPALIVE]
    assert session.path(0).up
    hear(session, new.auth_ok(), 1.3)
    assert session.events() == [PeerRestarted(0)]
    assert hear(session, new.data(ONE), 1.4) == [ONE]


def test_an_auth_ok_that_was_lost_is_asked_for_again() -> None:
    """The restarted server is up and says no DISCONNECT any more; its KEEPALIVEs are of a strange flow."""
    session, _ = client_up()
    new = HandPeer(0xBEEF)
    hear(session, new.disconnect(), 1.2)
    assert types(session) == [AUTH, KEEPALIVE]
    new.auth_ok()
    hear(session, new.keepalive(), 2.2)
    assert types(session) == [AUTH, KEEPALIVE]
    hear(session, new.auth_ok(), 2.3)
    assert session.events() == [PeerRestarted(0)]


def test_a_client_that_was_given_a_hint_asks_until_it_is_answered() -> None:
    session, living = client_up()
    hear(session, HandPeer(0xBEEF).disconnect(), 1.0)
    assert types(session) == [AUTH, KEEPALIVE]
    for second in (2.0, 3.0):
        session.handle_timer(second)
        assert types(session) == [KEEPALIVE, AUTH, KEEPALIVE]
    hear(session, living.auth_ok(), 3.1)
    session.transmits()
    session.handle_timer(4.0)
    assert types(session) == [KEEPALIVE]
    assert session.events() == []


def test_a_session_that_is_down_follows_a_new_flow_without_a_word_of_restart() -> None:
    session, peer = server_up()
    hear(session, peer.disconnect(), 1.0)
    hear(session, HandPeer(0xBEEF).joins(), 2.0)
    events = session.events()
    assert PathUp(0) in events
    assert PeerRestarted(0) not in events


def test_a_flood_of_old_sessions_needs_no_more_memory() -> None:
    session, living = server_up()
    for number in range(3 * MAX_FLOWS):
        hear(session, HandPeer(0x10000 + number).auth(), 1.0)
    session.transmits()
    assert len(session.gate.flows) == MAX_FLOWS
    assert hear(session, living.data(ONE), 3.0) == [ONE]


def test_others_links_do_not_notice() -> None:
    session, peers = several(PathParameters("a", 5.0), PathParameters("b", 5.0))
    hear(session, HandPeer(0xBEEF).auth(), 1.0)
    assert session.events() == [PeerRestarted(0)]
    hear(session, peers[0].disconnect(), 3.0)
    assert session.events()[0] == PathDown(0, DownReason.DISCONNECTED)
    assert session.path(1).up
    assert hear(session, peers[1].data(ONE), 3.0, number=1) == [ONE]
