"""Links that come and go."""

from __future__ import annotations

import pytest

from mlvpnd.protocol.links.damping import FORGET, HOLD, QUICK_END, QUICK_ENDS, Damping
from mlvpnd.protocol.links.events import DownReason, PathDown, PathUp, TierChanged
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.session import Session
from mlvpnd.protocol.wire.drops import DropReason
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import (
    HandPeer,
    dropped,
    hear,
    heard,
    link_events,
    make_session,
    run_timers,
    several,
    types,
)


def flaps(session: Session, peer: HandPeer, seconds: float, *, step: float = 0.005, start: float = 0.0) -> list[float]:
    """A peer says by turns that it is there and that it goes; returns the times at which the link came up."""
    ups = []
    for tick in range(round(seconds / step)):
        now = start + tick * step
        said = (
            (peer.auth, peer.keepalive, peer.disconnect) if session.gate.is_server else (peer.auth_ok, peer.disconnect)
        )
        while (due := session.get_timer()) is not None and due <= now:
            session.handle_timer(now)
        hear(session, said[tick % len(said)](), now)
        session.transmits()
        ups += [now for event in session.events() if isinstance(event, PathUp)]
    return ups


def join(session: Session, peer: HandPeer, at: float) -> None:
    """A client asks, and shows that it has heard the answer."""
    hear(session, peer.auth(), at)
    hear(session, peer.keepalive(), at)


def come_and_go(session: Session, peer: HandPeer, at: float, lived: float) -> bool:
    """A server's client joins and leaves; returns whether its link came up."""
    join(session, peer, at)
    was_up = session.path(0).up
    for second in range(int(lived)):
        hear(session, peer.keepalive(), at + second)
    hear(session, peer.disconnect(), at + lived)
    session.transmits()
    return was_up


def test_a_peer_that_flaps_brings_the_server_up_once_a_second() -> None:
    session = make_session(is_server=True)
    ups = flaps(session, HandPeer(), 20.0)
    assert len(ups) <= QUICK_ENDS + 20
    gaps = [after - before for before, after in zip(ups[QUICK_ENDS - 1 :], ups[QUICK_ENDS:], strict=False)]
    assert min(gaps) >= HOLD
    assert max(gaps) < HOLD + 0.1  # it is held, not shut out
    assert dropped(session)[DropReason.DAMPED] > 1000


def test_a_server_that_flaps_brings_the_client_up_once_a_second() -> None:
    session = make_session(is_server=False)
    ups = flaps(session, HandPeer(), 20.0)
    assert 15 <= len(ups) <= 21
    assert min(after - before for before, after in zip(ups[QUICK_ENDS - 1 :], ups[QUICK_ENDS:], strict=False)) >= HOLD


def test_no_answer_is_sent_while_a_link_is_held() -> None:
    session, peer = make_session(is_server=True), HandPeer()
    for _ in range(QUICK_ENDS):
        assert come_and_go(session, peer, 1.0, 0.0)
    hear(session, peer.auth(), 1.0 + HOLD - 0.01)
    assert types(session) == []
    assert not session.path(0).up
    hear(session, peer.auth(), 1.0 + HOLD)
    assert types(session) == [PacketType.AUTH_OK]
    hear(session, peer.keepalive(), 1.0 + HOLD)
    assert session.path(0).up


def test_a_line_that_flaps_in_earnest_comes_back_at_once_four_times() -> None:
    session, peer = make_session(is_server=True), HandPeer()
    came = [come_and_go(session, peer, 2.0 * turn, 1.9) for turn in range(QUICK_ENDS)]
    assert came == [True] * QUICK_ENDS


@pytest.mark.parametrize("quiet", ["up for long", "down for long"])
def test_a_link_that_was_well_again_starts_anew(quiet: str) -> None:
    session, peer = make_session(PathParameters("adsl", 100.0), is_server=True), HandPeer()
    for _ in range(QUICK_ENDS):
        come_and_go(session, peer, 1.0, 0.0)
    if quiet == "up for long":
        assert come_and_go(session, peer, 3.0, QUICK_END)
        again = 3.0 + QUICK_END
    else:
        again = 1.0 + FORGET
    for _ in range(QUICK_ENDS):
        assert come_and_go(session, peer, again, 0.0)
    assert not come_and_go(session, peer, again, 0.0)


def test_timeouts_count_as_well() -> None:
    session, peer = make_session(PathParameters("adsl", 0.5), is_server=True), HandPeer()
    at = 0.0
    for _ in range(QUICK_ENDS):
        join(session, peer, at)
        run_timers(session, at, at + 0.5)
        assert PathDown(0, DownReason.TIMEOUT) in link_events(session)
        at += 0.5
    join(session, peer, at + 0.1)
    assert not session.path(0).up


def test_who_asks_and_goes_and_never_hears_us_is_held_too() -> None:
    session, peer = make_session(is_server=True), HandPeer()
    for turn in range(2 * QUICK_ENDS):
        hear(session, peer.auth(), 0.01 * turn)
        hear(session, peer.disconnect(), 0.01 * turn)
    assert types(session) == [PacketType.AUTH_OK] * QUICK_ENDS
    assert dropped(session)[DropReason.DAMPED] == QUICK_ENDS


def test_who_asks_again_and_then_speaks_is_held_too() -> None:
    """A doubt takes its link down, without a DISCONNECT, and the answer that it has had no longer holds."""
    session, peer, now, ups = make_session(is_server=True), HandPeer(), 0.0, []
    join(session, peer, now)
    while now < 10.0:
        hear(session, peer.auth(), now)
        run_timers(session, now, now + 0.1)
        hear(session, peer.keepalive(), now + 0.1)
        ups += [event for event in link_events(session) if isinstance(event, PathUp)]
        now += 0.11
    assert len(ups) <= QUICK_ENDS + 11


@pytest.mark.parametrize("new_flows", [False, True])
def test_who_asks_and_speaks_on_an_up_link_moves_the_traffic_once_a_second(new_flows: bool) -> None:
    """Each move gives all that waits for the link's line to others, and back."""
    session, (peer, other) = several(PathParameters("adsl", 5.0), PathParameters("lte", 5.0, fallback_only=True))
    moves = 0
    for tick in range(1000):
        now = 0.01 * tick
        if new_flows:
            peer = HandPeer(0xC000 + tick, seq=10_000 + tick)
        hear(session, other.keepalive(), now, number=1)
        hear(session, peer.auth(), now)
        hear(session, peer.keepalive(), now)
        moves += sum(isinstance(event, TierChanged) for event in session.events())
        session.transmits()
        assert session.path(0).up
    assert 10 <= moves <= 2 * (QUICK_ENDS + 10)
    run_timers(session, 10.0, 10.0 + HOLD)
    hear(session, peer.keepalive(), 10.0 + HOLD)
    assert session.carrying == (0,)


def test_what_an_operator_closes_is_not_held() -> None:
    session = make_session(is_server=False)
    session.handle_timer(0.0)
    peer = HandPeer()
    for turn in range(3 * QUICK_ENDS):
        now = 1.5 * turn
        session.handle_timer(now)
        hear(session, peer.auth_ok(), now + 0.01)
        assert session.path(0).up
        session.disconnect(0, now + 0.02)


def test_a_client_asks_as_soon_as_its_link_is_held_no_more() -> None:
    session, peer, now = make_session(is_server=False), HandPeer(), 0.0
    for _ in range(QUICK_ENDS):
        session.handle_timer(now)
        hear(session, peer.auth_ok(), now + 0.3)
        hear(session, peer.disconnect(), now + 0.6)
        now += 1.0
    heard(session)
    end = now - 1.0 + 0.6
    asked = [at for at, kind in run_timers(session, end, end + 1.5) if kind is PacketType.AUTH]
    assert len(asked) == 1
    assert end + HOLD <= asked[0] <= end + HOLD + 0.051


def test_the_first_end_for_which_a_link_is_held() -> None:
    damping, begins = Damping(), []
    for turn in range(2 * QUICK_ENDS):
        damping.end(0.1, float(turn))
        begins.append(damping.begins)
    assert [turn + 1 for turn, first in enumerate(begins) if first] == [QUICK_ENDS]
