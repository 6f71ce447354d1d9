"""What clear DATA must not do. It proves nothing: whoever can forge the peer's address can forge clear DATA."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import ELSEWHERE, PEER, HandPeer, client_up, dropped, hear, make_session, server_up
from tests.support.native_parts import disorder_of, transit_of
from tests.support.session_pair import packet_of

from .test_session_attacks import refused

_auth, _auth_ok, KEEPALIVE, DATA, DISCONNECT, *_others = PacketType
ONE, TWO = packet_of(1), packet_of(2)
Up = Callable[..., tuple[Session, HandPeer]]
both_roles = pytest.mark.parametrize("up", [server_up, client_up], ids=["server", "client"])


@both_roles
def test_clear_data_from_elsewhere_moves_nothing(up: Up) -> None:
    session, peer = up(cleartext_data=True)
    forged = peer.data(ONE, clear=True)
    assert hear(session, forged, 1.0, source=ELSEWHERE) == []
    assert dropped(session) == {DropReason.CLEAR_NOT_ALLOWED: 1}
    assert session.path(0).peer == PEER
    assert hear(session, forged, 1.0) == [ONE]


@both_roles
def test_clear_data_is_no_sign_of_life(up: Up) -> None:
    session, peer = up(cleartext_data=True)
    hear(session, peer.data(ONE, clear=True), 4.9)
    session.handle_timer(5.0)
    assert not session.path(0).up


@both_roles
def test_clear_data_counts_once_and_only_in_its_session(up: Up) -> None:
    session, peer = up(cleartext_data=True)
    datagram = peer.data(ONE, clear=True)
    assert hear(session, datagram, 1.0) == [ONE]
    assert hear(session, datagram, 1.0) == []
    assert hear(session, HandPeer(0xBAD, peer.seq).data(ONE, clear=True), 1.0) == []
    assert dropped(session) == {DropReason.REPLAYED: 1, DropReason.CLEAR_NOT_ALLOWED: 1}


@both_roles
@pytest.mark.parametrize("forged", [1 << 40, (1 << 64) - 1])
def test_a_forged_clear_number_does_not_deafen(up: Up, forged: int) -> None:
    session, peer = up(cleartext_data=True)
    assert hear(session, peer.datagram(DATA, ONE, seq=forged, clear=True), 1.0) == []
    assert hear(session, [peer.data(ONE, clear=True), peer.keepalive(), peer.data(TWO, clear=True)], 1.0) == [ONE, TWO]
    assert session.path(0).loss_percent == 0


@both_roles
def test_forged_clear_data_moves_no_meter(up: Up) -> None:
    session, peer = up(reorder_size=64, cleartext_data=True)
    hear(session, [peer.datagram(KEEPALIVE, timestamp=int(now * 1000)) for now in (1.0, 1.5)], 1.5)
    path, buffer = session.path(0), session.reorder
    assert buffer is not None

    def meters(now: float) -> object:
        wait, disorder = buffer.wait, disorder_of(path).seconds(now)
        return transit_of(path).low_ms, transit_of(path).rise_ms, disorder, wait, path.loss_percent, path.rtt.srtt_ms

    before = meters(1.5)
    numbers = [peer.seq + 900, *range(peer.seq, peer.seq + 800, 7)]
    for at, seq in enumerate(numbers):
        stamp = 1500 - 4000 * (at % 2) & 0xFFFF
        forged = peer.datagram(DATA, ONE, seq=seq, clear=True, reorder=False, timestamp=stamp, timestamp_reply=at)
        assert hear(session, forged, 1.6 + at / 1000) == [ONE]
    assert meters(1.8) == before


@both_roles
def test_clear_data_of_before_this_process_is_a_replay(up: Up) -> None:
    """The flow was introduced to this process.

    The process before has delivered what a recording holds of earlier times.
    """
    session, peer = up(cleartext_data=True)
    first = peer.seq - (2 if up is server_up else 1)
    for seq in range(first - 100, first + 1):
        assert hear(session, peer.datagram(DATA, ONE, seq=seq, clear=True), 1.0) == []
    assert hear(session, peer.data(TWO, clear=True), 1.0) == [TWO]


def test_clear_data_on_a_link_that_is_down() -> None:
    session, peer = server_up(cleartext_data=True)
    hear(session, peer.disconnect(), 0.5)
    session.events()
    refused(session, peer.data(ONE, clear=True), DropReason.CLEAR_NOT_ALLOWED)


@both_roles
def test_a_clear_session_wants_its_control_packets_boxed(up: Up) -> None:
    session, peer = up(cleartext_data=True)
    refused(session, peer.datagram(DISCONNECT, b"xxxxxxxxxxxxxxxxxxxx", clear=True), DropReason.NOT_AUTHENTIC)


@pytest.mark.parametrize("seq", [1 << 63, (1 << 63) + 3000, (1 << 64) - 3000, (1 << 64) - 10])
def test_a_peer_may_count_from_any_number(seq: int) -> None:
    session = make_session(is_server=True, cleartext_data=True)
    peer = HandPeer(seq=seq)
    hear(session, peer.joins(), 0.0)
    first = peer.data(ONE, clear=True)
    assert hear(session, [first, first], 1.0) == [ONE]
    assert hear(session, [peer.keepalive(), peer.data(TWO, clear=True), first], 2.0) == [TWO]
    assert dropped(session) == {DropReason.REPLAYED: 2}
