"""A session of several links: who carries what, and in what order it comes out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from mlvpnd.protocol.links.events import PathDown, TierChanged
from mlvpnd.protocol.links.path import PathParameters
from mlvpnd.protocol.links.selection import Tier
from mlvpnd.protocol.links.session import Session, SessionParameters
from mlvpnd.protocol.receiving.receiver import GROWTH, MIN_WAIT
from mlvpnd.protocol.wire.wire import PacketType
from tests.support.hand_peer import FIRST_SEQ, HandPeer, hear, heard, server_up, several
from tests.support.session_pair import KEY, packet_of

DATA, DISCONNECT = PacketType.DATA, PacketType.DISCONNECT
ONE, TWO, THREE = packet_of(1), packet_of(2), packet_of(3)


def carried(session: Session, packets: int = 100, now: float = 1.0) -> Counter[int]:
    """How many of the packets each link takes."""
    session.send([packet_of(number) for number in range(packets)], now)
    return Counter(one.path for one in heard(session) if one.type is DATA)


def test_weights() -> None:
    session, _ = several(*(PathParameters(f"l{n}", 5.0, bandwidth=n) for n in (40, 30, 20, 10)))
    assert carried(session) == {0: 40, 1: 30, 2: 20, 3: 10}


def test_one_unknown_weight_makes_all_alike() -> None:
    session, _ = several(PathParameters("a", 5.0, bandwidth=90), PathParameters("b", 5.0))
    assert carried(session) == {0: 50, 1: 50}


def test_a_link_that_is_about_to_go_says_so_and_can_still_be_asked() -> None:
    session, _ = several(PathParameters("a", 5.0), PathParameters("b", 5.0))
    session.events()
    assert session.disconnect_path(0, 1.0) == []
    assert [event.path for event in session.events() if isinstance(event, PathDown)] == [0]
    assert not session.path(0).up
    session.remove_path(0, 1.0)
    assert [(one.path, one.type) for one in heard(session)] == [(0, DISCONNECT)]
    assert carried(session) == {1: 100}


def test_idle_links_say_keepalive_in_one_turn() -> None:
    """Each turn has its cost, so many links share one, however they came up."""
    session = Session(SessionParameters(KEY, is_server=True), FIRST_SEQ, iter(range(1, 100)).__next__)
    peers = [HandPeer(0xC0FFEE + number) for number in range(32)]
    for number, peer in enumerate(peers):
        session.add_path(number, PathParameters(f"l{number}", 30.0), FIRST_SEQ)
        session.path_ready(number, None, 0.0)
        session.handle_timer(0.07 * number)
        hear(session, peer.joins(), 0.07 * number, number=number)
    session.transmits()
    turns: list[tuple[float, set[int]]] = []
    while (due := session.get_timer()) is not None and due < 9.0:
        session.handle_timer(due)
        if spoke := {one.path for one in heard(session) if one.type is PacketType.KEEPALIVE}:
            turns.append((due, spoke))
    everybody = set(range(32))
    last = [(at, spoke) for at, spoke in turns if at >= 6.0]
    assert [spoke for _, spoke in last] == [everybody] * 3
    assert [round(after - before, 6) for (before, _), (after, _) in pairwise(last)] == [1.0, 1.0]


def test_a_probe_is_due_as_soon_as_data_begins() -> None:
    """The deadlines that the links had while nothing passed do not hold any more."""
    session, peers = several(*(PathParameters(f"l{n}", 30.0, bandwidth=10_000_000) for n in range(2)))
    for now in (1.0, 2.0, 3.0, 3.5):
        for number, peer in enumerate(peers):
            hear(session, peer.keepalive(), now, number=number)
        session.handle_timer(now)
    heard(session)
    before = session.get_timer()
    session.send([ONE], 3.6)
    sent_on = {one.path for one in heard(session) if one.type is DATA}
    after = session.get_timer()
    assert before is not None
    assert after is not None
    assert after <= min(before, 3.71)
    session.handle_timer(after)
    assert {one.path for one in heard(session)} == {0, 1} - sent_on


def test_numbers_are_one_row_over_all_links() -> None:
    session, _ = several(PathParameters("a", 5.0), PathParameters("b", 5.0))
    session.send([ONE] * 4, 1.0)
    assert sorted(one.header.data_seq for one in heard(session)) == list(range(FIRST_SEQ, FIRST_SEQ + 4))


def test_fallback_carries_when_nothing_else_is_well() -> None:
    session, (main, spare) = several(
        PathParameters("main", 5.0, loss_tolerance=10), PathParameters("spare", 50.0, fallback_only=True)
    )
    assert session.carrying == (0,)
    main.seq += 30
    hear(session, main.keepalive(), 1.0)
    session.handle_timer(1.0)
    assert carried(session) == {1: 100}
    hear(session, spare.disconnect(), 1.5, number=1)
    assert carried(session) == {0: 100}
    hear(session, main.disconnect(), 2.0)
    assert carried(session) == {}
    assert [event.after for event in session.events() if isinstance(event, TierChanged)] == [
        Tier.FALLBACK,
        Tier.LAST_RESORT,
        Tier.NONE,
    ]
    assert session.tier is Tier.NONE


def test_among_bad_links_the_best_of_now_carries() -> None:
    """The best link is chosen anew as their loss changes, though none of them becomes well."""
    session, peers = several(*(PathParameters(f"l{n}", 50.0, loss_tolerance=10) for n in range(2)))
    now = 0.0
    for percents, best in [((30, 60), 0), ((40, 30), 0), ((90, 20), 1), ((30, 20), 1), ((20, 22), 1)]:
        for step in range(300):  # three seconds
            now += 0.01
            for number, (peer, percent) in enumerate(zip(peers, percents, strict=True)):
                datagram = peer.keepalive()
                if step * 37 % 100 >= percent:
                    hear(session, datagram, now, number=number)
        session.transmits()
        assert (session.tier, session.carrying) == (Tier.LAST_RESORT, (best,)), percents
    # If the links are chosen anew for another reason, the traffic stays where it is.
    session.set_parameters(0, session.path(0).parameters, 0.0)
    assert session.path(0).loss_percent < session.path(1).loss_percent
    assert session.carrying == (1,)


def test_a_link_that_is_removed_says_so_and_carries_no_more() -> None:
    session, _ = several(PathParameters("a", 5.0), PathParameters("b", 5.0))
    session.remove_path(0, 1.0)
    assert [(one.path, one.type) for one in heard(session)] == [(0, DISCONNECT)]
    assert carried(session) == {1: 100}
    assert [path.number for path in session.paths] == [1]


def test_a_link_under_another_name_finds_its_peer_again() -> None:
    """The peer's flow was bound to the link that is gone. Its next AUTH brings it to the link that took its place."""
    session, peer = server_up()
    session.remove_path(0, 1.0)
    session.add_path(1, PathParameters("adsl2", 5.0), FIRST_SEQ)
    session.path_ready(1, None, 1.0)
    session.transmits()
    hear(session, peer.joins(), 2.0, number=1)
    assert session.path(1).up


# Reorder buffer and filters.


class Port:
    """A filter on one byte of the packet."""

    def __init__(self, number: int) -> None:
        self._number = number

    def matches(self, packet: bytes, _plain: bytes | None = None, /) -> bool:
        return packet[27] == self._number


def test_order_is_restored_over_links() -> None:
    session, (near, far) = several(PathParameters("a", 5.0), PathParameters("b", 5.0), reorder_size=8)
    datagrams = [near.data(ONE), near.datagram(DATA, THREE, data_seq=3), far.datagram(DATA, TWO, data_seq=2)]
    assert hear(session, datagrams[:2], 1.0) == [ONE]
    assert hear(session, datagrams[2], 1.01, number=1) == [TWO, THREE]


def two_links(*timeouts: float) -> tuple[Session, list[HandPeer]]:
    """Data begins to flow on the first link; the second may bring some at any moment."""
    first, second = timeouts or (5.0, 5.0)
    return several(PathParameters("a", first), PathParameters("b", second), reorder_size=8)


def test_a_hole_is_waited_for_and_given_up() -> None:
    session, (peer, _) = two_links()
    burst = [peer.datagram(DATA, packet, data_seq=number, timestamp=470) for number, packet in [(1, ONE), (3, THREE)]]
    assert hear(session, burst, 0.5) == [ONE]
    due = session.get_timer()
    assert due is not None
    assert due == pytest.approx(0.5 + 0.03 * (1 + GROWTH) + MIN_WAIT)
    assert session.handle_timer(due) == [THREE]
    assert hear(session, peer.datagram(DATA, TWO, data_seq=2), 0.9) == [TWO]


def test_one_link_loses_a_packet_and_its_next_tells() -> None:
    session, peer = server_up(reorder_size=8)
    assert hear(session, [peer.data(ONE), peer.datagram(DATA, THREE, data_seq=3)], 0.5) == [ONE, THREE]


@pytest.mark.parametrize("data_seq", [0, 3])
def test_a_packet_without_the_mark_passes_the_buffer(data_seq: int) -> None:
    session, (peer, _) = two_links()
    hear(session, peer.data(ONE), 1.0)
    filtered = peer.datagram(DATA, THREE, reorder=False, data_seq=data_seq)
    assert hear(session, filtered, 1.0) == [THREE]
    assert hear(session, peer.data(TWO), 1.0) == [TWO]


def test_the_end_of_the_last_link_frees_what_is_held() -> None:
    session, (peer, other) = two_links()
    held = [peer.data(ONE), peer.datagram(DATA, THREE, data_seq=3), peer.disconnect()]
    assert hear(session, held, 1.0) == [ONE]
    assert hear(session, other.disconnect(), 1.0, number=1) == [THREE]


@pytest.mark.parametrize("end", ["remove", "socket", "timeout"])
def test_the_end_of_the_link_that_is_waited_for_frees_what_is_held(end: str) -> None:
    session, (peer, _) = two_links(5.0, 1.0)
    assert hear(session, [peer.data(ONE), peer.datagram(DATA, THREE, data_seq=3)], 0.9) == [ONE]
    if end == "remove":
        assert session.remove_path(1, 0.9) == [THREE]
    elif end == "socket":
        assert session.path_unready(1, 0.9) == [THREE]
    else:
        assert session.handle_timer(1.0) == [THREE]


def test_a_peer_that_counts_from_0_again_is_sorted_from_its_first_packet() -> None:
    """Upstream counts so after a restart. The old count must not make its first packets late ones."""
    session, (old, _) = two_links()
    old.data_seq = 500
    hear(session, [old.data(ONE), old.datagram(DATA, THREE, data_seq=502)], 1.0)
    new = HandPeer(0xBEEF, seq=0)
    new.data_seq = 0
    assert hear(session, new.auth(), 2.0) == [THREE]
    assert hear(session, new.data(ONE), 2.0) == [ONE]
    late, early = new.data(TWO), new.data(THREE)
    assert hear(session, [early, late], 2.0) == [TWO, THREE]


def test_the_reorder_buffer_comes_changes_and_goes() -> None:
    session, (peer, _) = several(PathParameters("a", 5.0), PathParameters("b", 5.0))

    def sized(size: int) -> SessionParameters:
        return SessionParameters(KEY, is_server=True, reorder_size=size)

    gap = peer.datagram(DATA, ONE, data_seq=10), peer.datagram(DATA, TWO, data_seq=12)
    assert hear(session, gap, 1.0) == [ONE, TWO]
    assert session.reconfigure(sized(4)) == []
    gap = peer.datagram(DATA, ONE, data_seq=20), peer.datagram(DATA, TWO, data_seq=22)
    assert hear(session, gap, 1.0) == [ONE]
    assert session.reconfigure(sized(4)) == []
    assert session.reconfigure(sized(9)) == [TWO]
    gap = peer.datagram(DATA, ONE, data_seq=30), peer.datagram(DATA, TWO, data_seq=32)
    assert hear(session, gap, 1.0) == [ONE]
    assert session.reconfigure(sized(0)) == [TWO]
    assert session.reorder is None


def test_a_filtered_packet_has_no_number_and_no_mark() -> None:
    session, _ = several(PathParameters("a", 5.0), PathParameters("b", 5.0))
    session.set_filters([(Port(2), 1)])
    session.send([ONE, TWO, THREE], 1.0)
    sent = {one.plaintext: one for one in heard(session)}
    assert (sent[TWO].path, sent[TWO].header.reorder, sent[TWO].header.data_seq) == (1, False, 0)
    assert [(sent[p].header.reorder, sent[p].header.data_seq - FIRST_SEQ) for p in (ONE, THREE)] == [
        (True, 0),
        (True, 1),
    ]


def test_the_first_filter_whose_link_is_up_wins() -> None:
    session, peers = several(*(PathParameters(f"l{n}", 5.0, fallback_only=n == 2) for n in range(3)))
    session.set_filters([(Port(2), 1), (Port(2), 2), (Port(2), 0)])

    def carrier() -> int:
        session.send([TWO], 1.0)
        (sent,) = heard(session)
        return sent.path

    assert carrier() == 1
    hear(session, peers[1].disconnect(), 1.0, number=1)
    assert carrier() == 2
    session.remove_path(2, 1.0)
    session.transmits()
    assert carrier() == 0


def test_a_filter_whose_links_are_all_down_leaves_the_packet_to_the_schedule() -> None:
    session, peers = several(PathParameters("a", 5.0), PathParameters("b", 5.0))
    session.set_filters([(Port(2), 1)])
    hear(session, peers[1].disconnect(), 1.0, number=1)
    session.send([TWO], 1.0)
    (sent,) = heard(session)
    assert (sent.path, sent.header.reorder, sent.header.data_seq) == (0, True, FIRST_SEQ)


def test_what_is_held_back_leaves_before_the_process_ends() -> None:
    session, _ = several(PathParameters("a", 5.0, bandwidth=16_000))
    session.send([packet_of(1) + bytes(1000)] * 20, 1.0)
    before = len([one for one in heard(session) if one.type is DATA])
    session.flush(1.0)
    session.close(1.0)
    after = [one.type for one in heard(session)]
    assert before + after.count(DATA) == 20
    assert after[-1] is DISCONNECT


# Distrust: a paced link is silent while another is not.


def paced_pair() -> tuple[Session, list[HandPeer]]:
    """Two up, paced links whose peer has been heard ten times a second for two seconds, until 3.0."""
    session, peers = several(*(PathParameters(f"l{n}", 10.0, bandwidth=1_000_000) for n in range(2)))
    for step in range(21):
        for number, peer in enumerate(peers):
            hear(session, peer.keepalive(), 1 + step / 10, number=number)
        session.send([ONE], 1 + step / 10)
    session.transmits()
    return session, list(peers)


def test_a_silent_link_carries_nothing_while_another_is_heard_until_it_is_heard_itself() -> None:
    session, peers = paced_pair()
    assert session.paced
    patience = session.path(0).patience
    for step in range(1, 30):
        now = 3 + step / 10
        hear(session, peers[1].keepalive(), now, number=1)
        session.send([ONE], now)
        session.handle_timer(now)
        assert session.path(0).distrusted is (step / 10 > patience), step
        assert session.path(0).up
    assert session.carrying == (1,)
    hear(session, peers[0].keepalive(), 6.0)
    assert session.carrying == (0, 1)


def test_when_all_are_silent_none_is_distrusted() -> None:
    session, _ = paced_pair()
    for step in range(1, 40):
        session.send([ONE], 3 + step / 10)
        session.handle_timer(3 + step / 10)
    assert session.carrying == (0, 1)


def test_a_tunnel_that_carries_data_has_a_word_on_each_link_every_tenth_of_a_second() -> None:
    session, _ = paced_pair()
    session.handle_timer(3.0)
    session.transmits()
    said: Counter[int] = Counter()
    while (due := session.get_timer()) is not None and due <= 4:
        session.handle_timer(due)
        said.update(one.path for one in heard(session))
    assert all(8 <= said[number] <= 12 for number in (0, 1)), said


def test_an_idle_tunnel_is_as_silent_as_ever() -> None:
    session, _ = paced_pair()
    session.handle_timer(5.0)
    session.transmits()
    said = 0
    while (due := session.get_timer()) is not None and due <= 8.5:
        session.handle_timer(due)
        said += sum(one.type is PacketType.KEEPALIVE for one in heard(session))
    assert said <= 8
