"""A session in conversation with a peer whose every datagram is written by hand."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.links.events import DownReason, PathDown, PathStatusChanged
from mlvpnd.protocol.links.path import PathParameters, PathStatus
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.receiving.loss import BUCKET, WINDOW
from mlvpnd.protocol.receiving.receiver import MIN_WAIT
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import (
    FIRST_SEQ,
    PEER,
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
from tests.support.session_pair import packet_of

AUTH, _auth_ok, KEEPALIVE, DATA, DISCONNECT, *_others = PacketType
ONE, TWO, THREE = packet_of(1), packet_of(2), packet_of(3)


# Staying up.


@pytest.mark.parametrize("is_server", [True, False])
def test_a_keepalive_each_second_exactly(is_server: bool) -> None:
    session, _ = server_up() if is_server else client_up()
    assert run_timers(session, 0.0, 4.5, step=0.25) == [(float(second), KEEPALIVE) for second in (1, 2, 3, 4)]


def test_data_does_not_put_keepalives_off() -> None:
    session, _ = client_up()
    session.send([ONE] * 100, 0.99)
    session.transmits()
    assert run_timers(session, 1.0, 1.0) == [(1.0, KEEPALIVE)]


def test_a_late_timer_does_not_shift_the_cadence() -> None:
    session, _ = client_up()
    session.handle_timer(1.3)
    session.transmits()
    assert session.get_timer() == 2.0


def test_a_keepalive_is_answered_with_its_stamp() -> None:
    session, peer = server_up()
    hear(session, peer.datagram(KEEPALIVE, timestamp=777), 1.5)
    (answer,) = heard(session)
    assert (answer.type, answer.plaintext, answer.header.timestamp_reply) == (KEEPALIVE, b"", 777)


def test_answers_do_not_play_ping_pong() -> None:
    session, peer = server_up()
    for tick in range(10):
        hear(session, peer.keepalive(), 1.1 + tick * 0.1)
    assert types(session) == [KEEPALIVE, KEEPALIVE]


def test_timeout_exactly() -> None:
    session, peer = server_up()
    hear(session, peer.keepalive(), 2.0)
    session.handle_timer(6.999)
    assert session.path(0).up
    session.transmits()
    assert session.get_timer() == 7.0
    session.handle_timer(7.0)
    assert link_events(session) == [PathDown(0, DownReason.TIMEOUT)]
    assert types(session) == [DISCONNECT]
    assert session.path(0).disconnects == 1
    assert session.get_timer() is None


def test_a_client_asks_again_at_once_when_its_link_has_timed_out() -> None:
    session, _ = client_up()
    assert run_timers(session, 4.9, 6.5)[-2:] == [(5.0, AUTH), (6.0, AUTH)]


def test_data_is_a_sign_of_life() -> None:
    session, peer = server_up()
    hear(session, peer.data(ONE), 4.0)
    session.handle_timer(8.9)
    assert session.path(0).up


def test_disconnect_takes_a_link_down_without_an_answer() -> None:
    session, peer = server_up()
    hear(session, peer.disconnect(), 1.0)
    assert link_events(session) == [PathDown(0, DownReason.DISCONNECTED)]
    assert types(session) == []
    hear(session, peer.disconnect(), 1.1)
    assert dropped(session) == {DropReason.NOT_UP: 1}


def test_a_client_asks_within_a_second_after_disconnect() -> None:
    session, peer = client_up()
    hear(session, peer.disconnect(), 0.3)
    assert run_timers(session, 0.3, 1.5) == [(1.0, AUTH)]
    hear(session, peer.auth_ok(), 1.5)
    session.transmits()
    hear(session, peer.disconnect(), 10.0)
    assert run_timers(session, 10.0, 10.5) == [(10.0, AUTH)]


def test_a_link_that_is_dropped_by_hand_is_asked_for_from_then_on() -> None:
    session, peer = client_up()
    hear(session, peer.keepalive(), 99.5)
    session.disconnect(0, 100.0)
    assert session.get_timer() == 100.0  # not a second after the first AUTH: a timer so late would be a standstill


def test_what_came_while_nobody_listened_makes_no_hole_be_waited_for() -> None:
    session, peer = server_up(reorder_size=8)
    assert session.reorder is not None
    hear(session, peer.datagram(PacketType.KEEPALIVE, timestamp=100), 4.0)
    session.woken(2.0, 4.0)
    hear(session, peer.datagram(PacketType.KEEPALIVE, timestamp=4100), 4.1)
    assert session.reorder.wait == pytest.approx(MIN_WAIT)


def test_time_in_which_nobody_listened_is_not_the_peers_silence() -> None:
    session, peer = client_up()  # it has the timeout of the other tests of silence
    timeout = session.path(0).parameters.timeout
    hear(session, peer.keepalive(), 1.0)
    woken = 61.0
    session.woken(2.0, woken)
    session.handle_timer(woken)
    assert link_events(session) == []
    assert session.path(0).heard_at == 60.0
    session.handle_timer(60.0 + timeout)
    assert link_events(session) == [PathDown(0, DownReason.TIMEOUT)]
    # What was heard just now was not heard in the future.
    session, peer = client_up()
    hear(session, peer.keepalive(), woken)
    session.woken(2.0, woken)
    assert session.path(0).heard_at == woken
    # A timer that is a little late has not kept anybody from listening.
    session, peer = client_up()
    hear(session, peer.keepalive(), 1.0)
    session.woken(2.0, 2.9)
    assert session.path(0).heard_at == 1.0


def test_what_is_lost_while_nobody_listened_is_not_lost_on_the_line() -> None:
    session, peer = client_up(PathParameters("adsl", 100.0, loss_tolerance=5))
    session.woken(2.0, 61.0)
    hear(session, [peer.keepalive() for _ in range(50)], 61.0)  # what the buffer held
    peer.seq += 1000
    for tick in range(1, 50):
        hear(session, peer.keepalive(), 61 + tick / 10)
        session.handle_timer(61 + tick / 10)
    assert session.path(0).loss_percent == 0
    assert link_events(session) == []
    peer.seq += 1000
    hear(session, peer.keepalive(), 67.0)
    assert session.path(0).loss_percent > 90


def test_the_clean_end() -> None:
    session, _ = server_up()
    session.close(1.0)
    (last,) = heard(session)
    assert (last.type, last.plaintext, last.address) == (DISCONNECT, b"", PEER)
    assert link_events(session) == [PathDown(0, DownReason.CLOSED)]


def test_an_end_before_the_beginning_is_silent() -> None:
    session = make_session(is_server=False)
    run_timers(session, 0.0, 1.0)
    session.close(2.0)
    assert types(session) == []
    assert session.path(0).status is PathStatus.DISCONNECTED


def test_a_lost_socket_takes_the_link_down_silently() -> None:
    session, _ = client_up()
    assert session.path_unready(0, 1.0) == []
    assert link_events(session) == [PathDown(0, DownReason.SOCKET_LOST)]
    assert session.path_unready(0, 1.0, DownReason.CARRIER_LOST) == []
    assert link_events(session) == []  # it is down already
    assert types(session) == []


def test_the_same_moment_twice_and_a_night_asleep() -> None:
    session, peer = client_up()
    session.handle_timer(1.0)
    session.handle_timer(1.0)
    assert types(session) == [KEEPALIVE]
    hear(session, peer.keepalive(), 30_000.0)
    session.transmits()
    session.handle_timer(30_000.0)
    assert types(session) == [KEEPALIVE]
    assert session.get_timer() == 30_001.0
    assert run_timers(session, 90_000.0, 90_000.0) == [(90_000.0, DISCONNECT), (90_000.0, AUTH)]
    assert not session.path(0).up


def test_keepalives_keep_their_second_though_one_was_late() -> None:
    """Links share a tick; where a link is alone, the tick is its own."""
    session, _ = client_up()
    for now in (1.01, 2.0, 3.0):
        session.handle_timer(now)
        assert types(session) == [KEEPALIVE]
    assert session.get_timer() == 4.0


# Data.


def test_data_in() -> None:
    session, peer = server_up()
    assert hear(session, [peer.data(ONE), peer.data(TWO)], 1.0) == [ONE, TWO]


def test_data_out() -> None:
    session, _ = client_up()
    session.send([ONE, TWO], 1.0)
    first, second = heard(session)
    assert [(one.type, one.plaintext) for one in (first, second)] == [(DATA, ONE), (DATA, TWO)]
    assert (first.header.data_seq, second.header.data_seq) == (FIRST_SEQ, FIRST_SEQ + 1)
    assert second.header.seq == first.header.seq + 1
    assert first.header.reorder


def test_clear_data_both_ways() -> None:
    session, peer = server_up(cleartext_data=True)
    assert hear(session, peer.data(ONE, clear=True), 1.0) == [ONE]
    session.send([TWO], 1.0)
    (out,) = heard(session)
    assert out.datagram.endswith(TWO)
    assert out.header.length == len(TWO)


def test_frames() -> None:
    session, peer = server_up(layer2=True)
    frame = bytes(14) + b"anything"
    assert hear(session, peer.data(frame), 1.0) == [frame]


def test_without_a_link_packets_are_counted() -> None:
    session = make_session(is_server=False)
    session.send([ONE, TWO], 0.0)
    assert session.drops == {DropReason.NO_LINK: 2}
    assert session.transmits() == []


def test_a_packet_that_no_datagram_carries() -> None:
    session, _ = client_up()
    session.send([bytes(65507 - 28 - 16), bytes(65507 - 28 - 15)], 1.0)
    assert len(heard(session)) == 1
    assert session.drops == {DropReason.TOO_LONG: 1}


def test_data_before_auth_is_no_data() -> None:
    session = make_session(is_server=True)
    assert hear(session, HandPeer().data(ONE), 0.0) == []
    assert dropped(session) == {DropReason.UNKNOWN_FLOW: 1}


def test_a_burst_leaves_as_one() -> None:
    session, _ = client_up()
    session.send([ONE, TWO, THREE], 1.0)
    (transmit,) = session.transmits()
    assert (transmit.path, transmit.address, len(transmit.datagrams)) == (0, PEER, 3)
    assert session.transmits() == []


def test_counters() -> None:
    session, peer = server_up()
    path = session.path(0)
    before = path.bytes_received
    hear(session, [peer.data(ONE), b"garbage"], 1.0)
    session.send([TWO], 1.0)
    assert (path.packets_received, path.bytes_received - before) == (3, 28 + 16 + len(ONE))
    assert (path.packets_sent, path.bytes_sent) == (3, 46 + 44 + 28 + 16 + len(TWO))


# Round trips and loss.


def test_round_trip() -> None:
    session, peer = server_up()
    session.handle_timer(1.0)
    (keepalive,) = heard(session)
    hear(session, peer.datagram(KEEPALIVE, timestamp_reply=keepalive.header.timestamp), 1.04)
    assert (session.path(0).rtt.has_sample, session.path(0).rtt.srtt_ms) == (True, 40)


def test_lost_numbers_of_all_types_count() -> None:
    session, peer = server_up()
    peer.seq += 32
    hear(session, peer.keepalive(), 1.0)
    assert session.path(0).loss_percent == 50


def test_clear_data_that_has_arrived_is_not_lost() -> None:
    session, peer = server_up(cleartext_data=True)
    for second in range(1, 4):
        hear(session, [peer.data(packet_of(n), clear=True) for n in range(30)], second)
        hear(session, peer.keepalive(), second)
        assert session.path(0).loss_percent == 0


def test_clear_data_that_comes_behind_what_vouches_for_it_is_not_lost() -> None:
    session, peer = server_up(cleartext_data=True)
    overtaken = [peer.data(packet_of(n), clear=True) for n in range(32)]
    hear(session, [peer.data(ONE, clear=True), peer.keepalive()], 1.0)
    assert session.path(0).loss_percent == 50
    hear(session, [*overtaken, *overtaken], 1.1)
    assert session.path(0).loss_percent == 0
    peer.seq += 32
    hear(session, peer.keepalive(), 2.0)
    assert session.path(0).loss_percent == 3200 // 67


@pytest.mark.parametrize("rate", [20, 300])
def test_clear_data_that_is_lost_counts_as_lost(rate: int) -> None:
    session, peer = server_up(cleartext_data=True)
    for second in range(1, 20):
        for number in range(rate):
            datagram = peer.data(ONE, clear=True)
            if number % 4:
                hear(session, datagram, second)
        hear(session, peer.keepalive(), second)
    assert session.path(0).loss_percent == pytest.approx(25, abs=3)


# Judging lines.


def judged(session: Session, peer: HandPeer, now: float) -> PathStatus:
    """The link's status after a packet from the peer and the tick of `now`."""
    hear(session, peer.keepalive(), now)
    session.handle_timer(now)
    return session.path(0).status


def test_a_lossy_line_and_back() -> None:
    session, peer = server_up(PathParameters("adsl", 5.0, loss_tolerance=10))
    peer.seq += 25
    assert judged(session, peer, 1.0) is PathStatus.LOSSY
    for tick in range(64):
        hear(session, peer.keepalive(), 1.5 + tick / 1000)
    assert judged(session, peer, 3.0) is PathStatus.LOSSY
    assert judged(session, peer, 1.5 + WINDOW + 2 * BUCKET) is PathStatus.AUTHOK
    assert [event for event in session.events() if isinstance(event, PathStatusChanged)] == [
        PathStatusChanged(0, PathStatus.AUTHOK, PathStatus.LOSSY),
        PathStatusChanged(0, PathStatus.LOSSY, PathStatus.AUTHOK),
    ]


def test_what_comes_in_is_judged_ten_times_a_second() -> None:
    session, peer = server_up(PathParameters("adsl", 5.0, loss_tolerance=10))
    hear(session, peer.keepalive(), 0.2)
    peer.seq += 30
    hear(session, peer.keepalive(), 0.29)
    assert session.path(0).status is PathStatus.AUTHOK
    hear(session, peer.keepalive(), 0.31)
    assert session.path(0).status is PathStatus.LOSSY


def test_a_slow_line_is_judged_after_a_sample_only() -> None:
    session, peer = server_up(PathParameters("adsl", 5.0, latency_tolerance=100))
    assert judged(session, peer, 1.0) is PathStatus.AUTHOK
    hear(session, peer.datagram(KEEPALIVE, timestamp_reply=1000), 1.2)
    assert judged(session, peer, 2.0) is PathStatus.HIGH_LATENCY
    session.set_parameters(0, PathParameters("adsl", 5.0), 0.0)
    assert judged(session, peer, 3.0) is PathStatus.AUTHOK


def test_the_defaults_judge_nothing() -> None:
    session, peer = server_up()
    peer.seq += 63
    hear(session, peer.datagram(KEEPALIVE, timestamp_reply=0), 4.9)
    assert session.path(0).loss_percent == 98
    assert judged(session, peer, 5.0) is PathStatus.AUTHOK


# A reload.


def test_another_key() -> None:
    session, peer = server_up()
    other = bytes(32)
    session.reconfigure(SessionParameters(other, is_server=True))
    hear(session, peer.keepalive(), 1.0)
    assert dropped(session) == {DropReason.NOT_AUTHENTIC: 1}
    hear(session, HandPeer(0xBEEF, key=other).auth(), 1.0)
    assert [one.plaintext for one in heard(session, key=other)] == [b"OK"]
